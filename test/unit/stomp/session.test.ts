import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { describe, test } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { stompPair } from '../../support/stomp-pair.ts'
import { deadline, waitFor } from '../../support/wait.ts'
import { delivery, refused, serve } from './serve.ts'

const BIND = 'SUBSCRIBE\nid:0\ndestination:/sub/1\nreceipt:s\n\n^@'

describe('a session', () => {
  test('an ERROR says what, with a code, and is followed by the close', async () => {
    const { connect, metrics, seen } = serve()
    const client = await connect()
    client.send('SUBSCRIBE\nid:0\ndestination:/nowhere\nreceipt:a\\cb\n\n^@')
    const { headers, body } = await refused(client, 'UNKNOWN_DESTINATION', 1008)
    assert.deepEqual(headers, {
      message: 'no route takes this destination',
      code: 'UNKNOWN_DESTINATION',
      'content-type': 'text/plain;charset=utf-8',
      'receipt-id': 'a\\cb',
      'content-length': String(body.length)
    })
    assert.match(String(body), /\/nowhere/)
    assert.equal((await client.closed()).reason, 'no route takes this destination')
    assert.deepEqual((await metrics.refused.get()).values[0]?.labels, { code: 'UNKNOWN_DESTINATION' })
    assert.equal(seen.log.filter(({ code }) => code === 'UNKNOWN_DESTINATION').length, 1)
  })

  test('a fault of ours tells the client nothing, and the log all', async () => {
    const { connect, world, seen } = serve()
    world.produce = () => Promise.reject(new Error('the inner workings'))
    const client = await connect()
    client.send('SEND\ndestination:/pub/1\n\nx^@')
    const { body } = await refused(client, 'INTERNAL', 1011)
    assert.ok(!String(body).includes('inner'))
    assert.ok(JSON.stringify(seen.log).includes('the inner workings'))
  })

  test('bytes that are no frame are refused after the frames before them were handled', async () => {
    const { connect, seen } = serve()
    const client = await connect()
    client.send('SEND\ndestination:/pub/1\n\nfirst^@SEND\nno colon\n\n^@')
    await refused(client, 'MALFORMED_FRAME', 1002)
    assert.equal(String(seen.requests[0]?.body), 'first')
  })

  test('F12 a body over the limit is refused by its content-length alone', async () => {
    const client = await serve({ maxBodyBytes: 1000 }).connect()
    client.send('SEND\ndestination:/pub/1\ncontent-length:1001\n\n')
    await refused(client, 'FRAME_TOO_LARGE', 1009)
  })

  test('no payload and no passcode is logged', async () => {
    const { connect, seen } = serve()
    const client = await connect('1.2', 'login:me\npasscode:hush\n')
    client.send('SEND\ndestination:/pub/1\n\nbad^@')
    await refused(client, 'INVALID_BODY', 1008)
    assert.ok(seen.log.length > 0)
    assert.ok(!/hush|"bad"/.test(JSON.stringify(seen.log)))
  })

  test('frames are handled one at a time, and the socket is not read beyond the bound', async () => {
    const { connect, world, seen } = serve({ maxPendingFrames: 4 })
    const joined = Promise.withResolvers<void>()
    world.joining = joined.promise
    const client = await connect()
    client.send(BIND)
    await nextTurn()
    for (let i = 0; i < 2000; i++) client.send(`SEND\ndestination:/pub/1\n\n${'x'.repeat(100)}^@`)
    await waitFor(() => client.duplex.writableLength > 100_000, { what: 'the way to the server to be full' })
    assert.equal(seen.requests.length, 0)
    joined.resolve()
    await client.expect('RECEIPT')
    await waitFor(() => seen.requests.length === 2000, { what: 'all frames to be handled' })
  })

  test('one frame may come in many parts however large it is', async () => {
    const { connect, seen } = serve({ maxPendingFrames: 2 })
    const client = await connect()
    client.send('SEND\ndestination:/pub/1\nreceipt:1\n\n')
    for (let i = 0; i < 90; i++) client.send('x'.repeat(1000))
    client.send('^@')
    await client.expect('RECEIPT')
    assert.equal(seen.requests[0]?.body.length, 90_000)
  })

  test('a client that does not read is closed once its send queue is full', async () => {
    const { open, publish, metrics, audienceOf } = serve()
    const client = open({}, { sendQueueBytes: 100_000 })
    client.send(`CONNECT\naccept-version:1.2\n\n^@${BIND}`)
    await client.expect('CONNECTED')
    await client.expect('RECEIPT')
    client.duplex.pause()
    await waitFor(
      () => {
        publish('/sub/1', delivery('1', Buffer.alloc(20_000)))
        return audienceOf('/sub/1').size === 0
      },
      { what: 'the session to be closed' }
    )
    assert.equal((await client.closed()).code, 1013)
    assert.deepEqual((await metrics.slowCloses.get()).values[0]?.labels, { cause: 'bytes' })
    client.duplex.resume()
    let frame = await client.next()
    while (frame.command === 'MESSAGE') frame = await client.next()
    assert.equal(frame.headers['code'], 'SLOW_CONSUMER')
  })

  test('once its send queue is full, it gets nothing that came after what was lost', async () => {
    const { open, publish, audienceOf } = serve()
    const client = open({}, { sendQueueBytes: 100_000 })
    client.send(`CONNECT\naccept-version:1.2\n\n^@${BIND}SUBSCRIBE\nid:1\ndestination:/sub/2\nreceipt:t\n\n^@`)
    for (const command of ['CONNECTED', 'RECEIPT', 'RECEIPT']) await client.expect(command)
    client.duplex.pause()
    let published = 0
    await waitFor(
      () => {
        // It overflows at the first, while the other waits for its flush.
        publish('/sub/1', delivery(`${++published}`, 'small'))
        publish('/sub/2', delivery(`${published}`, Buffer.alloc(20_000)))
        return audienceOf('/sub/1').size === 0
      },
      { what: 'the session to be closed' }
    )
    assert.equal((await client.closed()).code, 1013)
    client.duplex.resume()
    const last = { 0: 0, 1: 0 }
    let frame = await client.next()
    for (; frame.command === 'MESSAGE'; frame = await client.next()) {
      const { subscription, 'message-id': id } = frame.headers
      assert.equal(Number(id), ++last[subscription as unknown as 0 | 1])
    }
    assert.equal(frame.headers['code'], 'SLOW_CONSUMER')
    assert.ok(last[0] < published)
    await assert.rejects(client.next(), /the server closed/, 'ERROR is the last frame')
  })

  test('a client that does not read is closed once its send queue is old', async t => {
    t.mock.timers.enable({ apis: ['setInterval', 'Date'] })
    const { connect, publish, metrics } = serve({ sendQueueAgeMs: 1000 })
    const client = await connect()
    client.send(BIND)
    await client.expect('RECEIPT')
    client.duplex.pause()
    publish('/sub/1', delivery('1', Buffer.alloc(80_000)), delivery('2', Buffer.alloc(80_000)))
    publish('/sub/1', delivery('3', Buffer.alloc(80_000)))
    for (let ms = 0; ms < 2000; ms += 250) {
      await nextTurn()
      t.mock.timers.tick(250)
    }
    assert.equal((await client.closed()).code, 1013)
    assert.deepEqual((await metrics.slowCloses.get()).values[0]?.labels, { cause: 'age' })
    client.drop()
  })

  test('those who are connected are listed and counted', async () => {
    const { connect, server, metrics, open } = serve()
    open()
    const client = await connect('1.2', 'login:me\n')
    client.send(BIND)
    await client.expect('RECEIPT')
    const [session, ...others] = server.sessions()
    assert.deepEqual([session?.principal, session?.destinations, others], ['me', ['/sub/1'], []])
    assert.equal((await metrics.sessions.get()).values[0]?.value, 1)
    assert.equal((await metrics.subscriptions.get()).values[0]?.value, 1)
  })
})

