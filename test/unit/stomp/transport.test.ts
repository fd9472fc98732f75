import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import { after, describe, test } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { WebSocket, WebSocketServer } from 'ws'
import { writeMessageHeader } from '../../../src/stomp/message-header.ts'
import { createWebSocketTransport } from '../../../src/stomp/socket-transport.ts'
import type { Transport } from '../../../src/stomp/transport.ts'
import { stompPair } from '../../support/stomp-pair.ts'
import { once, waitFor } from '../../support/wait.ts'

/** A real WebSocket, whose server end is a transport. */
async function connect(sendQueueBytes = 1e6) {
  const http = createServer()
  const server = new WebSocketServer({ noServer: true, perMessageDeflate: false, maxPayload: 10_000 })
  const { promise: transport, resolve } = Promise.withResolvers<Transport>()
  http.on('upgrade', (request, socket: Duplex, head) => {
    server.handleUpgrade(request, socket, head, ws => resolve(createWebSocketTransport(ws, socket, { sendQueueBytes })))
  })
  await new Promise<void>(listening => http.listen(0, '127.0.0.1', listening))
  const ws = new WebSocket(`ws://127.0.0.1:${(http.address() as AddressInfo).port}`)
  after(() => {
    ws.terminate()
    http.close()
  })
  const received: { data: Buffer; binary: boolean }[] = []
  ws.on('message', (data, binary) => received.push({ data: data as Buffer, binary }))
  const events: string[] = []
  const opened = await transport
  const data: Buffer[] = []
  opened.start({
    data: bytes => void data.push(bytes),
    closed: () => void events.push('closed'),
    overflow: () => void events.push('overflow'),
    queued: () => undefined
  })
  await once(ws, 'open', { what: 'the socket to open' })
  return { ws, transport: opened, received, data, events }
}

/** Writes to a client that does not read. */
const fill = (transport: Transport, isFull: () => boolean, what: string) =>
  waitFor(
    () => {
      transport.write(Buffer.alloc(60_000))
      return isFull()
    },
    { what }
  )

