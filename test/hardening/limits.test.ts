import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import fc from 'fast-check'
import { type Baton, startBaton } from '../support/baton.ts'
import { unique } from '../support/ids.ts'
import { metric, refusals } from '../support/metric.ts'
import { connectSocket, openSocket, type RawSocket, refused } from '../support/raw-client.ts'
import { waitFor } from '../support/wait.ts'

// What a client may cost: each bound is told with an ERROR and a close code, and nobody else notices.

const MIB = 1024 * 1024

let baton: Baton
let narrow: Baton

before(async () => {
  const env = { BATON_LIFECYCLE_DRAIN_TIMEOUT_MS: '0' }
  baton = await startBaton({ env: { ...env, BATON_STOMP_SENDS_PER_SECOND: '0' } })
  narrow = await startBaton({
    env: { ...env, BATON_STOMP_SEND_QUEUE_BYTES: '65536', BATON_STOMP_SEND_QUEUE_AGE_MS: '60000' }
  })
})

after(() => Promise.all([baton.stop(), narrow.stop()]))

const connect = () => connectSocket(baton.wsUrl)
const SEND = 'SEND\ndestination:/topic/limits\n'

/** Sends these bytes again and again until the server has had enough: so it is no end that it answers to. */
async function flood(socket: RawSocket, bytes: Buffer): Promise<void> {
  let answered = false
  socket.ws.once('message', () => {
    answered = true
  })
  while (!answered) {
    socket.send(bytes)
    await nextTurn()
  }
}

describe('F12 a frame over its limits is answered with ERROR, then the close', () => {
  const header = (count: number) => Array.from({ length: count }, (_, n) => `h${n}:v\n`).join('')

  test('64 headers pass, 65 do not', async () => {
    const socket = await connect()
    await socket.done(`${SEND}${header(62)}\nx^@`)
    socket.send(`${SEND}${header(64)}\nx^@`)
    await refused(socket, 'TOO_MANY_HEADERS', 1002)
  })

  test('16 KiB of headers pass, more do not, and a header without end neither', async () => {
    const socket = await connect()
    await socket.done(`${SEND}x:${'v'.repeat(16_000)}\n\nx^@`)
    socket.send(`${SEND}x:${'v'.repeat(16_384)}\n\nx^@`)
    await refused(socket, 'FRAME_TOO_LARGE', 1009)
    const endless = await connect()
    await flood(endless, Buffer.alloc(1000, 'v'))
    await refused(endless, 'FRAME_TOO_LARGE', 1009)
  })

  test('a body of 1 MiB passes, one byte more does not', async () => {
    const socket = await connect()
    await socket.done(`${SEND}\n${'x'.repeat(MIB)}^@`)
    socket.send(`${SEND}receipt:r\n\n${'x'.repeat(MIB + 1)}^@`)
    await refused(socket, 'FRAME_TOO_LARGE', 1009)
  })

  test('a content-length over the limit is enough, and a body without end too', async () => {
    const claiming = await connect()
    claiming.send(`${SEND}content-length:${MIB + 1}\n\n`)
    await refused(claiming, 'FRAME_TOO_LARGE', 1009)
    const endless = await connect()
    endless.send(`${SEND}\n`)
    await flood(endless, Buffer.alloc(65_536, 'x'))
    await refused(endless, 'FRAME_TOO_LARGE', 1009)
  })

  test('T8 a WebSocket message far over the limit is closed with 1009', async () => {
    const socket = await connect()
    const before = await refusals(baton, 'FRAME_TOO_LARGE')
    socket.send(`${SEND}\n${'x'.repeat(5 * MIB)}^@`)
    assert.equal((await socket.closed()).code, 1009)
    assert.equal(await refusals(baton, 'FRAME_TOO_LARGE'), before + 1)
  })
})

