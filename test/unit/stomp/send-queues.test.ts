import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { BatonError } from '../../../src/errors.ts'
import { createSendQueues, type Queued } from '../../../src/stomp/send-queues.ts'
import { waitFor } from '../../support/wait.ts'
import { delivery, serve } from './serve.ts'

const BOUND_BYTES = 1000
const CLIENTS = 8

/** A client that takes what it is told to take, and no more. */
interface Client extends Queued {
  transport: { queuedBytes: number; cut(): void }
  ended: boolean
}

function createClient(): Client {
  const client: Client = {
    transport: {
      queuedBytes: 0,
      cut() {
        this.queuedBytes = 0
      }
    },
    ended: false,
    slow() {
      client.ended = true
    }
  }
  return client
}

const step = fc.record({
  client: fc.nat(CLIENTS - 1),
  /** Below 0: so much is read. */
  bytes: fc.integer({ min: -400, max: 400 })
})

test('together they never hold more than the bound, the longest go first, and only as many as must', () => {
  const property = fc.property(fc.array(step, { maxLength: 300 }), steps => {
    const clients = Array.from({ length: CLIENTS }, createClient)
    const queues = createSendQueues({ sendQueuesBytes: BOUND_BYTES }, clients)
    for (const { client: index, bytes } of steps) {
      const client = clients[index] as Client
      const { transport } = client
      if (client.ended) continue
      if (bytes < 0) {
        transport.queuedBytes = Math.max(0, transport.queuedBytes + bytes)
        continue
      }
      transport.queuedBytes += bytes
      const before = new Map(clients.map(one => [one, one.transport.queuedBytes]))
      queues.grew(bytes)
      assert.ok(queues.bytes() <= BOUND_BYTES, `${queues.bytes()} bytes`)
      const cut = clients.filter(one => (before.get(one) as number) > one.transport.queuedBytes)
      const lengths = cut.map(one => before.get(one) as number)
      for (const kept of clients.filter(one => !one.ended))
        assert.ok(kept.transport.queuedBytes <= Math.min(...lengths), 'a shorter queue went before a longer one')
      assert.ok(cut.every(one => one.ended))
      assert.ok(cut.length === 0 || queues.bytes() + Math.min(...lengths) > 0.75 * BOUND_BYTES, 'one too many went')
    }
  })
  fc.assert(property)
})

test('what is read again and again costs a measurement for each quarter of the bound, and nobody is ended', () => {
  const client = createClient()
  let measured = 0
  const all: Iterable<Queued> = {
    *[Symbol.iterator]() {
      measured++
      yield client
    }
  }
  const queues = createSendQueues({ sendQueuesBytes: BOUND_BYTES }, all)
  const WRITES = 10_000
  for (let n = 0; n < WRITES; n++) {
    client.transport.queuedBytes = 10
    queues.grew(10)
    client.transport.queuedBytes = 0
  }
  assert.equal(client.ended, false)
  // Each looks at all of them twice.
  assert.ok(measured <= (2 * WRITES * 10) / (BOUND_BYTES / 4), `measured ${measured} times`)
})

test('new sessions are refused while nearly all is used, and let in once it is read', async () => {
  const client = createClient()
  const queues = createSendQueues({ sendQueuesBytes: BOUND_BYTES }, [client])
  const isFull = () => {
    try {
      queues.check()
      return false
    } catch (error) {
      assert.ok(error instanceof BatonError && error.code === 'SEND_QUEUES_FULL')
      assert.equal(error.retryAfterS, 5)
      return true
    }
  }
  assert.equal(isFull(), false)
  client.transport.queuedBytes = 0.8 * BOUND_BYTES
  queues.grew(0.8 * BOUND_BYTES)
  assert.equal(isFull(), true)
  client.transport.queuedBytes = 0
  await waitFor(() => !isFull(), { what: 'to be let in again' })
})

test('a session that is ended for it says so by SLOW_CONSUMER, and those that read go on', async () => {
  const { connect, publish, metrics, server, audienceOf } = serve({ sendQueuesBytes: 200_000 })
  const stalled = await connect()
  const reader = await connect()
  for (const client of [stalled, reader]) {
    client.send('SUBSCRIBE\nid:0\ndestination:/sub/1\nreceipt:r\n\n^@')
    await client.expect('RECEIPT')
  }
  stalled.duplex.pause()
  let sent = 0
  const isCut = async () => {
    publish('/sub/1', delivery(`${++sent}`, Buffer.alloc(20_000)))
    assert.equal((await reader.expect('MESSAGE')).headers['message-id'], `${sent}`)
    assert.ok(server.queuedBytes() <= 200_000)
    return audienceOf('/sub/1').size === 1
  }
  await waitFor(isCut, { what: 'the session to be ended' })
  assert.ok(sent < 20, `${sent} messages fitted`)
  assert.deepEqual((await metrics.slowCloses.get()).values[0]?.labels, { cause: 'memory' })
  assert.deepEqual((await metrics.refused.get()).values[0]?.labels, { code: 'SLOW_CONSUMER' })
  assert.equal((await stalled.closed()).code, 1013)
})