describe('the WebSocket transport', () => {
  test('a frame is one message: text if all of it is UTF-8, else binary', async () => {
    const { transport, received } = await connect()
    const frames = ['\n', 'MESSAGE\n\n안녕\0', `MESSAGE\n\n${'x'.repeat(300)}\0`, `MESSAGE\n\n${'x'.repeat(70_000)}\0`]
    for (const frame of frames) transport.write(Buffer.from(frame))
    transport.write(Buffer.from([0xff, 0xfe, 0]))
    await waitFor(() => received.length === 5, { what: 'five messages' })
    assert.deepEqual(
      received.slice(0, 4).map(({ data }) => String(data)),
      frames
    )
    assert.deepEqual(
      received.map(({ binary }) => binary),
      [false, false, false, false, true]
    )
  })

  test('T5 text and binary messages are both taken', async () => {
    const { ws, data } = await connect()
    ws.send('SEND\n')
    ws.send(Buffer.from('\n\0'))
    await waitFor(() => data.length === 2, { what: 'two messages' })
    assert.equal(String(Buffer.concat(data)), 'SEND\n\n\0')
  })

  test('T8 text that is not UTF-8 is answered with 1007, a message too big with 1009', async () => {
    const bad = await connect()
    bad.ws.send(Buffer.from([0xff]), { binary: false })
    assert.equal((await once(bad.ws, 'close', { what: 'the close' }))[0], 1007)
    const big = await connect()
    big.ws.send(Buffer.alloc(10_001))
    assert.equal((await once(big.ws, 'close', { what: 'the close' }))[0], 1009)
  })

  test('T8 a close code and its reason arrive after what was written before', async () => {
    const { ws, transport, received, events } = await connect()
    transport.write(Buffer.from('ERROR\n\n\0'))
    transport.close(1013, 'client reads too slowly')
    transport.write(Buffer.from('never'))
    const [code, reason] = await once(ws, 'close', { what: 'the close' })
    assert.deepEqual([code, String(reason)], [1013, 'client reads too slowly'])
    assert.equal(received.length, 1)
    await waitFor(() => events.includes('closed'), { what: 'the closed event' })
  })

  test('T8 a ping is answered by a pong and is no data', async () => {
    const { ws, data } = await connect()
    ws.ping('x')
    await once(ws, 'pong', { what: 'the pong' })
    assert.equal(data.length, 0)
  })

  test('a client that does not read fills the send queue, which is told once', async () => {
    const { ws, transport, events } = await connect(100_000)
    ws.pause()
    await fill(transport, () => events.length > 0, 'the overflow')
    transport.write(Buffer.alloc(10))
    assert.deepEqual(events, ['overflow'])
    assert.ok(transport.halfFull)
    assert.ok(transport.queuedBytes < 200_000)
  })

  test('what is written later comes in its turn, and is rendered only when all before it was read', async () => {
    const { ws, transport, received } = await connect(1e9)
    let rendered = 0
    const later = (letter: string) => () => {
      rendered++
      return Buffer.from([0x81, 1, letter.charCodeAt(0)])
    }
    const letters = () => received.map(({ data }) => String(data)).filter(({ length }) => length === 1)
    ws.pause()
    await fill(transport, () => transport.queuedBytes > 0, 'bytes to wait')
    const before = transport.queuedBytes
    transport.writeLater(3, later('a'))
    transport.write(Buffer.from('b'))
    transport.writeLater(3, later('c'))
    const flushed = new Promise<void>(resolve => transport.writeFramed(later('d')(), resolve))
    rendered = 0
    assert.equal(transport.queuedBytes, before + 12)
    await nextTurn()
    assert.equal(rendered, 0)
    ws.resume()
    await waitFor(() => letters().length === 4, { what: 'all messages' })
    await flushed
    assert.equal(letters().join(''), 'abcd')
    assert.equal(rendered, 2)
    assert.equal(transport.queuedBytes, 0)
    transport.write(Buffer.from('e'))
    transport.writeLater(3, later('f'))
    transport.close(1000, '')
    await once(ws, 'close', { what: 'the close' })
    assert.equal(letters().join(''), 'abcdef')
  })

  test('over the bound of the send queue what was to be written later is forgotten, and only the last word is sent', async () => {
    const { ws, transport, received, events } = await connect(100_000)
    ws.pause()
    await fill(transport, () => transport.queuedBytes > 0, 'bytes to wait')
    let flushed = 0
    transport.writeLater(200_000, () => assert.fail('rendered'))
    transport.writeFramed(Buffer.from([0x81, 1, 0x61]), () => void flushed++)
    transport.write(Buffer.from('MESSAGE\n\n\0'))
    transport.writeLater(3, () => assert.fail('rendered'))
    transport.close(1013, '', Buffer.from('ERROR\n\n\0'))
    transport.write(Buffer.from('MESSAGE\n\n\0'))
    assert.deepEqual([events, flushed], [['overflow'], 1])
    ws.resume()
    await once(ws, 'close', { what: 'the close' })
    const frames = received.map(({ data }) => `${data}`).filter(text => !text.startsWith('\0'))
    assert.deepEqual(frames, ['ERROR\n\n\0'])
  })

  test('flushed is called when the bytes left, and also when they never will', async () => {
    const { ws, transport } = await connect()
    await new Promise<void>(flushed => transport.writeFramed(Buffer.from([0x81, 0]), flushed))
    ws.terminate()
    await waitFor(() => transport.queuedBytes === 0 && ws.readyState === ws.CLOSED, { what: 'the end' })
    await new Promise<void>(flushed => transport.writeFramed(Buffer.from([0x81, 0]), flushed))
  })

  test('tells when what waited has left, and nothing once the socket is gone', async () => {
    const { ws, transport } = await connect(1e9)
    const told: string[] = []
    ws.pause()
    await fill(transport, () => transport.queuedBytes > 100_000, 'bytes to wait')
    transport.whenSent(() => told.push(`${transport.queuedBytes} left`))
    ws.resume()
    await waitFor(() => told.length > 0, { what: 'all to have left' })
    ws.pause()
    await fill(transport, () => transport.queuedBytes > 100_000, 'bytes to wait')
    transport.whenSent(() => told.push('in vain'))
    ws.terminate()
    await waitFor(() => transport.queuedBytes === 0, { what: 'the end' })
    transport.whenSent(() => told.push('too late'))
    await nextTurn()
    assert.deepEqual(told, ['0 left'])
  })

  test('bytes that the kernel took whole may change, those that wait may not', async () => {
    const { ws, transport, received } = await connect(1e9)
    const messages: Buffer[] = []
    const bytes = Buffer.from([0x82, 126, 0x10, 0, ...Buffer.alloc(4096)])
    ws.pause()
    let isKept = false
    for (; !isKept && messages.length < 10_000; messages.push(Buffer.from(bytes.subarray(4)))) {
      bytes.fill(messages.length % 251, 4)
      isKept = transport.writeFramed(bytes)
    }
    assert.ok(isKept)
    assert.ok(messages.length > 1)
    ws.resume()
    await waitFor(() => received.length === messages.length, { what: 'all messages' })
    assert.deepEqual(
      received.map(({ data }) => data),
      messages
    )
  })

  test('a paused socket is not read', async () => {
    const { ws, transport, data } = await connect()
    transport.pause()
    assert.equal(transport.paused, true)
    await waitFor(
      () => {
        for (let i = 0; i < 50; i++) ws.send(Buffer.alloc(9000))
        return ws.bufferedAmount > 100_000
      },
      { what: 'the way to the server to be full' }
    )
    assert.equal(data.length, 0)
    transport.resume()
    await waitFor(() => ws.bufferedAmount === 0, { what: 'all to be read' })
    assert.equal(transport.paused, false)
  })
})

test('message headers are as RFC 6455 writes them, at every length', () => {
  const header = (length: number) => {
    const bytes = Buffer.alloc(10)
    return bytes.subarray(0, writeMessageHeader(bytes, 0, 2, length)).toString('hex')
  }
  assert.deepEqual([0, 125, 126, 65_535, 65_536, 2 ** 32 + 1].map(header), [
    '8200',
    '827d',
    '827e007e',
    '827effff',
    '827f0000000000010000',
    '827f0000000100000001'
  ])
})

test('on a plain stream frames are written as they are', async () => {
  const { transport, client } = stompPair()
  transport.start({ data() {}, closed() {}, overflow() {}, queued() {} })
  assert.ok(transport.writeFramed(Buffer.from('\n')), 'the other end holds the very bytes')
  transport.write(Buffer.from('RECEIPT\nreceipt-id:1\n\n\0'))
  assert.deepEqual((await client.expect('RECEIPT')).headers, { 'receipt-id': '1' })
  transport.close(1000, 'bye')
  assert.deepEqual(await client.closed(), { code: 1000, reason: 'bye' })
})