describe('the end of the server', () => {
  test('all sessions are closed with 1001, within the window, and nobody is taken in any more', async () => {
    const { connect, server, open } = serve()
    const clients = [await connect(), await connect(), await connect()]
    const drained = server.drain({ windowMs: 50 })
    for (const client of clients) assert.deepEqual(await client.closed(), { code: 1001, reason: 'going away' })
    await deadline(drained, 5000, 'the drain')
    assert.equal((await open().closed()).code, 1001)
  })

  test('what was sent before is acknowledged first', async () => {
    const { connect, server, world, seen } = serve()
    const acknowledged = Promise.withResolvers<[]>()
    world.produce = () => acknowledged.promise
    const client = await connect()
    client.send('SEND\ndestination:/pub/1\nreceipt:1\n\nx^@')
    await waitFor(() => seen.produced.length === 1, { what: 'the SEND' })
    const drained = server.drain({ windowMs: 0 })
    client.send('SEND\ndestination:/pub/1\nreceipt:2\n\nlate^@')
    await nextTurn()
    acknowledged.resolve([])
    assert.equal((await client.expect('RECEIPT')).headers['receipt-id'], '1')
    await assert.rejects(client.next(), /closed/)
    await deadline(drained, 5000, 'the drain')
    assert.equal(seen.produced.length, 1)
  })
})

