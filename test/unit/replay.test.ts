import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { createChannel } from '../../src/channel.ts'
import type { BatonError } from '../../src/errors.ts'
import { encodeMessageId } from '../../src/message/id.ts'
import { createMetrics } from '../../src/metrics.ts'
import { replayInto } from '../../src/replay.ts'
import {
  away,
  countOf,
  createEdge,
  createRoom,
  createServer,
  createWriter,
  placeOf,
  Reader,
  SOURCE,
  silent
} from '../support/flows.ts'

const unavailable = ({ code }: BatonError) => code === 'REDIS_UNAVAILABLE'
const numbers = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, n) => `${from + n}`)

async function setUp() {
  const server = createServer()
  return { server, write: createWriter(server), edge: await createEdge(server) }
}

/** The id of each of these messages of a channel, as one that followed it from its beginning saw them. */
async function idsOf({ write, edge }: Awaited<ReturnType<typeof setUp>>, bodies: string[]): Promise<string[]> {
  const reader = await edge.read('a')
  for (const body of bodies) await write('a', [body])
  reader.unsubscribe()
  return reader.ids
}

describe('history', () => {
  test('is the last n of what people may read, oldest first, and then live', async () => {
    const { server, write, edge } = await setUp()
    await write('a', ['too old'], { timestampMs: Date.now() - 120_000 })
    await write('a', ['1', '2'])
    await write('a', ['hidden'], { hidden: true })
    await write('a', ['not kept'], { omit: true })
    await write('a', ['3'])
    const last = await edge.read('a', { history: 2 })
    assert.deepEqual([last.bodies, last.resumed, last.gap], [['2', '3'], false, undefined])
    await write('a', ['4'])
    await write('a', ['5'], { hidden: true })
    assert.deepEqual([last.bodies, last.gaps], [['2', '3', '4', '5'], []])

    const all = await edge.read('a', { history: 100 })
    const young = new Reader()
    const { hub } = await createEdge(server)
    await hub.subscribe(placeOf('a', 60_000), young, { history: 100 }, new AbortController().signal)
    assert.deepEqual([all.bodies, young.bodies], [['too old', ...numbers(1, 4)], numbers(1, 4)])
  })

  test('joins live without a hole or a double, however slowly it is read', async () => {
    const { write, edge } = await setUp()
    await write('a', numbers(1, 3))
    const slow = new Reader()
    const ready = Promise.withResolvers<void>()
    slow.ready = ready.promise
    const subscribing = edge.subscribe(slow, 'a', { history: 2 })
    await nextTurn()
    await write('a', numbers(4, 6))
    ready.resolve()
    await subscribing
    await write('a', ['7'])
    assert.deepEqual(slow.bodies, numbers(2, 7))
  })

  test('has ids to resume from', async () => {
    const it = await setUp()
    await it.write('a', numbers(1, 5))
    const { ids } = await it.edge.read('a', { history: 5 })
    for (const [index, after] of ids.entries()) {
      const resumed = await it.edge.read('a', { after })
      assert.deepEqual([resumed.bodies, resumed.resumed], [numbers(index + 2, 5), true])
    }
  })
})

