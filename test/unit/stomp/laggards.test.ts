import assert from 'node:assert/strict'
import { duplexPair } from 'node:stream'
import { describe, test } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import fc from 'fast-check'
import type { Delivery, Gap } from '../../../src/message.ts'
import { createMetrics } from '../../../src/metrics.ts'
import { createAckWindow } from '../../../src/stomp/ack-window.ts'
import type { Member } from '../../../src/stomp/family.ts'
import { createFanout } from '../../../src/stomp/fanout.ts'
import { createDuplexTransport } from '../../../src/stomp/socket-transport.ts'
import { delivery } from './serve.ts'

type Policy = 'conflate' | 'drop'

const POLICIES: Policy[] = ['drop', 'conflate']
const BYTES = 1000
const EOL = Buffer.from('\n')
/** Of a frame, with its headers. */
const MOST_BYTES = 400

interface Got {
  id: number
  gap: Gap
}

/** A room whose members read, and acknowledge, when they are told to. */
function open(policy: Policy, bytes = BYTES) {
  const metrics = createMetrics()
  const audience = createFanout({ flushMs: 0 }, { metrics })('/sub/1', { policy, bytes })
  let count = 0

  function join(id = 'sub-0', windowSize?: number) {
    const [near, far] = duplexPair({ highWaterMark: 0 })
    const transport = createDuplexTransport(near, { sendQueueBytes: bytes + 6 * MOST_BYTES })
    let overflows = 0
    transport.start({ data() {}, closed() {}, queued() {}, overflow: () => void overflows++ })
    const window = windowSize === undefined ? undefined : createAckWindow('client', windowSize)
    const exceeded = () => void overflows++
    const member: Member = { version: '1.2', id, transport, window, exceeded }
    audience.add(member)
    const got: Got[] = []
    let text = ''

    /** Takes what is ready at the other end, once. */
    async function read(): Promise<void> {
      text += far.read() ?? ''
      await nextTurn()
      const frames = text.split('\0')
      text = frames.pop() as string
      got.push(...frames.filter(frame => frame.includes('MESSAGE\n')).map(gotOf))
    }

    async function readAll(): Promise<void> {
      do await read()
      while (transport.queuedBytes > 0)
    }

    /** All that were sent, however they were read. */
    function acknowledge(id = got.at(-1)?.id): void {
      window?.acknowledge(String(id))
    }

    return { member, transport, got, read, readAll, acknowledge, overflows: () => overflows }
  }

  return {
    audience,
    metrics,
    join,
    push(gap?: Gap) {
      audience.push(messageOf(++count, gap))
    },
    async skips(): Promise<number> {
      return (await metrics.slowSkips.get()).values[0]?.value ?? 0
    },
    async deliveries(): Promise<number> {
      return (await metrics.deliveries.get()).values[0]?.value ?? 0
    }
  }
}

function messageOf(id: number, gap?: Gap): Delivery {
  return delivery(String(id), 'x'.repeat(200), '', gap)
}

function gotOf(frame: string): Got {
  const header = (name: string) => new RegExp(`^${name}:(.*)$`, 'm').exec(frame)?.[1]
  const gap = header('gap') ?? '0'
  return { id: Number(header('message-id')), gap: gap === 'unknown' ? gap : Number(gap) }
}

type Room = ReturnType<typeof open>

async function flood({ push }: Room, count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    push()
    await nextTurn()
  }
}

describe('a member that reads too slowly', () => {
  test('drop: gets nothing while its queue is over the bound, and is told with the first message after it', async () => {
    const room = open('drop')
    const [slow, quick] = [room.join(), room.join('sub-1')]
    for (let i = 0; i < 20; i++) {
      await flood(room, 1)
      await quick.readAll()
    }
    const before = slow.transport.queuedBytes
    assert.ok(before > BYTES && before <= BYTES + MOST_BYTES)
    await slow.readAll()
    const kept = slow.got.length
    await flood(room, 2)
    await slow.readAll()
    assert.deepEqual(slow.got.slice(kept), [
      { id: 21, gap: 20 - kept },
      { id: 22, gap: 0 }
    ])
    assert.equal(quick.got.length, 20)
    assert.ok(quick.got.every(({ gap }) => gap === 0))
    assert.deepEqual([await room.skips(), await room.deliveries()], [20 - kept, 44 - (20 - kept)])
  })

  test('conflate: gets the latest as soon as it has read, though none comes after it', async () => {
    const room = open('conflate')
    const slow = room.join()
    await flood(room, 20)
    assert.ok(slow.transport.queuedBytes <= BYTES + MOST_BYTES)
    await slow.readAll()
    const kept = slow.got.length - 1
    assert.deepEqual(slow.got.at(-1), { id: 20, gap: 19 - kept })
    assert.deepEqual([await room.skips(), await room.deliveries()], [19 - kept, kept + 1])
    await flood(room, 1)
    await slow.readAll()
    assert.deepEqual(slow.got.at(-1), { id: 21, gap: 0 })
  })

  test('may be sent other frames, and go', async () => {
    for (const policy of POLICIES) {
      const room = open(policy)
      const slow = room.join()
      await flood(room, 20)
      slow.transport.write(Buffer.from('RECEIPT\n\n\0'))
      assert.equal(slow.overflows(), 0)
      assert.equal(room.audience.size, 1)
      room.audience.remove(slow.member)
      assert.equal(room.audience.size, 0)
      await flood(room, 1)
      await slow.readAll()
      assert.ok(slow.got.length < 10, 'it got more after it had gone')
    }
  })

  test('is told unknown where a message that it missed was', async () => {
    for (const policy of POLICIES) {
      const room = open(policy)
      const slow = room.join()
      await flood(room, 10)
      room.push('unknown')
      await flood(room, 10)
      await slow.readAll()
      await flood(room, 1)
      await slow.readAll()
      assert.deepEqual(
        slow.got.filter(({ gap }) => gap !== 0).map(({ gap }) => gap),
        ['unknown']
      )
    }
  })
})

