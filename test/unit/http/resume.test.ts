import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Client, type IMessage } from '@stomp/stompjs'
import type { WebSocket } from 'ws'
import { waitFor } from '../../support/wait.ts'
import { serve } from './serve.ts'

// The page's resume helper on the real client, against a server that says what each test scripts.

const { createResuming } = await import(new URL('../../../src/http/console/resume.js', import.meta.url).href)

type Answer = (command: string, headers: Record<string, string>, ws: WebSocket) => void

const frame = (command: string, headers: Record<string, string>, body = '') =>
  `${command}\n${Object.entries(headers)
    .map(([name, value]) => `${name}:${value}\n`)
    .join('')}\n${body}\0`

/** A server that connects everyone and leaves the rest to `answer`; `frames` are those that came, pings left out. */
async function scripted(answer: Answer) {
  const frames: { command: string; headers: Record<string, string> }[] = []
  const sockets: WebSocket[] = []
  const it = await serve({
    edge: {
      accept(ws) {
        sockets.push(ws)
        ws.on('message', data => {
          const [command = '', ...lines] = String(data).split('\n\n', 1)[0]?.split('\n') ?? []
          if (!command) return
          const headers = Object.fromEntries(lines.map(line => line.split(/:(.*)/s, 2) as [string, string]))
          frames.push({ command, headers })
          if (command === 'CONNECT') ws.send(frame('CONNECTED', { version: '1.2' }))
          answer(command, headers, ws)
        })
      }
    }
  })
  const states: string[] = []
  const errors: string[] = []
  const client = new Client({ brokerURL: it.wsUrl })
  const link = createResuming(client, {
    minDelayMs: 1,
    onState: ({ name }: { name: string }) => states.push(name),
    onError: (reason: string) => errors.push(reason)
  })
  const subscribes = () => frames.filter(({ command }) => command === 'SUBSCRIBE').map(({ headers }) => headers)
  return {
    link,
    states,
    errors,
    sockets,
    subscribes,
    async [Symbol.asyncDispose]() {
      await client.deactivate({ force: true })
      await it.server.close()
    }
  }
}

const receipt = (ws: WebSocket, headers: Record<string, string>, more: Record<string, string> = {}) =>
  ws.send(frame('RECEIPT', { 'receipt-id': headers['receipt'] as string, ...more }))

const message = (ws: WebSocket, subscription: string, id: string, more: Record<string, string> = {}) =>
  ws.send(frame('MESSAGE', { subscription, 'message-id': id, destination: '/a', ...more }, id))

test('after a lost connection it subscribes again from the last message it saw', async () => {
  const ready: object[] = []
  const got: string[] = []
  await using it = await scripted((command, headers, ws) => {
    if (command !== 'SUBSCRIBE') return
    if (!headers['last-message-id']) for (const id of ['m1', 'm2']) message(ws, headers['id'] as string, id)
    receipt(ws, headers, { resumed: String('last-message-id' in headers), 'last-message-id': 'older' })
  })
  it.link.subscribe('/a', ({ body }: IMessage) => got.push(body), {
    history: 5,
    onReady: (how: object) => ready.push(how)
  })
  it.link.start()
  await waitFor(() => ready.length === 1, { what: 'the first receipt' })
  it.sockets[0]?.terminate()
  await waitFor(() => ready.length === 2, { what: 'the second receipt' })
  assert.deepEqual(got, ['m1', 'm2'])
  const [first, second] = it.subscribes()
  assert.equal(first?.['history'], '5')
  assert.equal(second?.['last-message-id'], 'm2')
  assert.equal(second?.['history'], undefined)
  assert.deepEqual(ready, [
    { resumed: false, gap: undefined, first: true },
    { resumed: true, gap: undefined, first: false }
  ])
  assert.ok(it.states.includes('reconnecting'))
  assert.equal(it.states.at(-1), 'connected')
})

