import assert from 'node:assert/strict'
import { connect, type Socket } from 'node:net'
import { after, before, describe, test } from 'node:test'
import { type Baton, startBaton } from '../support/baton.ts'
import { metric, refusals } from '../support/metric.ts'
import { deadline, waitFor } from '../support/wait.ts'

// Connections that are held open and give nothing, or take nothing: each is closed within its bound, and counted.

const HEADERS_TIMEOUT_MS = 500
const REQUEST_TIMEOUT_MS = 1500
/** Node looks for what is overdue once a second. */
const CHECK_MS = 1000
const SLACK_MS = 2000

let baton: Baton

before(async () => {
  baton = await startBaton({
    env: {
      BATON_HTTP_HEADERS_TIMEOUT_MS: `${HEADERS_TIMEOUT_MS}`,
      BATON_HTTP_REQUEST_TIMEOUT_MS: `${REQUEST_TIMEOUT_MS}`
    }
  })
})

after(() => baton.stop())

/** Says something, and notes what is answered until the server closes. */
function open(bytes: string): { socket: Socket; answer: Promise<string> } {
  const socket = connect(baton.port, '127.0.0.1')
  socket.write(bytes)
  const { promise: answer, resolve } = Promise.withResolvers<string>()
  let text = ''
  socket.on('data', data => (text += data)).on('error', () => undefined)
  socket.on('close', () => resolve(text))
  return { socket, answer }
}

/** It is answered with 408 and closed, within its time and not before. */
async function overdue(opened: ReturnType<typeof open>, timeoutMs: number): Promise<void> {
  const from = performance.now()
  const text = await deadline(opened.answer, timeoutMs + CHECK_MS + SLACK_MS, 'the server to close')
  assert.ok(performance.now() - from > timeoutMs - 100, 'it was closed too early')
  assert.match(text, /^HTTP\/1\.1 408 [\s\S]*"code":"REQUEST_TIMEOUT"[\s\S]*"retryAfterS":1/)
}

describe('who is slow on purpose is closed within a bound', { concurrency: true }, () => {
  test('a connection that never sends a byte', () => overdue(open(''), HEADERS_TIMEOUT_MS))

  test('a head that comes a byte at a time', async () => {
    const opened = open('GET /livez HTTP/1.1\r\nhost: a\r\nx: ')
    const dribble = setInterval(() => opened.socket.write('x'), 50)
    await overdue(opened, HEADERS_TIMEOUT_MS).finally(() => clearInterval(dribble))
  })

  test('a handshake of a WebSocket that does not end', () =>
    overdue(open('GET /ws HTTP/1.1\r\nhost: a\r\nupgrade: websocket\r\n'), HEADERS_TIMEOUT_MS))

  test('a body that does not come', () =>
    overdue(open('POST /topic/a HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nx'), REQUEST_TIMEOUT_MS))

  test('an answer that is not read', async () => {
    // More than the buffers of two kernels hold.
    const post = () => fetch(`${baton.url}/topic/unread`, { method: 'POST', body: 'x'.repeat(60_000) })
    for (let n = 0; n < 200; n++) assert.equal((await post()).status, 202)
    const before = await refusals(baton, 'SLOW_CONSUMER')
    const { socket, answer } = open('GET /history?destination=/topic/unread&limit=200 HTTP/1.1\r\nhost: a\r\n\r\n')
    socket.pause()
    const isCounted = async () => (await refusals(baton, 'SLOW_CONSUMER')) > before
    await waitFor(isCounted, { deadlineMs: 2 * REQUEST_TIMEOUT_MS + SLACK_MS, what: 'the answer to be given up' })
    socket.resume()
    assert.ok((await deadline(answer, SLACK_MS, 'the connection to end')).length < 200 * 60_000)
  })
})

test('all of them were counted, and the process is as it was', async () => {
  assert.equal(await refusals(baton, 'REQUEST_TIMEOUT'), 4)
  assert.equal(await metric(baton, 'baton_refusals_total{code="INTERNAL"}'), 0)
  assert.doesNotMatch(baton.logs, /"level":(?:40|50|60)/)
  assert.equal((await fetch(`${baton.url}/readyz`)).status, 200)
})

test('what is no HTTP at all is counted too, and so is a path that nothing serves', async () => {
  const before = await refusals(baton, 'MALFORMED_REQUEST')
  await deadline(open('HELO there\r\n\r\n').answer, SLACK_MS, 'the answer')
  await deadline(open(`GET / HTTP/1.1\r\nx: ${'x'.repeat(20_000)}\r\n\r\n`).answer, SLACK_MS, 'the answer')
  assert.equal((await fetch(`${baton.url}/nowhere`)).status, 404)
  assert.equal((await fetch(`${baton.url}/%zz`)).status, 400)
  assert.equal(await refusals(baton, 'MALFORMED_REQUEST'), before + 1)
  for (const code of ['TOO_MANY_HEADERS', 'NOT_FOUND', 'INVALID_QUERY'])
    assert.equal(await refusals(baton, code), 1, code)
})
