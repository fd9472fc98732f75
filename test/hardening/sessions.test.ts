import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { startBaton } from '../support/baton.ts'
import { unique } from '../support/ids.ts'
import { connectSocket, openSocket, type SocketFrame } from '../support/raw-client.ts'
import { deadline, waitFor } from '../support/wait.ts'

// What becomes of sessions when their process goes away, and when another one takes its place.

const AT_ONCE = { env: { BATON_LIFECYCLE_DRAIN_TIMEOUT_MS: '0' } }

async function subscribe(url: string, destination: string, lines = '') {
  const socket = await connectSocket(url)
  const receipt = await socket.done(`SUBSCRIBE\nid:0\ndestination:${destination}\n${lines}\n^@`)
  return { socket, receipt }
}

/** Subscribes, with what is replayed before the RECEIPT. */
async function resume(url: string, destination: string, lastMessageId: string | undefined) {
  const socket = await connectSocket(url)
  socket.send(`SUBSCRIBE\nid:0\ndestination:${destination}\nlast-message-id:${lastMessageId}\nreceipt:r\n\n^@`)
  const replayed: SocketFrame[] = []
  for (;;) {
    const frame = await socket.next()
    if (frame.command === 'RECEIPT') return { socket, receipt: frame.headers, replayed }
    replayed.push(frame)
  }
}

describe('a process that is told to stop', () => {
  const CLIENTS = 200
  const WINDOW_MS = 2000

  test('closes 200 clients with 1001, each at a moment of its own, and exits with 0 before the deadline', async () => {
    await using baton = await startBaton({
      env: { BATON_LIFECYCLE_DRAIN_TIMEOUT_MS: `${WINDOW_MS}`, BATON_LIFECYCLE_DEADLINE_MS: '6000' }
    })
    const destination = `/topic/${unique('drain')}`
    const clients = await Promise.all(
      Array.from({ length: CLIENTS }, async () => (await subscribe(baton.wsUrl, destination)).socket)
    )
    const late = await openSocket(baton.wsUrl)
    const start = performance.now()
    const ends = [...clients, late].map(async socket => ({
      ...(await socket.closed()),
      afterMs: performance.now() - start
    }))
    const stopped = baton.stop()
    await waitFor(async () => (await fetch(`${baton.url}/readyz`)).status === 503, { what: '/readyz to be 503' })
    await assert.rejects(openSocket(baton.wsUrl), /503/)
    const closed = await Promise.all(ends)
    assert.deepEqual(await stopped, { code: 0, signal: null })
    assert.ok(performance.now() - start < 6000)
    for (const { code, reason, left } of closed) assert.deepEqual([code, reason, left], [1001, 'going away', []])
    const times = closed.map(({ afterMs }) => afterMs).toSorted((a, b) => a - b)
    const mostMs = (times[0.9 * CLIENTS] as number) - (times[0.1 * CLIENTS] as number)
    assert.ok(mostMs > WINDOW_MS / 3, `80 % of them within ${mostMs} ms`)
  })

  test('acknowledges what was sent before it says goodbye', async () => {
    await using baton = await startBaton({ env: { BATON_LIFECYCLE_DRAIN_TIMEOUT_MS: '500' } })
    const socket = await connectSocket(baton.wsUrl)
    let sent = 0
    const sending = setInterval(() => socket.send(`SEND\ndestination:/topic/a\nreceipt:${sent++}\n\nx^@`), 1)
    await socket.expect('RECEIPT')
    const stopped = baton.stop()
    const { code, left } = await socket.closed()
    clearInterval(sending)
    assert.equal(code, 1001)
    assert.deepEqual(
      left.map(({ command, headers }) => `${command} ${headers['receipt-id']}`),
      left.map((_, n) => `RECEIPT ${n + 1}`)
    )
    assert.equal((await stopped).code, 0)
  })

  test('does not wait for clients that do not read', async () => {
    await using baton = await startBaton({
      env: { BATON_LIFECYCLE_DRAIN_TIMEOUT_MS: '0', BATON_LIFECYCLE_DEADLINE_MS: '14000' }
    })
    const { socket } = await subscribe(baton.wsUrl, '/topic/a')
    socket.ws.pause()
    assert.deepEqual(await deadline(baton.stop(), 10_000, 'the process to exit'), { code: 0, signal: null })
    socket.ws.resume()
    assert.equal((await socket.closed()).code, 1001)
  })

  test('a second signal ends it at once with 1', async () => {
    await using baton = await startBaton({ env: { BATON_LIFECYCLE_DRAIN_TIMEOUT_MS: '10000' } })
    const { socket } = await subscribe(baton.wsUrl, '/topic/a')
    const stopped = baton.stop()
    await waitFor(() => baton.logs.includes('closing'), { what: 'the first signal to be heard' })
    process.kill(baton.pid, 'SIGTERM')
    assert.equal((await stopped).code, 1)
    await socket.closed()
  })
})

describe('resuming on a process whose memory knows nothing of the one before', () => {
  test('is said: resumed:false and a gap, whether a message was seen before or none', async () => {
    const destination = `/topic/${unique('resume')}`
    await using before = await startBaton(AT_ONCE)
    const { socket: old, receipt } = await subscribe(before.wsUrl, destination)
    old.send(`SEND\ndestination:${destination}\n\nlost^@`)
    const seen = await old.expect('MESSAGE')
    await before.kill()

    await using after = await startBaton(AT_ONCE)
    const unseen = await resume(after.wsUrl, destination, receipt['last-message-id'])
    assert.deepEqual([unseen.receipt['resumed'], unseen.receipt['gap'], unseen.replayed], ['false', 'unknown', []])
    unseen.socket.send(`SEND\ndestination:${destination}\n\nnew^@`)
    const live = await unseen.socket.expect('MESSAGE')

    const { receipt: lost, replayed } = await resume(after.wsUrl, destination, seen.headers['message-id'])
    assert.deepEqual([lost['resumed'], lost['gap']], ['false', 'unknown'])
    assert.deepEqual(
      replayed.map(({ headers, body }) => [String(body), headers['gap']]),
      [['new', 'unknown']]
    )
    const { receipt: whole } = await resume(after.wsUrl, destination, live.headers['message-id'])
    assert.deepEqual([whole['resumed'], whole['gap']], ['true', undefined])
  })
})