describe('a resume', () => {
  test('goes on after its message on any replica, and then live', async () => {
    const it = await setUp()
    const ids = await idsOf(it, numbers(1, 5))
    const other = await createEdge(it.server)
    for (const [index, after] of ids.entries()) {
      const resumed = await other.read('a', { after })
      assert.deepEqual([resumed.bodies, resumed.resumed, resumed.gap], [numbers(index + 2, 5), true, undefined])
    }
    const late = await other.read('a', { after: ids[3] as string })
    await it.write('a', ['6'])
    assert.deepEqual(late.bodies, ['5', '6'])
    assert.equal(await countOf(other.metrics.resumes, { resumed: 'true' }), 6)
  })

  test('reads no more of the log than it needs, or all of it where that is not enough', async () => {
    const it = await setUp()
    const ids = await idsOf(it, numbers(1, 500))
    await it.edge.read('a')
    const { read } = it.server.log
    const asked: (number | undefined)[] = []
    it.server.log.read = (channel, last) => {
      asked.push(last)
      return read(channel, last)
    }
    const near = await it.edge.read('a', { after: ids[496] as string })
    assert.deepEqual([near.bodies, near.resumed], [numbers(498, 500), true])
    assert.deepEqual(asked.splice(0), [68])
    it.edge.feed.deaf = true
    await it.write('a', numbers(501, 600))
    const late = await it.edge.read('a', { after: ids[496] as string })
    assert.deepEqual([late.bodies, late.resumed], [numbers(498, 600), true])
    assert.deepEqual(asked.slice(0, 2), [68, undefined])
  })

  test('may begin where another resume ended', async () => {
    const it = await setUp()
    const [, second] = await idsOf(it, numbers(1, 4))
    const once = await it.edge.read('a', { after: second as string })
    const twice = await it.edge.read('a', { after: once.ids[0] as string })
    const none = await it.edge.read('a', { after: once.lastMessageId })
    assert.deepEqual([once.bodies, twice.bodies, none.bodies, none.resumed], [['3', '4'], ['4'], [], true])
  })

  test('from before what the log holds says how many are missing', async () => {
    const it = await setUp()
    const [first] = await idsOf(it, ['1'])
    await it.write('a', numbers(2, 9), { logSize: 3 })
    const resumed = await it.edge.read('a', { after: first as string })
    assert.deepEqual([resumed.bodies, resumed.resumed, resumed.gap], [['7', '8', '9'], false, 5])
    assert.deepEqual(resumed.gaps, [['7', 5]])
    assert.equal(await countOf(it.edge.metrics.resumes, { resumed: 'false' }), 1)
    assert.equal(await countOf(it.edge.metrics.gaps, { where: 'resume' }), 1)
  })

  test('from just before what the log holds cannot show that it misses nothing', async () => {
    const it = await setUp()
    const [first] = await idsOf(it, ['1'])
    await it.write('a', ['2', '3'], { logSize: 2 })
    const resumed = await it.edge.read('a', { after: first as string })
    assert.deepEqual([resumed.bodies, resumed.resumed, resumed.gap], [['2', '3'], false, 'unknown'])
  })

  test('from an empty log is complete at the last message, and unknown before it', async () => {
    const it = await setUp()
    const [first] = await idsOf(it, ['1'])
    await it.write('a', ['2'], { logTtlMs: 0 })
    const { lastMessageId } = await it.edge.read('a')
    const [last, before] = await Promise.all([
      it.edge.read('a', { after: lastMessageId }),
      it.edge.read('a', { after: first as string })
    ])
    assert.deepEqual([last.resumed, last.gap, before.resumed, before.gap], [true, undefined, false, 'unknown'])
  })

  test('over a body that the log does not hold says that one is missing', async () => {
    const it = await setUp()
    const [first] = await idsOf(it, ['1'])
    await it.write('a', ['long'], { omit: true })
    await it.write('a', ['3'])
    const resumed = await it.edge.read('a', { after: first as string })
    assert.deepEqual([resumed.bodies, resumed.resumed, resumed.gap, resumed.gaps], [['3'], false, 1, [['3', 1]]])
  })

  test('tells each message of the hole just before it, and the RECEIPT of all of them', async () => {
    const it = await setUp()
    const [first] = await idsOf(it, ['1'])
    await it.write('a', ['2'])
    await it.write('a', ['long', 'longer'], { omit: true })
    await it.write('a', ['3'])
    await it.write('a', ['longest'], { omit: true })
    const resumed = await it.edge.read('a', { after: first as string })
    assert.deepEqual([resumed.bodies, resumed.gaps, resumed.gap], [['2', '3'], [['3', 2]], 3])
  })

  test('from where a replica stands that has seen more than Redis has left brings nothing twice', async () => {
    const it = await setUp()
    await it.edge.read('a')
    for (const body of numbers(1, 3)) await it.write('a', [body])
    await it.server.goBack(1)
    it.edge.feed.restore()
    await nextTurn()
    const { lastMessageId: after } = await it.edge.read('a')
    await it.write('a', numbers(2, 4), { offset: 1, again: 2, token: 'r1' })
    const resumed = await (await createEdge(it.server)).read('a', { after })
    assert.deepEqual([resumed.bodies, resumed.resumed], [['4'], true])
  })

  test('over a refill knows by its coordinates what it has', async () => {
    const it = await setUp()
    const [, , third] = await idsOf(it, numbers(1, 5))
    await it.server.goBack(1)
    await it.write('a', numbers(2, 7), { offset: 1, again: 4, token: 'r1' })
    const resumed = await (await createEdge(it.server)).read('a', { after: third as string })
    assert.deepEqual([resumed.bodies, resumed.resumed, resumed.gap], [numbers(4, 7), true, undefined])
  })

  test('over a refill that does not reach back to its message is unknown', async () => {
    const it = await setUp()
    const [, second] = await idsOf(it, numbers(1, 3))
    await it.server.goBack(0)
    await it.server.log.restart(SOURCE, 4)
    await it.write('a', ['5', '6'], { offset: 4, token: 'r1' })
    const resumed = await (await createEdge(it.server)).read('a', { after: second as string })
    assert.deepEqual([resumed.bodies, resumed.resumed, resumed.gap], [['5', '6'], false, 'unknown'])
    assert.deepEqual(resumed.gaps, [['5', 'unknown']])
  })

  test('of a room that had no message yet is unknown over a refill that does not reach back to its RECEIPT', async () => {
    for (const [floor, resumed, gap] of [
      [2, true, undefined],
      [3, false, 'unknown']
    ] as const) {
      const { server, write, edge } = await setUp()
      await write('elsewhere', ['0', '1'])
      const { lastMessageId: after } = await edge.read('a')
      await server.goBack(0)
      await server.log.restart(SOURCE, floor)
      const none = await edge.read('a', { after })
      await write('a', ['3'], { offset: 3 })
      const one = await (await createEdge(server)).read('a', { after })
      assert.deepEqual([none.resumed, none.gap, one.bodies, one.resumed, one.gap], [resumed, gap, ['3'], resumed, gap])
    }
  })

  test('over a refill takes no floor of a source that its room never had', async () => {
    const it = await setUp()
    const [, second] = await idsOf(it, numbers(1, 3))
    await it.server.goBack(0)
    await it.server.log.restart('g/t/1~i1', 50)
    await it.server.log.restart(SOURCE, 1)
    await it.write('a', numbers(2, 4), { offset: 1, again: 2, token: 'r1' })
    const resumed = await (await createEdge(it.server)).read('a', { after: second as string })
    assert.deepEqual([resumed.bodies, resumed.resumed], [['3', '4'], true])
  })

  test('over records that Kafka deleted before they were consumed is unknown, once', async () => {
    const it = await setUp()
    const [first] = await idsOf(it, ['1', '2'])
    await createWriter(it.server, 'g/t/0~l1')('a', ['5', '6'])
    const resumed = await it.edge.read('a', { after: first as string })
    assert.deepEqual([resumed.bodies, resumed.resumed, resumed.gap], [['2', '5', '6'], false, 'unknown'])
    assert.deepEqual(resumed.gaps, [['5', 'unknown']])
    const again = await it.edge.read('a', { after: resumed.ids[1] as string })
    assert.deepEqual([again.bodies, again.resumed, again.gaps], [['6'], true, []])
  })

  test('finds what was written before its message, where Redis lost its end and an owner wrote it again unawares', async () => {
    const it = await setUp()
    const [, , , last] = await idsOf(it, numbers(1, 4))
    await it.server.goBack(2)
    const writeOther = createWriter(it.server, 'g/t/1~i1')
    await writeOther('a', ['other'])
    await it.write('a', ['4'], { offset: 3 })
    const resumed = await (await createEdge(it.server)).read('a', { after: last as string })
    assert.deepEqual([resumed.bodies, resumed.resumed], [['other'], true])
  })

  test('by an id of another channel goes on after its coordinate', async () => {
    const it = await setUp()
    await it.write('a', ['1', '2'])
    const elsewhere = await it.edge.read('b')
    await it.write('b', ['3'])
    await it.write('a', ['4', '5'])
    const resumed = await it.edge.read('a', { after: elsewhere.ids[0] as string })
    assert.deepEqual([resumed.bodies, resumed.resumed], [['4', '5'], true])
  })

  test('by anything that is no message-id is refused, and leaves nothing behind', async () => {
    const { edge } = await setUp()
    for (const after of ['', '7', 'n1.x', 'n1.1.o', `n1.1.${'vAAAAAAAA1'.repeat(30)}`, 'n1.1.oAAAAAAAA-2', 'n1.1\n']) {
      await assert.rejects(edge.read('a', { after }), ({ code }: BatonError) => code === 'INVALID_RESUME', after)
    }
    assert.equal(await countOf(edge.metrics.channels), 0)
  })

  test('that is cut short lets go of the channel, with its reason', async () => {
    const it = await setUp()
    const [first] = await idsOf(it, numbers(1, 3))
    const slow = new Reader()
    const never = Promise.withResolvers<void>()
    slow.ready = never.promise
    const client = new AbortController()
    const resuming = it.edge.subscribe(slow, 'a', { after: first as string }, client.signal)
    await nextTurn()
    const gone = new Error('gone')
    client.abort(gone)
    never.resolve()
    await assert.rejects(resuming, (error: unknown) => error === gone)
    assert.deepEqual([slow.bodies, it.edge.feed.calls.at(-1)], [[], 'unfollow a'])
  })
})