describe('a member that acknowledges too slowly', () => {
  test('drop: gets as many as its window has room for, and is told of the others once half of it is free', async () => {
    const room = open('drop', 1e6)
    const slow = room.join('sub-0', 4)
    for (let i = 0; i < 6; i++) room.push()
    await flood(room, 1)
    await slow.readAll()
    assert.deepEqual(
      slow.got.map(({ id }) => id),
      [1, 2, 3, 4]
    )
    slow.acknowledge(1)
    await flood(room, 1)
    slow.acknowledge(2)
    await flood(room, 1)
    await slow.readAll()
    assert.deepEqual(slow.got.slice(4), [{ id: 9, gap: 4 }])
    assert.equal(slow.overflows(), 0)
  })

  test('conflate: gets the latest once half of its window is free', async () => {
    const room = open('conflate', 1e6)
    const slow = room.join('sub-0', 1)
    await flood(room, 5)
    slow.acknowledge(1)
    await slow.readAll()
    assert.deepEqual(slow.got, [
      { id: 1, gap: 0 },
      { id: 5, gap: 3 }
    ])
    assert.equal(slow.overflows(), 0)
  })

  test('conflate: who comes back in the middle of a tick gets what came in it before', async () => {
    const room = open('conflate', 1e6)
    const slow = room.join('sub-0', 4)
    await flood(room, 6)
    room.push()
    slow.acknowledge(2)
    await slow.readAll()
    assert.deepEqual(slow.got.slice(3), [
      { id: 4, gap: 0 },
      { id: 6, gap: 1 },
      { id: 7, gap: 0 }
    ])
  })
})

test('what was delivered and what was told make up all there was, in order, within the bound, whoever reads when', async () => {
  const who = fc.nat(2)
  const push = fc.record({ count: fc.integer({ min: 1, max: 5 }), gap: fc.constantFrom(undefined, undefined, 3) })
  const step = fc.oneof(
    { weight: 4, arbitrary: fc.record({ push }) },
    { weight: 2, arbitrary: fc.record({ read: who }) },
    { weight: 1, arbitrary: fc.record({ acknowledge: who }) },
    { weight: 1, arbitrary: fc.record({ write: who }) }
  )
  const steps = fc.array(step, { minLength: 20, maxLength: 120 })
  const property = fc.asyncProperty(
    fc.constantFrom(...POLICIES),
    fc.constantFrom(0, 300, BYTES),
    steps,
    async (...run) => {
      const [policy, bytes, steps] = run
      const room = open(policy, bytes)
      const members = [room.join('a'), room.join('b'), room.join('c', 4)]
      let all = 0
      for (const step of steps) {
        if ('push' in step) {
          const { count, gap } = step.push
          for (let i = 0; i < count; i++) room.push(gap)
          all += count * (1 + (gap ?? 0))
          await nextTurn()
        } else if ('read' in step) await members[step.read]?.read()
        else if ('acknowledge' in step) members[step.acknowledge]?.acknowledge()
        else members[step.write]?.transport.write(EOL)
        for (const { transport } of members) assert.ok(transport.queuedBytes <= bytes + 5 * MOST_BYTES + steps.length)
      }
      // A conflated one comes once there is room for it; the last push tells what else was left out.
      const catchUp = async () => {
        for (const { readAll, acknowledge } of members) {
          await readAll()
          acknowledge()
          await readAll()
        }
      }
      await catchUp()
      room.push()
      await nextTurn()
      await catchUp()
      for (const { got, overflows } of members) {
        const ids = got.map(({ id }) => id)
        assert.deepEqual(
          ids,
          [...new Set(ids)].sort((a, b) => a - b)
        )
        assert.equal(
          got.reduce((sum, { gap }) => sum + 1 + Number(gap), 0),
          all + 1
        )
        assert.equal(overflows(), 0)
      }
    }
  )
  await fc.assert(property, { numRuns: 200 })
})
