import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import { startEdge } from '../bench/edges.ts'
import { startLoad } from '../bench/load.ts'
import { residentKib } from '../bench/measure.ts'
import { openWorld } from '../bench/world.ts'
import { startBaton } from '../support/baton.ts'
import { connectSocket } from '../support/raw-client.ts'

// Clients that stop reading, beside others in their room. Ids are unique, so that what waits for one waits for it alone.

const READERS = 1000
const STALLED = 1000
const SLOW_BYTES = 65_536
const SEND_QUEUE_BYTES = 131_072
/** More for each than what may wait and what the kernel takes together. */
const MESSAGES = 150
const BODY_BYTES = 3000
/** Sockets, garbage and the code itself, under load; and one write, which may go over the bound. */
const MARGIN_KIB = 160 * 1024
const MESSAGE_BYTES = 900_000

const world = openWorld(1, true)
after(() => world[Symbol.asyncDispose]())

/** 1,000 clients read and get everything in order; 1,000 stall meanwhile, for whom so many bytes may wait, and read afterwards. */
async function besideStalled(slow: 'close' | 'conflate' | 'drop', bytes: number) {
  const route = { slow, slowBytes: SLOW_BYTES }
  await using edge = await startEdge(world, { route, stomp: { sendQueueBytes: SEND_QUEUE_BYTES } })
  const before = residentKib(edge.pid).now
  const room = { rooms: 1, members: READERS, stalled: STALLED, id: 'unique' }
  const flow = { window: 8, bytes: BODY_BYTES, warmMs: 0, ms: 1, expect: MESSAGES }
  const load = await startLoad('drive', { ...edge.load, pid: edge.pid, ...room, ...flow })
  const { messages, orderFaults, caughtUp, skipped, turnedAway } = await load.result()
  const grownKib = residentKib(edge.pid).most - before
  const mostKib = (STALLED * bytes) / 1024 + MARGIN_KIB
  assert.ok(grownKib < mostKib, `the replica grew by ${grownKib} KiB, ${mostKib} at most`)
  assert.ok(messages >= MESSAGES)
  assert.equal(orderFaults, 0)
  const counted = await metric(`http://${edge.load.host}:${edge.load.port}`, `baton_slow_skips_total{policy="${slow}"}`)
  return { caughtUp, turnedAway, skipped, counted }
}

async function metric(url: string, name: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text()
  const line = text.split('\n').find(candidate => candidate.startsWith(name))
  return Number(line?.split(' ').at(-1) ?? 0)
}

describe('1,000 clients that read nothing, among 2,000 in a room', () => {
  for (const slow of ['conflate', 'drop'] as const) {
    test(`${slow}: stay, hold no more than may wait for them, and are told of each message that they missed`, async () => {
      const { caughtUp, turnedAway, skipped, counted } = await besideStalled(slow, SLOW_BYTES)
      assert.deepEqual([caughtUp, turnedAway], [STALLED, 0])
      assert.ok(skipped > STALLED, `they missed ${skipped} messages`)
      assert.equal(skipped, counted)
    })
  }

  test('close: are closed with 1013 once more waits for them than may', async () => {
    const { caughtUp, turnedAway } = await besideStalled('close', SEND_QUEUE_BYTES)
    assert.deepEqual([caughtUp, turnedAway], [0, STALLED])
  })
})

test('drop: RECEIPTs come all the same, and a resume from before the gap brings what was left out', async () => {
  const topic = {
    topic: 'topic',
    channel: 'topic:{key}',
    destination: '/topic/{key}',
    log: { maxBodyBytes: 2 * MESSAGE_BYTES },
    slow: 'drop',
    slowBytes: SLOW_BYTES,
    send: {}
  }
  await using baton = await startBaton({
    config: { auth: { mode: 'none' }, lifecycle: { drainTimeoutMs: 0 }, routes: { topic } }
  })
  const [slow, publisher, other] = await Promise.all([1, 2, 3].map(() => connectSocket(baton.wsUrl)))
  assert.ok(slow && publisher && other)
  const subscribe = (more = '') => `SUBSCRIBE\nid:0\ndestination:/topic/1\n${more}\n^@`
  let sent = 0
  const send = () => publisher.done(`SEND\ndestination:/topic/1\n\n${sent++} ${'x'.repeat(MESSAGE_BYTES)}^@`)
  const numberOf = ({ body }: { body: Buffer }) => Number.parseInt(String(body), 10)

  await slow.done(subscribe())
  slow.ws.pause()
  while ((await metric(baton.url, 'baton_slow_skips_total{policy="drop"}')) < 3) await send()
  slow.send('SEND\ndestination:/topic/other\nreceipt:mine\n\nx^@')
  await publisher.done('SEND\ndestination:/topic/other\n\nx^@')
  slow.ws.resume()

  let last = await slow.expect('MESSAGE')
  let got = 1
  for (let frame = last; frame.command === 'MESSAGE'; frame = await slow.next()) {
    last = frame
    got = numberOf(frame) + 1
  }
  const missed = sent - got
  assert.ok(missed >= 3)
  await send()
  const next = await slow.expect('MESSAGE')
  assert.deepEqual([numberOf(next), next.headers['gap']], [got + missed, String(missed)])

  other.send(subscribe(`receipt:resumed\nlast-message-id:${last.headers['message-id']}\n`))
  for (let number = got; number < sent; number++) {
    const frame = await other.expect('MESSAGE')
    assert.deepEqual([numberOf(frame), frame.headers['gap']], [number, undefined])
  }
  assert.equal((await other.expect('RECEIPT')).headers['resumed'], 'true')
})
