import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { Browser, Page } from 'playwright-core'
import { type Baton, startBaton } from '../support/baton.ts'
import { field, join, launchBrowser, openWindow, press, say, seen, watch } from '../support/browser.ts'

// What strangers write, and what the page knows of its own person, in a real browser.

const IMAGE = '<img src=x onerror="ran=1">'
const MARKUP = [
  IMAGE,
  '"><svg onload=ran=1>',
  '<script>ran=1</script>',
  '<iframe srcdoc="<script>parent.ran=1</script>"></iframe>',
  '<a href="javascript:ran=1">here</a>',
  'javascript:ran=1'
]
const PASSCODE = 'open-sesame-1'

let browser: Browser
before(async () => {
  browser = await launchBrowser()
})
after(() => browser.close())

function post({ url }: Baton, path: string, body: object, headers: Record<string, string> = {}) {
  return fetch(url + path, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body)
  })
}

/** Waits until the text is there, letter for letter. */
const shown = (page: Page, list: string, text: string) =>
  page.locator(list).getByText(text, { exact: true }).first().waitFor()

test('markup in rooms, names, messages, comments, headers, destinations and refusals stays text', async () => {
  await using baton = await startBaton()
  const { page, faults } = await openWindow(browser)
  await page.goto(`${baton.url}/#${new URLSearchParams({ room: IMAGE })}`)
  assert.equal(await field(page, 'Room').inputValue(), IMAGE)
  await join(page, IMAGE, IMAGE)
  await shown(page, '#room-title', IMAGE)
  await seen(page, `${IMAGE} joined`)
  await shown(page, '#sessions', IMAGE)
  await watch(page, `/topic/${IMAGE}`)
  await shown(page, '#watched', `/topic/${IMAGE}`)
  await watch(page, `/nowhere/${IMAGE}`)
  await page.getByRole('alert').getByText(`/nowhere/${IMAGE}`).waitFor()

  for (const text of MARKUP) {
    const chat = { type: 'TALK', roomId: IMAGE, sender: text, message: `said ${text}`, sendDate: text }
    assert.equal((await post(baton, '/pub/chat/message', chat)).status, 202)
    const comment = { commentId: text, sender: text, message: `noted ${text}`, sendDate: text }
    assert.equal((await post(baton, '/pub/comments', comment)).status, 202)
    assert.equal((await post(baton, '/pub/likes', { commentId: text })).status, 202)
    const raw = await post(baton, `/topic/${encodeURIComponent(IMAGE)}`, { [text]: text }, { 'x-note': text })
    assert.equal(raw.status, 202)
    await seen(page, `said ${text}`)
    await shown(page, '#comment-list', `noted ${text}`)
    await shown(page, '#frames', JSON.stringify({ [text]: text }))
  }
  await press(page, 'Load older messages')
  await seen(page, 'This is where the history begins')

  const alien = '#desk :is(img, iframe, script, a, [onload], [onerror]), #notices :is(img, svg, iframe, script, a)'
  assert.equal(await page.locator(alien).count(), 0)
  assert.equal(await page.evaluate('typeof ran'), 'undefined')
  assert.deepEqual(faults, [])
})

test('the passcode is kept in memory only: in no storage, cookie, address or request line', async () => {
  await using baton = await startBaton({
    config: {
      lifecycle: { drainTimeoutMs: 0 },
      auth: { mode: 'users', users: [{ login: 'ann', passcode: PASSCODE }] },
      routes: {
        chat: {
          topic: 'chat',
          channel: 'chat:{roomId}',
          destination: '/sub/{roomId}',
          allow: { send: 'authenticated', subscribe: 'authenticated', history: 'authenticated' },
          send: { destination: '/pub/chat' }
        }
      }
    }
  })
  const { page, faults } = await openWindow(browser)
  const asked: string[] = []
  page.on('request', request => asked.push(request.url()))
  page.on('websocket', socket => asked.push(socket.url()))
  await page.goto(baton.url)
  await page.getByText('Sign in with a token or passcode').click()
  await field(page, 'Token or passcode').fill(PASSCODE)
  await join(page, 'ann', 'lobby')
  await say(page, 'I am in')
  await seen(page, 'I am in')
  await press(page, 'Load older messages')
  await seen(page, 'This is where the history begins')

  const kept = async () => [
    JSON.stringify(await page.context().storageState()),
    await page.evaluate<string>('JSON.stringify([{ ...sessionStorage }, document.cookie, location.href])')
  ]
  assert.match(`${await kept()}`, /"name":"ann"/)
  assert.ok(asked.some(url => url.startsWith('ws:')) && asked.some(url => url.includes('/history?')))
  for (const text of [...asked, ...(await kept())]) assert.ok(!text.includes(PASSCODE), text)
  await press(page, 'Leave')
  await page.locator('#state[data-state=offline]').waitFor()
  assert.equal(await page.locator('#token').inputValue(), '')
  assert.deepEqual(faults, [])
})