test('where no message was seen it resumes from where the receipt says', async () => {
  await using it = await scripted((command, headers, ws) => {
    if (command === 'SUBSCRIBE') receipt(ws, headers, { resumed: 'false', 'last-message-id': 'start' })
  })
  let ready = 0
  it.link.subscribe('/a', () => undefined, { onReady: () => ready++ })
  it.link.start()
  await waitFor(() => ready === 1, { what: 'the first receipt' })
  it.sockets[0]?.terminate()
  await waitFor(() => ready === 2, { what: 'the second receipt' })
  assert.equal(it.subscribes()[1]?.['last-message-id'], 'start')
})

test('gaps are told, from a message and from a receipt', async () => {
  const gaps: (string | undefined)[] = []
  await using it = await scripted((command, headers, ws) => {
    if (command !== 'SUBSCRIBE') return
    message(ws, headers['id'] as string, 'm1', { gap: '12' })
    receipt(ws, headers, { resumed: 'false', gap: 'unknown' })
  })
  it.link.subscribe('/a', () => undefined, {
    onGap: (gap: string) => gaps.push(gap),
    onReady: ({ gap }: { gap?: string }) => gaps.push(gap)
  })
  it.link.start()
  await waitFor(() => gaps.length === 2, { what: 'both gaps' })
  assert.deepEqual(gaps, ['12', 'unknown'])
})

test('a subscription that is refused is told so and does not come back, the others do', async () => {
  const refused: string[] = []
  await using it = await scripted((command, headers, ws) => {
    if (command !== 'SUBSCRIBE') return
    if (headers['destination'] === '/b') {
      ws.send(frame('ERROR', { message: 'no', 'receipt-id': headers['receipt'] as string }, 'no route takes /b'))
      ws.close(1008)
    } else receipt(ws, headers)
  })
  let ready = 0
  it.link.subscribe('/a', () => undefined, { onReady: () => ready++ })
  it.link.subscribe('/b', () => undefined, { onRefused: (reason: string) => refused.push(reason) })
  it.link.start()
  await waitFor(() => ready === 2, { what: 'the other subscription to be back' })
  assert.deepEqual(refused, ['no route takes /b'])
  assert.deepEqual(
    it.subscribes().map(({ destination }) => destination),
    ['/a', '/b', '/a']
  )
})

test('a subscription that is refused for now is tried again', async () => {
  let tries = 0
  let ready = 0
  await using it = await scripted((command, headers, ws) => {
    if (command !== 'SUBSCRIBE') return
    if (++tries > 1) return receipt(ws, headers)
    ws.send(frame('ERROR', { message: 'Redis is away', 'receipt-id': headers['receipt'] as string }))
    ws.close(1013)
  })
  it.link.subscribe('/a', () => undefined, { onReady: () => ready++, onRefused: () => assert.fail('refused for good') })
  it.link.start()
  await waitFor(() => ready === 1, { what: 'the second try' })
  assert.deepEqual(it.errors, [])
})

test('a send resolves with its receipt and rejects when the connection ends before', async () => {
  await using it = await scripted((command, headers, ws) => {
    if (command === 'SEND' && headers['destination'] === '/good') receipt(ws, headers)
    if (command === 'SEND' && headers['destination'] === '/lost') ws.terminate()
  })
  await assert.rejects(it.link.send('/good', ''), /not connected/)
  it.link.start()
  await waitFor(() => it.states.at(-1) === 'connected', { what: 'the connection' })
  await it.link.send('/good', 'x')
  await assert.rejects(it.link.send('/lost', 'x'), /ended before it was confirmed/)
})

test('an ERROR at CONNECT stops it: the same credentials would be refused again', async () => {
  await using it = await serve({
    edge: {
      accept: ws =>
        ws.on('message', () => ws.send(frame('ERROR', { message: 'authentication failed' }), () => ws.close(1008)))
    }
  })
  const errors: string[] = []
  const states: string[] = []
  const client = new Client({ brokerURL: it.wsUrl })
  const link = createResuming(client, {
    onState: ({ name }: { name: string }) => states.push(name),
    onError: (reason: string) => errors.push(reason)
  })
  link.start()
  await waitFor(() => states.at(-1) === 'stopped', { what: 'the client to stop' })
  assert.deepEqual(errors, ['authentication failed'])
  assert.deepEqual(states, ['connecting', 'stopped'])
  assert.equal(client.active, false)
})