describe('a client that is gone while the log is read', () => {
  test('gets nothing, not even live', async () => {
    const { server, write, edge } = await setUp()
    await edge.read('a')
    const client = new AbortController()
    const { read } = server.log
    server.log.read = async (channel, last) => {
      const snapshot = await read(channel, last)
      client.abort(new Error('gone'))
      return snapshot
    }
    const reader = new Reader()
    await assert.rejects(edge.subscribe(reader, 'a', { history: 1 }, client.signal), /gone/)
    await write('a', ['1'])
    assert.deepEqual(reader.bodies, [])
  })
})

describe('a channel of many sources', () => {
  /** Two messages of each source, one after the other, then `more` of them. */
  async function manySources(count: number) {
    const server = createServer()
    const edge = await createEdge(server)
    const writers = Array.from({ length: count }, (_, n) => createWriter(server, `g/t/${n}~i${n}`))
    const reader = await edge.read('a')
    for (const round of [1, 2]) for (const [n, write] of writers.entries()) await write('a', [`${n}:${round}`])
    return { server, edge, writers, reader }
  }

  test('is resumed on any replica while an id can name them all', async () => {
    const { server, reader } = await manySources(8)
    const after = reader.ids[10] as string
    assert.doesNotMatch(after, /\.x/)
    const other = await createEdge(server)
    const resumed = await other.read('a', { after })
    assert.deepEqual([resumed.bodies, resumed.resumed], [reader.bodies.slice(11), true])
  })

  test('is resumed with more of them, while the log holds the message itself', async () => {
    const { server, reader } = await manySources(10)
    const after = reader.ids[12] as string
    assert.match(after, /\.x$/)
    const resumed = await (await createEdge(server)).read('a', { after })
    assert.deepEqual([resumed.bodies, resumed.resumed], [reader.bodies.slice(13), true])
  })

  test('is resumed from an id that a resume made, with nothing twice, after Redis lost its end', async () => {
    const { server, writers, reader } = await manySources(10)
    const after = reader.ids[19] as string
    const [first] = writers
    await first?.('a', ['0:3'])
    const once = await (await createEdge(server)).read('a', { after })
    assert.deepEqual(once.bodies, ['0:3'])
    await server.goBack(20)
    await first?.('a', ['0:3', '0:4'], { offset: 2, again: 2, token: 'r1' })
    const twice = await (await createEdge(server)).read('a', { after: once.ids[0] as string })
    assert.deepEqual([twice.bodies, twice.resumed, twice.gap], [['0:4'], false, 'unknown'])
  })

  test('is not proved complete with more of them, where Redis lost its end and what follows was written again', async () => {
    const { server, writers, reader } = await manySources(10)
    await server.goBack(15)
    await writers[0]?.('a', ['0:3'])
    const after = reader.ids.at(-1) as string
    for (const [n, write] of writers.entries())
      if (n >= 5) await write('a', [`${n}:2`], { offset: 1, again: 1, token: 'r1' })
    const resumed = await (await createEdge(server)).read('a', { after })
    assert.deepEqual([reader.bodies.slice(19), resumed.resumed, resumed.gap], [['9:2', '0:3'], false, 'unknown'])
  })

  test('is not proved complete with more of them, once the log holds the message no more', async () => {
    const { edge, writers, reader } = await manySources(10)
    const after = reader.ids[12] as string
    for (const [n, write] of writers.entries()) await write('a', [`${n}:3`], { logSize: 12 })
    const resumed = await edge.read('a', { after })
    assert.deepEqual([resumed.resumed, resumed.gap], [false, 'unknown'])
    const known = reader.bodies.slice(13)
    assert.ok(resumed.bodies.length > 0 && resumed.bodies.every(body => known.includes(body)))
    assert.equal(new Set(resumed.bodies).size, resumed.bodies.length)
  })
})

