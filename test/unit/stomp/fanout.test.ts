import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { createMetrics } from '../../../src/metrics.ts'
import { createAckWindow } from '../../../src/stomp/ack-window.ts'
import type { Member } from '../../../src/stomp/family.ts'
import { createFanout } from '../../../src/stomp/fanout.ts'
import type { Version } from '../../../src/stomp/frame.ts'
import { bytesOf } from '../../../src/stomp/layout.ts'
import type { Framing, Transport } from '../../../src/stomp/transport.ts'
import { waitFor } from '../../support/wait.ts'
import { delivery } from './serve.ts'

const CLOSE = { policy: 'close' } as const

/** A transport that keeps what is written to it, or, as a socket that takes all at once, a copy. */
function recorder(framing: Framing = 'raw', keeps = true) {
  const writes: Buffer[] = []
  const flushes: (() => void)[] = []
  const later: (() => Buffer)[] = []
  const transport = {
    framing,
    halfFull: false,
    queuedBytes: 0,
    writeLater: (_: number, render: () => Buffer) => void later.push(render),
    writeFramed(bytes: Buffer, flushed?: () => void) {
      writes.push(keeps ? bytes : Buffer.from(bytes))
      if (flushed) flushes.push(flushed)
      return keeps
    }
  }
  return {
    transport: transport as typeof transport & Transport,
    writes,
    flushes,
    later,
    text: () => Buffer.concat(writes).toString()
  }
}

interface MemberOptions {
  version?: Version
  framing?: Framing
  id?: string | undefined
  window?: number
  keeps?: boolean
}

function member({ version = '1.2', framing, window, keeps, ...rest }: MemberOptions = {}) {
  const recorded = recorder(framing, keeps)
  const exceeded: number[] = []
  const made: Member = {
    version,
    id: 'id' in rest ? rest.id && bytesOf(rest.id, version) : 'sub-0',
    transport: recorded.transport,
    window: window === undefined ? undefined : createAckWindow('client', window),
    exceeded: () => void exceeded.push(1)
  }
  return { ...recorded, member: made, exceeded }
}

type Recorded = ReturnType<typeof member>

function audience(destination = '/sub/1') {
  const metrics = createMetrics()
  return { metrics, audience: createFanout({ flushMs: 0 }, { metrics })(destination, CLOSE) }
}

const frame = (id: string, body: string, { subscription = 'subscription:sub-0\n', more = '' } = {}) =>
  `MESSAGE\n${subscription}message-id:${id}\ndestination:/sub/1\n${more}content-length:${Buffer.byteLength(body)}\n\n${body}\0`

