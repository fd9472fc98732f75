import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Client } from '@stomp/stompjs'
import { createResuming } from '../../../src/http/console/resume.js'
import { waitFor } from '../../support/wait.ts'
import { frame, receipt, scripted } from './scripted.ts'

test('it waits longer after each failure, up to a bound', async t => {
  t.mock.method(Math, 'random', () => 0.999)
  const delays: number[] = []
  const client = new Client({ brokerURL: 'ws://127.0.0.1:1', connectionTimeout: 1000 })
  const link = createResuming(client, {
    minDelayMs: 4,
    maxDelayMs: 50,
    onState: ({ name, delayMs }) => {
      if (name === 'reconnecting' && delayMs !== undefined) delays.push(Math.round(delayMs))
    }
  })
  link.start()
  await waitFor(() => delays.length >= 5, { what: 'five failures' })
  await link.stop()
  assert.deepEqual(delays.slice(0, 5), [8, 16, 32, 50, 50])
})

test('it comes back when the server asks for it and not before, and after the next loss as ever', async () => {
  let refusedAt = 0
  let ready = 0
  await using it = await scripted((command, headers, ws) => {
    if (command !== 'SUBSCRIBE') return
    if (refusedAt > 0) return receipt(ws, headers)
    refusedAt = performance.now()
    ws.send(frame('ERROR', { message: 'not now', 'retry-after': '1', 'receipt-id': headers['receipt'] as string }))
    ws.close(1013)
  })
  it.link.subscribe('/a', () => undefined, { onReady: () => ready++ })
  it.link.start()
  await waitFor(() => it.sockets.length === 2, { what: 'the second connection' })
  // A timer may be a millisecond early.
  assert.ok(performance.now() - refusedAt > 998)
  await waitFor(() => ready === 1, { what: 'the receipt' })
  it.sockets[1]?.terminate()
  await waitFor(() => ready === 2, { what: 'the next receipt' })
  const [first, asked = 0, ownWay = Number.NaN] = it.delaysMs
  assert.equal(first, 0)
  assert.ok(asked >= 1000 && asked < 1010, `${asked} ms`)
  assert.ok(ownWay < 10, `${ownWay} ms`)
})