describe('an independent reader', () => {
  interface StompitFrame {
    headers: Record<string, string>
    readString(encoding: string, done: (error: Error | null, body: string) => void): void
  }
  interface StompitClient {
    connect(headers: object, done: (error: Error | null) => void): void
    subscribe(headers: object, onMessage: (error: Error | null, message: StompitFrame) => void): void
    ack(message: StompitFrame): void
    send(headers: object, options: object): { end(body: string): void }
    disconnect(done: (error: Error | null) => void): void
    destroy(): void
  }
  const stompit = createRequire(import.meta.url)('stompit') as { Client: new (transport: object) => StompitClient }

  test('stompit reads what we write and we read what it writes', async () => {
    const { server, publish, audienceOf, seen } = serve()
    const { transport, client: end } = stompPair()
    server.accept(transport, { path: '/ws', remoteAddress: '192.0.2.1' })
    end.duplex.removeAllListeners('data')
    const client = new stompit.Client(end.duplex)
    await new Promise<void>((resolve, reject) =>
      client.connect({ host: '/', 'accept-version': '1.2', 'heart-beat': '0,0' }, error =>
        error ? reject(error) : resolve()
      )
    )
    const received = new Promise<[Record<string, string>, string]>((resolve, reject) => {
      client.subscribe({ destination: '/sub/1', ack: 'client-individual', id: 's:1' }, (error, message) => {
        if (error) return reject(error)
        message.readString('utf-8', (failure, body) => {
          if (failure) return reject(failure)
          client.ack(message)
          resolve([message.headers, body])
        })
      })
    })
    await waitFor(() => audienceOf('/sub/1').size === 1, { what: 'the subscription' })
    publish('/sub/1', delivery('e.1', '안녕\n🙂', 'sender\\cname:a\\cb\\n\\\\c\n', 3))
    const [headers, body] = await deadline(received, 5000, 'the message')
    assert.equal(body, '안녕\n🙂')
    assert.equal(headers['subscription'], 's:1')
    assert.equal(headers['sender:name'], 'a:b\n\\c')
    assert.equal(headers['gap'], '3')
    client.send({ destination: '/pub/1', 'x:y': 'a\\b:c\n' }, {}).end('bye 🙂')
    await new Promise<void>((resolve, reject) => client.disconnect(error => (error ? reject(error) : resolve())))
    assert.equal(String(seen.requests[0]?.body), 'bye 🙂')
    assert.equal(seen.requests[0]?.headers['x:y'], 'a\\b:c\n')
    client.destroy()
  })
})
