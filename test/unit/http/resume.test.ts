import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Client } from '@stomp/stompjs'
import { createResuming } from '../../../src/http/console/resume.js'
import { waitFor } from '../../support/wait.ts'
import { frame, message, receipt, scripted } from './scripted.ts'
import { serve } from './serve.ts'

test('after a lost connection it subscribes again from the last message it saw', async () => {
  const ready: object[] = []
  const got: string[] = []
  await using it = await scripted((command, headers, ws) => {
    if (command !== 'SUBSCRIBE') return
    if (!headers['last-message-id']) for (const id of ['m1', 'm2']) message(ws, headers['id'] as string, id)
    receipt(ws, headers, { resumed: String('last-message-id' in headers), 'last-message-id': 'older' })
  })
  it.link.subscribe('/a', ({ body }) => got.push(body), {
    history: 5,
    onReady: how => ready.push(how)
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
    { resumed: false, first: true, lastId: 'm2' },
    { resumed: true, first: false, lastId: 'older' }
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

test('a gap is told once: before its message, or by the receipt where no message told it', async () => {
  const told: string[] = []
  let answers = 0
  await using it = await scripted((command, headers, ws) => {
    if (command !== 'SUBSCRIBE') return
    const answer = ++answers
    if (answer === 2) message(ws, headers['id'] as string, 'm2', { gap: '12' })
    receipt(ws, headers, { resumed: 'false', 'last-message-id': `r${answer}`, ...(answer > 1 && { gap: '12' }) })
  })
  let ready = 0
  it.link.subscribe('/a', () => undefined, {
    onGap: (gap, before) => told.push(`${gap} ${before?.body ?? 'receipt'}`),
    onReady: () => ready++
  })
  it.link.start()
  for (const round of [1, 2, 3]) {
    await waitFor(() => ready === round, { what: `receipt ${round}` })
    it.sockets.at(-1)?.terminate()
  }
  await waitFor(() => ready === 4, { what: 'the last receipt' })
  assert.deepEqual(told, ['12 m2', '12 receipt', '12 receipt'])
  assert.deepEqual(
    it.subscribes().map(headers => headers['last-message-id']),
    [undefined, 'r1', 'm2', 'r3']
  )
})

test('it goes on after the message-id of an earlier visit', async () => {
  await using it = await scripted((command, headers, ws) => {
    if (command === 'SUBSCRIBE') receipt(ws, headers, { resumed: 'true', 'last-message-id': 'now' })
  })
  const ready: object[] = []
  it.link.subscribe('/a', () => undefined, { after: 'kept', history: 5, onReady: how => ready.push(how) })
  it.link.start()
  await waitFor(() => ready.length === 1, { what: 'the receipt' })
  assert.equal(it.subscribes()[0]?.['last-message-id'], 'kept')
  assert.deepEqual(ready, [{ resumed: true, first: false, lastId: 'now' }])
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
  it.link.subscribe('/b', () => undefined, { onRefused: reason => refused.push(reason) })
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
    const code = [1013, 1011, 1001][tries++]
    if (!code) return receipt(ws, headers)
    ws.send(frame('ERROR', { message: 'not now', 'receipt-id': headers['receipt'] as string }))
    ws.close(code)
  })
  it.link.subscribe('/a', () => undefined, { onReady: () => ready++, onRefused: () => assert.fail('refused for good') })
  it.link.start()
  await waitFor(() => ready === 1, { what: 'the fourth try' })
  assert.deepEqual(it.errors, [])
})

test('a send resolves with its receipt, and rejects with what refused it or when the connection ends before', async () => {
  await using it = await scripted((command, headers, ws) => {
    if (command === 'SEND' && headers['destination'] === '/good') receipt(ws, headers)
    if (command === 'SEND' && headers['destination'] === '/lost') ws.terminate()
    if (command !== 'SEND' || headers['destination'] !== '/bad') return
    ws.send(frame('ERROR', { message: 'no', 'receipt-id': headers['receipt'] as string }, 'no route takes /bad'))
    ws.close(1008)
  })
  await assert.rejects(it.link.send('/good', ''), /not connected/)
  it.link.start()
  await waitFor(() => it.states.at(-1) === 'connected', { what: 'the connection' })
  await it.link.send('/good', 'x')
  await assert.rejects(it.link.send('/lost', 'x'), /ended before it was confirmed/)
  await waitFor(() => it.states.at(-1) === 'connected', { what: 'the next connection' })
  await assert.rejects(it.link.send('/bad', 'x'), /no route takes/)
  assert.deepEqual(it.errors, [])
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
    onState: ({ name }) => states.push(name),
    onError: reason => errors.push(reason)
  })
  link.start()
  await waitFor(() => states.at(-1) === 'stopped', { what: 'the client to stop' })
  assert.deepEqual(errors, ['authentication failed'])
  assert.deepEqual(states, ['connecting', 'stopped'])
  assert.equal(client.active, false)
})
