import { $, avatar, compose, el, follow, gapText, notice, parsed, time } from './dom.js'
import { ask, expand } from './server.js'

const FIRST_PAGE = 50

/** The room on show: one at a time. `route` is the route of rooms; `link` the resuming connection. */
export function createRoom({ link, me, route }) {
  let leave = () => {}
  let roomId
  let destination
  let oldest
  const people = new Set()

  function meet(name) {
    if (people.has(name)) return
    people.add(name)
    $('people').append(avatar(name))
    $('people').title = [...people].join(', ')
  }

  function lineOf(body, when) {
    const { type, sender = 'someone', message, sendDate = when } = parsed(body)
    const name = String(sender)
    if (type === 'ENTER') return el('li', 'event', `${name} joined`)
    const mine = name === me.name
    const bubble = el(
      'div',
      'bubble',
      el('p', 'who', mine ? 'You' : name, ' ', time(sendDate)),
      el('p', 'text', String(message ?? ''))
    )
    return el('li', mine ? 'mine' : 'theirs', avatar(name), bubble)
  }

  const tell = (text, className) => follow($('messages'), el('li', `event ${className}`, text))

  function show(message) {
    const { sender } = parsed(message.body)
    if (sender) meet(String(sender))
    oldest ??= message.headers['message-id']
    follow($('messages'), lineOf(message.body))
  }

  $('older').addEventListener('click', async () => {
    try {
      const query = new URLSearchParams({ destination, limit: '30', ...(oldest && { before: oldest }) })
      const { messages, before } = await ask(`/history?${query}`, me)
      const scroller = $('talk-scroll')
      const below = scroller.scrollHeight - scroller.scrollTop
      $('messages').prepend(
        ...messages.map(({ body, time: when, omitted }) =>
          lineOf(omitted ? { message: '(too long to be kept)' } : body, when)
        )
      )
      scroller.scrollTop = scroller.scrollHeight - below
      oldest = messages[0]?.id ?? oldest
      $('older').hidden = before === undefined
      if (before === undefined) $('messages').prepend(el('li', 'event', 'This is where the history begins'))
    } catch (error) {
      notice(`History: ${error.message}`)
    }
  })

  const send = (type, id, message) =>
    link.send(expand(route.send, { roomId: id }), JSON.stringify({ type, roomId: id, sender: me.name, message }), {
      'content-type': 'application/json'
    })
  compose($('say'), text => send('TALK', roomId, text))

  return {
    enter(id) {
      leave()
      roomId = id
      oldest = undefined
      people.clear()
      $('people').replaceChildren()
      $('messages').replaceChildren()
      $('older').hidden = false
      $('room-title').textContent = id
      $('talk-scroll').scrollTop = 0
      destination = expand(route.destination, { roomId: id })
      leave = link.subscribe(destination, show, {
        history: Math.min(FIRST_PAGE, route.historySize),
        onReady({ resumed, first }) {
          if (id !== roomId) return
          if (first) send('ENTER', id, '').catch(() => {})
          else if (resumed) tell('Resumed: nothing was missed', 'resumed')
        },
        onGap: gap => tell(gapText(gap), 'gap'),
        onRefused: reason => notice(`Room ${id}: ${reason}`)
      })
    }
  }
}