describe('a channel without a message, of a topic of many partitions,', () => {
  /** A RECEIPT before the first message, and one that writes from the last partition. */
  async function manyPartitions() {
    const server = createServer()
    const writers = Array.from({ length: 10 }, (_, n) => createWriter(server, `g/t/${n}~i${n}`))
    for (const write of writers) await write('elsewhere', ['0'])
    const edge = await createEdge(server)
    const { lastMessageId } = await edge.read('a')
    assert.match(lastMessageId, /^0\.0\..*\.x$/)
    return { edge, after: lastMessageId, write: writers[9] as (typeof writers)[number] }
  }

  test('is resumed from its RECEIPT, whichever partition its messages came from', async () => {
    const { edge, after, write } = await manyPartitions()
    const none = await edge.read('a', { after })
    await write('a', ['1', '2'])
    const both = await edge.read('a', { after })
    assert.deepEqual([none.bodies, none.resumed, both.bodies, both.resumed], [['1', '2'], true, ['1', '2'], true])
  })

  test('is not proved complete once the log holds its first message no more', async () => {
    const { edge, after, write } = await manyPartitions()
    await write('a', ['1', '2'], { logSize: 1 })
    const { resumed, gap } = await edge.read('a', { after })
    assert.deepEqual([resumed, gap], [false, 'unknown'])
  })
})