describe('the fan-out', () => {
  test('a MESSAGE has subscription, message-id, destination, the message’s own headers and its body', async () => {
    const { audience: room } = audience()
    const one = member()
    room.add(one.member)
    room.push(delivery('e.1', 'hello', 'type:TALK\n'))
    await nextTurn()
    assert.equal(one.text(), frame('e.1', 'hello', { more: 'type:TALK\n' }))
  })

  test('who has yet to read gets the frames rendered later, with an id of its own', async () => {
    const { audience: room } = audience()
    const members = ['a', 'b', 'c', 'd'].map(id => member({ id, keeps: false, window: 1 }))
    for (const { member } of members) room.add(member)
    const [a, b, c, d] = members as [Recorded, Recorded, Recorded, Recorded]
    for (const { transport } of [a, c]) Object.assign(transport, { queuedBytes: 1 })
    for (const body of ['one', 'two']) {
      room.push(delivery('e.1', body))
      await nextTurn()
    }
    const both = (id: string) =>
      ['one', 'two']
        .map(body => frame('e.1', body, { subscription: `subscription:${id}\n`, more: 'ack:e.1\n' }))
        .join('')
    assert.deepEqual([a.writes.length, c.writes.length], [0, 0])
    assert.deepEqual(
      [a.later, c.later].map(renders => Buffer.concat(renders.map(render => render())).toString()),
      [both('a'), both('c')]
    )
    assert.deepEqual([b.text(), d.text()], [both('b'), both('d')])
    for (const { exceeded } of members) assert.deepEqual(exceeded, [1])
  })

  test('what comes in one tick is written at once, in order', async () => {
    const { audience: room } = audience()
    const one = member()
    room.add(one.member)
    for (const id of ['1', '2', '3']) room.push(delivery(id, `body ${id}`))
    assert.equal(one.writes.length, 0)
    await nextTurn()
    assert.equal(one.writes.length, 1)
    assert.equal(one.text(), frame('1', 'body 1') + frame('2', 'body 2') + frame('3', 'body 3'))
  })

  test('members of one shape share a buffer, others do not', async () => {
    const { audience: room } = audience()
    const [a, b, c, d, e] = [
      member(),
      member(),
      member({ id: 'x' }),
      member({ version: '1.1' }),
      member({ framing: 'websocket' })
    ]
    for (const one of [a, b, c, d, e]) room.add(one.member)
    room.push(delivery('1', 'hello'))
    await nextTurn()
    assert.equal(a.writes[0], b.writes[0])
    for (const one of [c, d, e]) assert.notEqual(one.writes[0], a.writes[0])
    assert.equal(c.text(), frame('1', 'hello', { subscription: 'subscription:x\n' }))
    assert.equal(d.text(), a.text())
  })

  test('members with ids of their own get their own frames, whatever sockets before them still hold', async () => {
    const { audience: room } = audience()
    const first = member()
    room.add(first.member)
    const ids = ['sub-1', 'sub-2', 'sub-2', 'tub-2', 'sub-1', 'sub-0', 'sub-0', 'tub-3']
    const members = ids.map((id, i) => ({ id, ...member({ id, keeps: [1, 2, 4].includes(i) }) }))
    for (const one of members) room.add(one.member)
    room.remove(first.member)
    for (const id of ['1', '2']) room.push(delivery(id, 'hello'))
    await nextTurn()
    for (const { id, text } of members) {
      const subscription = `subscription:${id}\n`
      assert.equal(text(), frame('1', 'hello', { subscription }) + frame('2', 'hello', { subscription }))
    }
  })

  test('who is removed while others of its channel get their frames gets none', async () => {
    const { audience: room } = audience()
    const [a, b, c, d] = ['a', 'b', 'c', 'd'].map(id => member({ id, window: 1 })) as [
      Recorded,
      Recorded,
      Recorded,
      Recorded
    ]
    b.member.exceeded = () => {
      room.remove(a.member)
      room.remove(c.member)
    }
    const counts = () => [a, b, c, d].map(({ writes }) => writes.length)
    for (const { member } of [a, b, c, d]) room.add(member)
    for (const id of ['1', '2']) room.push(delivery(id, 'hello'))
    await nextTurn()
    assert.deepEqual(counts(), [1, 1, 0, 1])
    room.push(delivery('3', 'hello'))
    await nextTurn()
    assert.deepEqual(counts(), [1, 2, 0, 2])
  })

  test('a member gets nothing from before it was added and all from before it was removed', async () => {
    const { audience: room } = audience()
    const [early, late] = [member(), member()]
    room.add(early.member)
    room.push(delivery('1', 'a'))
    room.add(late.member)
    room.push(delivery('2', 'b'))
    room.remove(early.member)
    room.push(delivery('3', 'c'))
    await nextTurn()
    assert.equal(early.text(), frame('1', 'a') + frame('2', 'b'))
    assert.equal(late.text(), frame('2', 'b') + frame('3', 'c'))
    assert.equal(room.size, 1)
    room.remove(early.member)
    assert.equal(room.size, 1)
  })

  test('channels that have deliveries in the same tick are all flushed', async () => {
    const createAudience = createFanout({ flushMs: 0 }, { metrics: createMetrics() })
    const rooms = ['/sub/1', '/sub/1', '/sub/1'].map(destination => createAudience(destination, CLOSE))
    const members = rooms.map(room => {
      const one = member()
      room.add(one.member)
      return one
    })
    for (const [i, room] of rooms.entries()) room.push(delivery(String(i), 'x'))
    await nextTurn()
    assert.deepEqual(
      members.map(one => one.text()),
      [frame('0', 'x'), frame('1', 'x'), frame('2', 'x')]
    )
  })

  test('a message after a hole says how many are missing', async () => {
    const { audience: room } = audience()
    const one = member()
    room.add(one.member)
    room.push(delivery('1', 'a', '', 12))
    room.push(delivery('2', 'b', '', 'unknown'))
    await nextTurn()
    assert.equal(one.text(), frame('1', 'a', { more: 'gap:12\n' }) + frame('2', 'b', { more: 'gap:unknown\n' }))
  })

  test('ack carries the message-id where the subscription acknowledges', async () => {
    const { audience: room } = audience()
    const one = member({ window: 5 })
    room.add(one.member)
    room.push(delivery('e.1', 'a'))
    await nextTurn()
    assert.equal(one.text(), frame('e.1', 'a', { more: 'ack:e.1\n' }))
    assert.equal(one.member.window?.has('e.1'), true)
  })

  test('more unacknowledged than the window allows is told, and the member may go in that very moment', async () => {
    const { audience: room, metrics } = audience()
    const [slow, other] = [member({ window: 2 }), member({ id: 'other' })]
    slow.member.exceeded = () => {
      slow.exceeded.push(1)
      room.remove(slow.member)
    }
    room.add(slow.member)
    room.add(other.member)
    for (const id of ['1', '2']) room.push(delivery(id, 'x'))
    await nextTurn()
    assert.equal(slow.exceeded.length, 0)
    room.push(delivery('3', 'x'))
    await nextTurn()
    assert.equal(slow.exceeded.length, 1)
    assert.equal(room.size, 1)
    assert.equal(other.writes.length, 2)
    // The last one, of whom stayed.
    assert.equal((await metrics.deliveries.get()).values[0]?.value, 5)
  })

  test('1.0 gets a subscription header only if it gave an id', async () => {
    const { audience: room } = audience()
    const [without, given] = [member({ version: '1.0', id: undefined }), member({ version: '1.0', id: 'a:b' })]
    room.add(without.member)
    room.add(given.member)
    room.push(delivery('1', 'x'))
    await nextTurn()
    assert.equal(without.text(), frame('1', 'x', { subscription: '' }))
    assert.equal(given.text(), frame('1', 'x', { subscription: 'subscription:a:b\n' }))
  })

  test('headers and destination are written as the version of each member writes them', async () => {
    const { audience: room } = audience('/sub/a:1')
    const [v12, v11, v10] = (['1.2', '1.1', '1.0'] as const).map(version => member({ version, id: 'i:d' }))
    for (const one of [v12, v11, v10]) room.add((one as ReturnType<typeof member>).member)
    room.push(delivery('1', 'x\\n', 'a\\cb:1\\r\\n2\n'))
    await nextTurn()
    const text = (subscription: string, destination: string, header: string) =>
      `MESSAGE\nsubscription:${subscription}\nmessage-id:1\ndestination:${destination}\n${header}content-length:3\n\nx\\n\0`
    assert.equal(v12?.text(), text('i\\cd', '/sub/a\\c1', 'a\\cb:1\\r\\n2\n'))
    assert.equal(v11?.text(), text('i\\cd', '/sub/a\\c1', 'a\\cb:1\r\\n2\n'))
    assert.equal(v10?.text(), text('i:d', '/sub/a:1', ''))
  })

  test('a WebSocket message holds one frame, as text where the whole frame is UTF-8, else as binary', async () => {
    const { audience: room } = audience()
    const [a, b, lone] = [
      member({ framing: 'websocket' }),
      member({ framing: 'websocket' }),
      member({ framing: 'websocket', id: 'x' })
    ]
    for (const one of [a, b, lone]) room.add(one.member)
    const bodies = [Buffer.from('안녕'), Buffer.from([0xff, 0]), Buffer.alloc(200, 'x'), Buffer.alloc(70_000, 'y')]
    for (const [i, body] of bodies.entries()) room.push(delivery(String(i), body))
    await nextTurn()
    assert.equal(a.writes[0], b.writes[0])
    for (const one of [a, lone]) {
      const messages = unwrap(Buffer.concat(one.writes))
      assert.deepEqual(
        messages.map(({ opcode }) => opcode),
        [1, 2, 1, 1]
      )
      for (const [i, { payload }] of messages.entries()) {
        assert.equal(payload.at(-1), 0)
        assert.deepEqual(payload.subarray(payload.indexOf('\n\n') + 2, -1), bodies[i])
      }
    }
  })

  test('deliveries are counted, and the latency of the oldest of a write', async () => {
    const { audience: room, metrics } = audience()
    room.add(member().member)
    room.add(member({ id: 'x' }).member)
    const known = delivery('1', 'x')
    known.message.coordinate = { source: 'g/t/0~i', offset: 1 }
    known.message.timestampMs = Date.now() - 40_000
    room.push(delivery('2', 'without a coordinate'))
    room.push(known)
    room.push({ ...known, message: { ...known.message, timestampMs: Date.now() } })
    await nextTurn()
    assert.equal((await metrics.deliveries.get()).values[0]?.value, 6)
    const { values } = await metrics.latency.get()
    const observed = (name: string) => values.find(({ metricName }) => metricName?.endsWith(name))?.value ?? 0
    assert.equal(observed('_count'), 1)
    assert.ok(observed('_sum') >= 40)
  })

  test('with flushMs deliveries wait for more that long', async () => {
    const room = createFanout({ flushMs: 5 }, { metrics: createMetrics() })('/sub/1', CLOSE)
    const one = member()
    room.add(one.member)
    room.push(delivery('1', 'a'))
    await nextTurn()
    room.push(delivery('2', 'b'))
    await waitFor(() => one.writes.length > 0, { what: 'the flush' })
    assert.deepEqual(one.writes.map(String), [frame('1', 'a') + frame('2', 'b')])
  })
})