describe('what a session may hold', () => {
  test('1,000 subscriptions, and not one more', async () => {
    const socket = await connect()
    const subscribe = (n: number) => `SUBSCRIBE\nid:${n}\ndestination:/topic/limits.${n}\n\n^@`
    socket.send(Array.from({ length: 999 }, (_, n) => subscribe(n)).join(''))
    await socket.done(subscribe(999))
    socket.send('SEND\ndestination:/topic/limits.998\n\nx^@')
    assert.equal((await socket.expect('MESSAGE')).headers['subscription'], '998')
    await socket.done('UNSUBSCRIBE\nid:0\n\n^@')
    await socket.done(subscribe(0))
    socket.send(subscribe(1000))
    await refused(socket, 'TOO_MANY_SUBSCRIPTIONS', 1008)
    await waitFor(async () => (await metric(baton, 'baton_subscriptions')) === 0, { what: 'all to be let go of' })
  })

  test('16 transactions, and not one more', async () => {
    const socket = await connect()
    for (let n = 0; n < 16; n++) await socket.done(`BEGIN\ntransaction:${n}\n\n^@`)
    socket.send('BEGIN\ntransaction:16\n\n^@')
    await refused(socket, 'TRANSACTION_TOO_LARGE', 1009)
  })

  test('4 MiB in a transaction, and not more; nothing of it is sent', async () => {
    const socket = await connect()
    const observer = await connect()
    const destination = `/topic/${unique('limits')}`
    await observer.done(`SUBSCRIBE\nid:0\ndestination:${destination}\n\n^@`)
    await socket.done('BEGIN\ntransaction:t\n\n^@')
    const send = `SEND\ndestination:${destination}\ntransaction:t\n\n${'x'.repeat(MIB)}^@`
    for (let n = 0; n < 3; n++) await socket.done(send)
    socket.send(send)
    await refused(socket, 'TRANSACTION_TOO_LARGE', 1009)
    observer.send(`SEND\ndestination:${destination}\n\nlater^@`)
    assert.equal(String((await observer.expect('MESSAGE')).body), 'later')
  })

  test('256 messages unacknowledged, and not one more', async () => {
    const socket = await connect()
    const publisher = await connect()
    const destination = `/topic/${unique('limits')}`
    await socket.done(`SUBSCRIBE\nid:0\ndestination:${destination}\nack:client\n\n^@`)
    const sends = (count: number) => publisher.send(`SEND\ndestination:${destination}\n\nx^@`.repeat(count))
    const take = async (count: number) => {
      for (let n = 1; n < count; n++) await socket.expect('MESSAGE')
      return (await socket.expect('MESSAGE')).headers['ack']
    }
    sends(256)
    await socket.done(`ACK\nid:${await take(256)}\n\n^@`)
    sends(257)
    await take(257)
    await refused(socket, 'SLOW_CONSUMER', 1013)
  })
})