describe('while Redis holds less than was seen', () => {
  test('by the client, a resume waits until it is filled again', async () => {
    const it = await setUp()
    const [, , third] = await idsOf(it, numbers(1, 3))
    await it.server.goBack(1)
    const patient = await createEdge(it.server, { resumeTimeoutMs: 10_000 })
    const resuming = patient.read('a', { after: third as string })
    await nextTurn()
    await it.write('a', numbers(2, 4), { offset: 1, again: 2, token: 'r1' })
    const resumed = await resuming
    assert.deepEqual([resumed.bodies, resumed.resumed], [['4'], true])
  })

  test('by this replica, a history waits until it is filled again', async () => {
    const it = await setUp()
    const patient = await createEdge(it.server, { resumeTimeoutMs: 10_000 })
    const there = await patient.read('a')
    await it.write('a', ['1'])
    await it.write('a', ['2'])
    await it.server.goBack(1)
    const reading = patient.read('a', { history: 5 })
    await nextTurn()
    await it.write('a', ['2', '3'], { offset: 1, again: 1, token: 'r1' })
    assert.deepEqual((await reading).bodies, ['1', '2', '3'])
    assert.deepEqual(there.bodies, ['1', '2', '3'])
  })

  test('it is refused with what to do when that takes too long', async () => {
    const it = await setUp()
    const [, , third] = await idsOf(it, numbers(1, 3))
    await it.server.goBack(1)
    const other = await createEdge(it.server, { resumeTimeoutMs: 20 })
    await assert.rejects(other.read('a', { after: third as string }), (error: BatonError) => {
      assert.match(error.detail, /subscribe again later/)
      return unavailable(error)
    })
    assert.deepEqual(other.feed.calls, ['follow a', 'unfollow a'])
  })

  test('a forged id that names what never was is refused likewise', async () => {
    const it = await setUp()
    await it.write('a', ['1'])
    const own = { source: SOURCE, offset: 999 }
    const after = encodeMessageId({ epoch: 'n1', seq: 999 }, own, new Map([[SOURCE, 999]]))
    await assert.rejects(it.edge.read('a', { after }), unavailable)
  })

  test('a wiped log is not taken for one without messages', async () => {
    const it = await setUp()
    const [first] = await idsOf(it, ['1'])
    await it.server.goBack(0)
    const other = await createEdge(it.server)
    await assert.rejects(other.read('a', { after: first as string }), unavailable)
  })

  test('a client that is gone does not wait on', async () => {
    const it = await setUp()
    const [first] = await idsOf(it, ['1'])
    await it.server.goBack(0)
    const patient = await createEdge(it.server, { resumeTimeoutMs: 600_000 })
    const client = new AbortController()
    const resuming = patient.subscribe(new Reader(), 'a', { after: first as string }, client.signal)
    await nextTurn()
    client.abort(new Error('gone'))
    await assert.rejects(resuming, /gone|aborted/)
    assert.deepEqual(patient.feed.calls, ['follow a', 'unfollow a'])
  })

  test('a source that gave way to a later incarnation is not waited for', async () => {
    const it = await setUp()
    const [, second] = await idsOf(it, ['1', '2', '3'])
    await it.server.log.forget([SOURCE])
    await createWriter(it.server, 'g/t/0~i2')('a', ['4'])
    const other = await createEdge(it.server, { resumeTimeoutMs: 10_000 })
    const resumed = await other.read('a', { after: second as string })
    assert.deepEqual([resumed.bodies, resumed.resumed], [['3', '4'], true])
  })

  test('a source that gave way is known by who is there, and what its later incarnation lacks is told', async () => {
    const it = await setUp()
    const writeOther = createWriter(it.server, 'g/t/1~i1')
    await it.edge.read('a')
    await writeOther('a', ['other'])
    const [, second] = await idsOf(it, ['1', '2', '3'])
    await it.server.goBack(0)
    await it.server.log.restart('g/t/0~i2', 0)
    await writeOther('a', ['other', 'more'], { offset: 0, again: 0, token: 'r1' })
    const resumed = await it.edge.read('a', { after: second as string })
    assert.deepEqual([resumed.bodies, resumed.resumed, resumed.gap], [['more'], false, 'unknown'])
  })

  test('a source that nobody knows any more makes it unknown', async () => {
    const it = await setUp()
    const [, second] = await idsOf(it, ['1', '2'])
    await it.server.goBack(0)
    await createWriter(it.server, 'g/t/0~i2')('a', ['1', '2', '3'])
    const other = await createEdge(it.server)
    const resumed = await other.read('a', { after: second as string })
    assert.deepEqual([resumed.bodies, resumed.resumed, resumed.gap], [['1', '2', '3'], false, 'unknown'])
  })
})

