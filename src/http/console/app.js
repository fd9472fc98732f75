import { $, notice } from './dom.js'
import { createComments, createLive, createWatch } from './panels.js'
import { createResuming } from './resume.js'
import { createRoom } from './room.js'
import { ask } from './server.js'
import { Client } from './stompjs/client.js'

// One visit: join with a name, one resuming connection, panels for the routes that this gateway has. Leaving reloads the page.

const WORDS = {
  offline: 'not connected',
  connecting: 'connecting…',
  connected: 'connected',
  reconnecting: 'reconnecting…',
  stopped: 'disconnected'
}

function showState(name, detail = '') {
  $('state').dataset.state = name
  $('state').textContent = WORDS[name] + detail
  for (const submit of document.querySelectorAll('.composer button')) submit.disabled = name !== 'connected'
}

function remembered(name) {
  try {
    return sessionStorage.getItem(name)
  } catch {
    return null
  }
}

function remember(values) {
  try {
    for (const [name, value] of Object.entries(values)) sessionStorage.setItem(name, value)
  } catch {}
}

async function visit(me, firstRoom) {
  const { stompPath, routes } = await ask('/console/config', me)
  const find = name => routes.find(route => route.name === name && route.send)
  const rooms = routes.find(({ destination, send }) => send && destination.includes('{roomId}'))
  const comments = find('comments')

  const client = new Client({
    brokerURL: new URL(stompPath, location.href.replace(/^http/, 'ws')).href,
    connectHeaders: { login: me.name, ...(me.token && { passcode: me.token }) },
    connectionTimeout: 10_000
  })
  let waited = false
  const link = createResuming(client, {
    onState({ name, delayMs, user }) {
      // Who the gateway takes us for: messages are stamped with that.
      if (user) me.name = user
      $('me').textContent = me.name
      if (name === 'reconnecting') waited = true
      const seconds = delayMs > 1000 ? ` next try in ${Math.round(delayMs / 1000)} s` : ''
      showState(name, name === 'connected' && waited ? ' again' : seconds)
    },
    onError: notice,
    maxDelayMs: 5000
  })

  $('talk').hidden = !rooms
  $('switch').hidden = !rooms
  $('comments').hidden = !comments
  for (const tab of $('tabs').children) tab.hidden = $(tab.dataset.view).hidden
  if (rooms) {
    const room = createRoom({ link, me, route: rooms })
    const enter = id => {
      room.enter(id)
      remember({ room: id })
      history.replaceState(null, '', `#${new URLSearchParams({ room: id })}`)
    }
    enter(firstRoom)
    $('switch').addEventListener('submit', event => {
      event.preventDefault()
      const id = $('switch-room').value.trim()
      if (id) enter(id)
      $('switch-room').value = ''
    })
  }
  if (comments) createComments({ link, me, comments, likes: find('likes') })
  createWatch({ link, routes })
  createLive({ me })
  select(rooms ? 'talk' : 'watch')

  $('welcome').hidden = true
  for (const id of ['desk', 'tabs', 'me', 'leave']) $(id).hidden = false
  $('leave').addEventListener('click', async () => {
    await link.stop()
    location.reload()
  })
  link.start()
  $('text').focus()
}

/** On a narrow screen one panel is seen at a time. */
function select(view) {
  $('desk').dataset.view = view
  for (const tab of $('tabs').children) tab.setAttribute('aria-pressed', String(tab.dataset.view === view))
}

showState('offline')
for (const tab of $('tabs').children) tab.addEventListener('click', () => select(tab.dataset.view))
$('name').value = remembered('name') ?? ''
$('room').value = new URLSearchParams(location.hash.slice(1)).get('room') || remembered('room') || $('room').value
$('join').addEventListener('submit', async event => {
  event.preventDefault()
  const me = { name: $('name').value.trim(), token: $('token').value.trim() }
  const room = $('room').value.trim()
  if (!me.name || !room) return
  remember({ name: me.name })
  try {
    await visit(me, room)
  } catch (error) {
    notice(`Could not start: ${error.message}`)
  }
})