describe('a client that does not read', () => {
  test('is closed with 1013 once its send queue is full; others get all', async () => {
    const destination = `/topic/${unique('slow')}`
    const [slow, quick, publisher] = [
      await connectSocket(narrow.wsUrl),
      await connectSocket(narrow.wsUrl),
      await connectSocket(narrow.wsUrl)
    ]
    for (const socket of [slow, quick]) await socket.done(`SUBSCRIBE\nid:0\ndestination:${destination}\n\n^@`)
    slow.ws.pause()
    const closes = () => metric(narrow, 'baton_slow_closes_total{cause="bytes"}')
    const before = await closes()
    let sent = 0
    for (; (await closes()) === before; sent++) {
      await publisher.done(`SEND\ndestination:${destination}\n\n${sent} ${'x'.repeat(MIB / 4)}^@`)
      assert.equal(Number.parseInt(String((await quick.expect('MESSAGE')).body), 10), sent)
    }
    assert.ok(sent < 200, `${sent} messages fitted`)
    slow.ws.resume()
    let read = 0
    let frame = await slow.next()
    for (; frame.command === 'MESSAGE'; read++) {
      assert.equal(Number.parseInt(String(frame.body), 10), read)
      frame = await slow.next()
    }
    assert.equal(frame.headers['code'], 'SLOW_CONSUMER')
    assert.deepEqual(await slow.closed(), { code: 1013, reason: 'client reads too slowly', left: [] })
    assert.ok(read < sent, 'it was sent all')
  })

  test('nor answers the close, is cut off', async () => {
    const socket = await connectSocket(narrow.wsUrl, { connect: 'login:sleeper\n' })
    const listed = async () => {
      const stats = (await (await fetch(`${narrow.url}/console/stats`)).json()) as { sessions: { principal: string }[] }
      return stats.sessions.some(({ principal }) => principal === 'sleeper')
    }
    assert.equal(await listed(), true)
    socket.ws.pause()
    socket.send('NONSENSE\n\n^@')
    await waitFor(async () => !(await listed()), { deadlineMs: 8000, what: 'the session to be gone' })
    socket.ws.resume()
    await refused(socket, 'UNKNOWN_COMMAND', 1002)
  })

  test('sends thousands of frames that ask for a receipt, and gets each of them in order once it reads', async () => {
    const socket = await connect()
    const count = 20_000
    socket.ws.pause()
    for (let n = 0; n < count; n++) socket.send(`SEND\ndestination:/topic/limits\nreceipt:${n}\n\nx^@`)
    socket.ws.resume()
    for (let n = 0; n < count; n++) assert.equal((await socket.expect('RECEIPT')).headers['receipt-id'], String(n))
  })
})

test('each of them was counted', async () => {
  for (const code of ['TOO_MANY_HEADERS', 'FRAME_TOO_LARGE', 'TOO_MANY_SUBSCRIPTIONS', 'TRANSACTION_TOO_LARGE'])
    assert.ok((await refusals(baton, code)) > 0, code)
  assert.equal(await metric(baton, 'baton_slow_closes_total{cause="acks"}'), 1)
  assert.ok((await metric(narrow, 'baton_slow_closes_total{cause="bytes"}')) > 0)
})

describe('bytes without sense', () => {
  test('end in an ERROR and a close, or are still incomplete; the process goes on', async () => {
    const piece = fc.oneof(
      fc.constantFrom(
        'CONNECT\n',
        'SEND\n',
        'destination:/topic/x\n',
        'content-length:3\n',
        '\n',
        '\0',
        '\r\n',
        ':',
        '\\'
      ),
      fc.constantFrom('SUBSCRIBE\nid:0\ndestination:/topic/x\n\n\0', 'BEGIN\ntransaction:t\n\n\0', 'ACK\nid:1\n\n\0'),
      fc.uint8Array({ maxLength: 40 }).map(bytes => Buffer.from(bytes))
    )
    const property = fc.asyncProperty(fc.boolean(), fc.array(piece, { maxLength: 12 }), async (connected, pieces) => {
      const socket = connected ? await connect() : await openSocket(baton.wsUrl)
      const bytes = pieces.map(part => (typeof part === 'string' ? Buffer.from(part) : part))
      socket.send(...bytes)
      socket.ws.close(1000)
      const { code, left } = await socket.closed()
      const answers = left.filter(({ command }) => command === 'ERROR')
      assert.ok(answers.length <= 1 && (answers.length === 0 || left.at(-1)?.command === 'ERROR'))
      assert.ok(answers.length === 0 ? code === 1000 : code >= 1002, `${code} after ${answers.length} ERRORs`)
    })
    await fc.assert(property, { numRuns: 200 })
    assert.equal((await fetch(`${baton.url}/readyz`)).status, 200)
  })

  test('a megabyte of EOLs is a heart-beat', async () => {
    const socket = await connect()
    socket.send('\n'.repeat(MIB), '\r\n'.repeat(MIB / 2))
    await socket.done('BEGIN\ntransaction:t\n\n^@')
  })
})
