import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { type Baton, startBaton } from '../support/baton.ts'
import { metric, refusals } from '../support/metric.ts'
import { connectSocket, type RawSocket } from '../support/raw-client.ts'
import { waitFor } from '../support/wait.ts'

// Many clients that read nothing, each within its own bound: together they are bounded too.

const MIB = 1024 * 1024
const BOUND_BYTES = 8 * MIB
const STALLED = 12
const MESSAGE_BYTES = 200_000

let baton: Baton

before(async () => {
  baton = await startBaton({
    env: { BATON_STOMP_SEND_QUEUES_BYTES: `${BOUND_BYTES}`, BATON_LIFECYCLE_DRAIN_TIMEOUT_MS: '0' }
  })
})

after(() => baton.stop())

async function subscribe(): Promise<RawSocket> {
  const socket = await connectSocket(baton.wsUrl)
  await socket.done('SUBSCRIBE\nid:0\ndestination:/topic/stalled\n\n^@')
  return socket
}

test('the longest send queues go once all are over their bound together, newcomers wait, and who reads gets all', async () => {
  const reader = await subscribe()
  const stalled = await Promise.all(Array.from({ length: STALLED }, subscribe))
  for (const { ws } of stalled) ws.pause()
  const closes = (cause: string) => metric(baton, `baton_slow_closes_total{cause="${cause}"}`)
  let sent = 0

  async function publish(): Promise<void> {
    await reader.done(`SEND\ndestination:/topic/stalled\n\n${sent} ${'x'.repeat(MESSAGE_BYTES)}^@`)
    assert.equal(Number.parseInt(String((await reader.expect('MESSAGE')).body), 10), sent++)
  }

  async function isRefused(): Promise<boolean> {
    const response = await fetch(`${baton.url}/livez`)
    assert.equal(response.status, 200)
    const came = await connectSocket(baton.wsUrl).catch((error: Error) => error)
    if (!(came instanceof Error)) came.ws.terminate()
    return came instanceof Error && /503/.test(came.message)
  }

  await waitFor(async () => publish().then(isRefused), { what: 'newcomers to be refused', deadlineMs: 20_000 })
  assert.equal(await closes('memory'), 0)
  assert.ok((await refusals(baton, 'SEND_QUEUES_FULL')) > 0)
  await waitFor(() => publish().then(async () => (await closes('memory')) > 0), { what: 'a session to be ended' })
  const queued = await waitFor(() => metric(baton, 'baton_send_queues_bytes '), { what: 'the gauge to be set' })
  assert.ok(queued <= BOUND_BYTES, `${queued} bytes are queued`)
  assert.equal(await closes('bytes'), 0)
  const ended = await closes('memory')
  assert.ok(ended < STALLED, 'all were ended')

  for (const { ws } of stalled) ws.resume()
  await waitFor(async () => !(await isRefused()), { what: 'newcomers to be let in' })
  const isCut = stalled.map(({ ws }) => ws.readyState !== ws.OPEN)
  assert.equal(isCut.filter(Boolean).length, await closes('memory'))
})