/** A reader that takes the first replayed message, the last of two, only once it is ready. */
async function replayingSlowly() {
  const { server, write, edge } = await setUp()
  const writeOther = createWriter(server, 'g/t/1~i1')
  await writeOther('a', ['other'])
  await write('a', ['1', '2'])
  const slow = new Reader()
  const ready = Promise.withResolvers<void>()
  slow.ready = ready.promise
  const subscribing = edge.subscribe(slow, 'a', { history: 1 })
  await nextTurn()
  return { server, write, writeOther, slow, ready, subscribing }
}

describe('a replay', () => {
  test('of more messages than may be held is read from the log', async () => {
    const { write, slow, ready, subscribing } = await replayingSlowly()
    await write('a', numbers(3, 10_010), { logSize: 20_000 })
    ready.resolve()
    const { gap } = await subscribing
    await write('a', ['10011'])
    assert.deepEqual([slow.bodies, gap], [numbers(2, 10_011), undefined])
  })

  test('of more messages than may be held, and than the log holds, is told', async () => {
    const { write, slow, ready, subscribing } = await replayingSlowly()
    await write('a', numbers(3, 10_000), { logSize: 100 })
    await write('a', numbers(10_001, 10_010), { logSize: 5 })
    ready.resolve()
    const { gap, resumed } = await subscribing
    assert.deepEqual([gap, resumed, slow.bodies.at(-1)], ['unknown', false, '10010'])
    assert.equal(slow.gaps.length, 1)
    assert.equal(new Set(slow.bodies).size, slow.bodies.length)
  })

  test('of more messages than may be held is told, where Redis lost them and holds only the end of them again', async () => {
    const { server, write, writeOther, slow, ready, subscribing } = await replayingSlowly()
    await write('a', numbers(3, 10_010), { logSize: 20_000 })
    await server.goBack(0)
    const again = { offset: 0, again: 10_009, token: 'r1', logSize: 2 }
    await write('a', numbers(1, 10_010), again)
    await writeOther('a', ['other'], again)
    await write('a', ['10011'], { logSize: 2 })
    ready.resolve()
    const { gap } = await subscribing
    assert.deepEqual([slow.bodies, slow.gaps, gap], [['2', '10011'], [['10011', 'unknown']], 'unknown'])
  })

  test('says in its RECEIPT what a message held meanwhile tells', async () => {
    const { edge, write } = await setUp()
    const there = await edge.read('a')
    await write('a', numbers(1, 3))
    const slow = new Reader()
    const ready = Promise.withResolvers<void>()
    slow.ready = ready.promise
    const subscribing = edge.subscribe(slow, 'a', { after: there.ids[1] as string })
    await nextTurn()
    edge.feed.deaf = true
    await write('a', numbers(4, 6), { logSize: 3 })
    edge.feed.deaf = false
    await write('a', numbers(7, 9), { logSize: 3 })
    ready.resolve()
    const { gap, resumed } = await subscribing
    assert.deepEqual([slow.bodies, slow.gaps, gap, resumed], [['3', '7', '8', '9'], [['7', 3]], 3, false])
  })

  test('leaves nothing told that it has brought itself', async () => {
    const { edge, write } = await setUp()
    const there = await edge.read('a')
    await write('a', numbers(1, 3))
    edge.feed.deaf = true
    await write('a', ['4'])
    const slow = new Reader()
    const ready = Promise.withResolvers<void>()
    slow.ready = ready.promise
    const subscribing = edge.subscribe(slow, 'a', { after: there.ids[1] as string })
    await nextTurn()
    await write('a', ['5', '6'], { logSize: 1 })
    edge.feed.deaf = false
    await write('a', ['7'], { logSize: 2 })
    ready.resolve()
    const { gap } = await subscribing
    assert.deepEqual([slow.bodies, slow.gaps, gap], [['3', '4', '6', '7'], [['6', 1]], 1])
    assert.deepEqual(there.gaps, [['6', 2]])
  })

  test('from a log that is ahead of the bus goes live only when the bus has come so far', async () => {
    const it = await setUp()
    const { write, edge } = it
    const there = await edge.read('a')
    await write('a', ['1'])
    edge.feed.deaf = true
    await write('a', ['2'])
    const subscribing = edge.read('a', { history: 5 })
    await nextTurn()
    edge.feed.restore()
    const reader = await subscribing
    await write('a', ['3'])
    assert.deepEqual([reader.bodies, there.bodies], [numbers(1, 3), numbers(1, 3)])
  })

  test('from a log that stays ahead of the bus has the channel healed', async () => {
    const { write, edge } = await setUp()
    const there = await edge.read('a')
    await write('a', ['1'])
    edge.feed.deaf = true
    await write('a', ['2'])
    const reader = await edge.read('a', { history: 5 })
    edge.feed.deaf = false
    await write('a', ['3'])
    assert.deepEqual([reader.bodies, there.bodies], [numbers(1, 3), numbers(1, 3)])
  })

  test('lets go of its hold whether it ends well or not', async () => {
    const { server, write } = await setUp()
    await write('a', ['1'])
    const channel = createChannel<Reader>(placeOf('a'), createRoom(), {
      feed: server.createFeed(),
      metrics: createMetrics(),
      logger: silent,
      read: server.log.read,
      readToJoin: ({ channel }) => server.log.read(channel, 0)
    })
    await channel.settled()
    const held: object[] = []
    const counted = {
      ...channel,
      hold() {
        const hold = channel.hold()
        held.push(hold)
        return hold
      },
      letGo(hold: ReturnType<typeof channel.hold>) {
        held.splice(held.indexOf(hold), 1)
        channel.letGo(hold)
      }
    }
    const context = { resumeTimeoutMs: 0, signal: new AbortController().signal, metrics: createMetrics() }
    const replayed = replayInto(counted, new Reader(), { history: 1 }, { ...context, read: server.log.read })
    assert.equal(held.length, 1)
    await replayed
    const failing = replayInto(
      counted,
      new Reader(),
      { history: 1 },
      { ...context, read: () => Promise.reject(away()) }
    )
    assert.equal(held.length, 1)
    await assert.rejects(failing, unavailable)
    assert.equal(held.length, 0)
  })
})