describe('a replay', () => {
  test('goes to one member that need not be added, in order', async () => {
    const { audience: room } = audience()
    const [one, other] = [member(), member()]
    room.add(other.member)
    await room.replay(one.member, [delivery('1', 'a'), delivery('2', 'b')], new AbortController().signal)
    assert.equal(one.text(), frame('1', 'a') + frame('2', 'b'))
    assert.equal(other.writes.length, 0)
  })

  test('waits while half the send queue is full, and goes on once that was read', async () => {
    const { audience: room } = audience()
    const one = member()
    one.transport.halfFull = true
    const large = Array.from({ length: 3 }, (_, i) => delivery(String(i), Buffer.alloc(70_000)))
    const done = room.replay(one.member, large, new AbortController().signal)
    await nextTurn()
    assert.equal(one.writes.length, 1)
    one.flushes.shift()?.()
    await nextTurn()
    assert.equal(one.writes.length, 2)
    one.transport.halfFull = false
    one.flushes.shift()?.()
    await done
    assert.equal(one.writes.length, 3)
  })

  test('ends with the signal’s reason when the member is gone', async () => {
    const { audience: room } = audience()
    const one = member()
    one.transport.halfFull = true
    const gone = new AbortController()
    const done = room.replay(one.member, [delivery('1', 'a')], gone.signal)
    gone.abort(new Error('gone'))
    await assert.rejects(done, /gone/)
    await assert.rejects(room.replay(one.member, [delivery('1', 'a')], gone.signal), /gone/)
    assert.equal(one.writes.length, 1)
  })

  test('does not count against the ack window', async () => {
    const { audience: room } = audience()
    const one = member({ window: 1 })
    const many = Array.from({ length: 10 }, (_, i) => delivery(String(i), 'x'))
    await room.replay(one.member, many, new AbortController().signal)
    assert.equal(one.exceeded.length, 0)
    assert.equal(one.member.window?.size, 10)
  })
})

/** Reads whole, unmasked WebSocket messages (RFC 6455 §5.2). */
function unwrap(bytes: Buffer): { opcode: number; payload: Buffer }[] {
  const messages = []
  for (let at = 0; at < bytes.length; ) {
    assert.equal((bytes[at] as number) & 0xf0, 0x80)
    const opcode = (bytes[at] as number) & 0x0f
    let length = bytes[at + 1] as number
    at += 2
    if (length === 126) {
      length = bytes.readUInt16BE(at)
      at += 2
    } else if (length === 127) {
      length = Number(bytes.readBigUInt64BE(at))
      at += 8
    }
    messages.push({ opcode, payload: bytes.subarray(at, at + length) })
    at += length
  }
  return messages
}
