import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { BatonError } from '../../src/errors.ts'
import { bodyOf, encodeEntry } from '../../src/message.ts'
import { createMetrics } from '../../src/metrics.ts'
import { createOwner, type OwnerContext } from '../../src/owner.ts'
import type { Beat, Chunk, Commit, KafkaRecord, PartitionControl, PartitionOwner } from '../../src/ports.ts'
import { away, countOf, createServer, createWriter, type Server, SOURCE, silent } from '../support/flows.ts'

const HOUR = 3_600_000
const TOPIC = '0f0e0d0c0b0a09080706050403020100'
const OTHER_TOPIC = 'f0e0d0c0b0a090807060504030201000'
const ADOPTED = 'baton:i1'
const MINTED = /^baton:i[0-9a-f]{12}$/

/** What one partition of Kafka holds, and what its owner asked of it. */
interface Partition {
  records: KafkaRecord[]
  commit: Commit | null
  topicId: string | undefined
  earliest: number
  /** Where the next fetch begins. */
  next: number
  /** In the order of the calls, with those of the log. */
  calls: string[]
  control: PartitionControl
}

/** A record each hour, the last one an hour ago; all on channel a. */
function createPartition(count: number, commit: Commit | null = null): Partition {
  const records = Array.from(
    { length: count },
    (_, offset): KafkaRecord => ({
      offset,
      timestampMs: Date.now() - (count - offset) * HOUR,
      key: Buffer.from('a'),
      value: Buffer.from(`${offset}`),
      headers: []
    })
  )
  const partition: Partition = {
    records,
    commit,
    topicId: undefined,
    earliest: 0,
    next: commit?.offset ?? 0,
    calls: [],
    control: {
      topic: 't',
      partition: 0,
      group: 'g',
      topicId: async () => partition.topicId,
      readCommit: async () => partition.commit,
      async commit(commit) {
        partition.calls.push(`commit ${commit.offset}`)
        partition.commit = commit
      },
      bounds: async () => ({ earliest: partition.earliest, latest: records.length }),
      offsetAt: async timestampMs => {
        const found = records.find(record => record.timestampMs >= timestampMs)
        return found?.offset ?? records.length
      },
      seek(offset) {
        partition.calls.push(`seek ${offset}`)
        partition.next = offset
      }
    }
  }
  return partition
}

interface SetUp extends Partial<Pick<OwnerContext, 'startFrom' | 'refill'>> {
  server?: Server
  partition: Partition
}

/** An owner on the log; records without a key go nowhere. */
async function setUp({ server = createServer(), partition, startFrom = 'earliest', ...more }: SetUp) {
  const metrics = createMetrics()
  const world = { routing: async (_: KafkaRecord): Promise<void> => undefined }
  const { append, restart, forget } = server.log
  server.log.append = async chunk => {
    const appended = await append(chunk)
    partition.calls.push(`append to ${chunk.upTo}${appended.behind ? ': behind' : ''}`)
    return appended
  }
  server.log.restart = async (source, start) => {
    partition.calls.push(`restart at ${start}`)
    await restart(source, start)
  }
  server.log.forget = async sources => {
    partition.calls.push(`forget ${sources}`)
    await forget(sources)
  }
  const owner = await createOwner(partition.control, {
    startFrom,
    refill: { maxAgeMs: 1000 * HOUR, maxRecords: 50_000 },
    ...more,
    log: server.log,
    metrics,
    logger: silent,
    route: (source, _, record) => async () => {
      await world.routing(record)
      if (!record.key) return []
      const { offset, timestampMs, value } = record
      const entry = { coordinate: { source, offset }, timestampMs, hidden: false, headers: '', body: value as Buffer }
      return [{ channel: `${record.key}`, offset, published: encodeEntry(entry), logSize: 10_000, logTtlMs: 60_000 }]
    }
  })
  return { server, partition, metrics, owner, world, bodies: () => bodiesOf(server) }
}

async function bodiesOf({ log }: Server): Promise<string[]> {
  const { entries } = await log.read('a')
  return entries.map(message => bodyOf(message).toString())
}

/** As Kafka's: what was fetched before a seek is stale. */
function beatOf({ calls }: Partition, more: Partial<Beat> = {}): Beat {
  const seeks = () => calls.filter(call => call.startsWith('seek')).length
  const before = seeks()
  return { heartbeat: async () => undefined, stale: () => seeks() > before, ...more }
}

/** One fetch of at most so many records. @returns whether there were any. */
async function fetch(owner: PartitionOwner, partition: Partition, most = 1000, more: Partial<Beat> = {}) {
  const { records, next } = partition
  const taken = records.filter(({ offset }) => offset >= next).slice(0, most)
  const last = taken.at(-1)
  if (!last) return false
  const beat = beatOf(partition, more)
  await owner.batch({ records: taken, highWatermark: records.length, lastOffset: last.offset }, beat)
  if (!beat.stale()) partition.next = last.offset + 1
  return true
}

async function consume(owner: PartitionOwner, partition: Partition): Promise<void> {
  while (await fetch(owner, partition)) await nextTurn()
}

const numbers = (from: number, below: number) => Array.from({ length: below - from }, (_, n) => `${from + n}`)
const positionsOf = async ({ log }: Server) => (await log.read('a')).entries.map(({ position }) => position)

describe('the incarnation', () => {
  for (const { startFrom, first } of [
    { startFrom: 'earliest', first: 3 },
    { startFrom: 'latest', first: 8 }
  ] as const) {
    test(`of a new group is minted at the ${startFrom}: the fence, then the commit, then records`, async () => {
      const partition = createPartition(8)
      partition.earliest = 3
      const { server, owner, bodies } = await setUp({ partition, startFrom })
      assert.deepEqual(partition.calls, [`append to ${first - 1}`, `commit ${first}`, `seek ${first}`])
      assert.match(partition.commit?.metadata ?? '', MINTED)
      const source = `g/t/0~${partition.commit?.metadata.slice('baton:'.length)}`
      assert.deepEqual(await server.log.fences(), new Map([[source, first - 1]]))
      assert.equal(owner.committable(), null)
      await consume(owner, partition)
      assert.deepEqual(await bodies(), numbers(first, 8))
    })
  }

  for (const { where, fence, count, earliest, first, kind } of [
    { where: 'after the fence', fence: 3, count: 8, earliest: 2, first: 4, kind: 'i' },
    {
      where: 'at the earliest, after a loss, where that is later',
      fence: 3,
      count: 8,
      earliest: 6,
      first: 6,
      kind: 'l'
    },
    { where: 'at the earliest of a topic made anew', fence: 5, count: 3, earliest: 0, first: 0, kind: 'i' }
  ]) {
    test(`of a partition whose commit is gone is minted ${where}`, async () => {
      const server = createServer()
      await createWriter(server)('a', ['old'], { offset: fence })
      const partition = createPartition(count)
      partition.earliest = earliest
      const { owner, bodies } = await setUp({ server, partition, startFrom: 'latest' })
      assert.match(partition.commit?.metadata ?? '', new RegExp(`^baton:${kind}`))
      await consume(owner, partition)
      assert.deepEqual(await bodies(), ['old', ...numbers(first, count)])
    })
  }

  test('of a commit that somebody else wrote is minted where it says, and the old one is forgotten last', async () => {
    const server = createServer()
    await createWriter(server)('a', ['old'])
    await createWriter(server, 'g/t/1~i1')('b', ['other partition'])
    await createWriter(server, 'g/t2/0~i1')('b', ['other topic'])
    const partition = createPartition(5, { offset: 2, metadata: '' })
    await setUp({ server, partition })
    assert.deepEqual(partition.calls, ['restart at 2', 'commit 2', 'seek 2', `forget ${SOURCE}`])
    const sources = [...(await server.log.fences()).keys()]
    assert.deepEqual(sources.filter(source => source.endsWith('~i1')).sort(), ['g/t/1~i1', 'g/t2/0~i1'])
  })

  test('that another owner mints meanwhile is not forgotten', async () => {
    const partition = createPartition(5)
    const server = createServer()
    const { commit } = partition.control
    partition.control.commit = async own => {
      await createWriter(server, 'g/t/0~i2')('b', ['x'])
      await commit(own)
    }
    await setUp({ server, partition })
    assert.ok((await server.log.fences()).has('g/t/0~i2'))
  })

  test('that the commit names is the only one: what a failover brought back of another is forgotten', async () => {
    const server = createServer()
    await createWriter(server)('a', ['0', '1'])
    await createWriter(server, 'g/t/0~i0')('a', ['before'])
    const partition = createPartition(4, { offset: 2, metadata: ADOPTED })
    const { owner } = await setUp({ server, partition })
    assert.deepEqual([...(await server.log.fences()).keys()], [SOURCE])
    await fetch(owner, partition)
    for (const count of [1, 0]) {
      await server.goBack(count)
      await createWriter(server, 'g/t/0~i0')('a', ['before'])
      partition.commit = { offset: 4, metadata: ADOPTED }
      await owner.probe()
      assert.deepEqual([...(await server.log.fences()).keys()], [SOURCE])
    }
  })

  test('that the commit names is adopted, and what was appended but not committed is skipped', async () => {
    const server = createServer()
    await createWriter(server)('a', ['0', '1', '2', '3'])
    const partition = createPartition(6, { offset: 2, metadata: ADOPTED })
    const { owner, metrics, bodies } = await setUp({ server, partition })
    assert.deepEqual([partition.calls, owner.committable()], [[], null])
    await consume(owner, partition)
    assert.deepEqual(await bodies(), numbers(0, 6))
    assert.deepEqual(owner.committable(), { offset: 6, metadata: ADOPTED })
    assert.equal(await countOf(metrics.suppressed, { topic: 't' }), 2)
    assert.equal(await countOf(metrics.appended, { topic: 't' }), 2)
    assert.equal(await countOf(metrics.records, { topic: 't' }), 4)
  })

  test('is minted anew when the partition ends before what was acknowledged', async () => {
    const server = createServer()
    await createWriter(server)('a', numbers(0, 6))
    const partition = createPartition(3, { offset: 6, metadata: ADOPTED })
    const { owner, bodies } = await setUp({ server, partition })
    partition.next = 0
    await consume(owner, partition)
    assert.deepEqual(partition.calls.slice(0, 4), ['restart at 0', 'commit 0', 'seek 0', `forget ${SOURCE}`])
    assert.match(partition.commit?.metadata ?? '', MINTED)
    assert.deepEqual(await bodies(), [...numbers(0, 6), ...numbers(0, 3)])
  })

  test('is minted anew with a floor, although Redis has lost the one before it', async () => {
    const partition = createPartition(3, { offset: 6, metadata: ADOPTED })
    const { owner } = await setUp({ partition })
    partition.next = 0
    await consume(owner, partition)
    assert.equal(partition.calls[0], 'restart at 0')
  })

  test('is minted without a floor where there was none before it', async () => {
    const partition = createPartition(3)
    await setUp({ partition })
    assert.deepEqual(partition.calls, ['append to -1', 'commit 0', 'seek 0'])
  })

  test('is minted anew, and named so, after records that Kafka deleted before they were consumed', async () => {
    const partition = createPartition(10, { offset: 2, metadata: ADOPTED })
    const { owner, bodies } = await setUp({ partition })
    const late = partition.records.slice(6)
    partition.calls.length = 0
    const batch = { records: late, highWatermark: 10, lastOffset: 9, after: 'loss' as const }
    await owner.batch(batch, beatOf(partition))
    assert.match(partition.commit?.metadata ?? '', /^baton:l[0-9a-f]{12}$/)
    assert.deepEqual([partition.calls.at(-1), await bodies()], ['seek 6', []])
    await consume(owner, partition)
    assert.deepEqual(await bodies(), ['6', '7', '8', '9'])
  })

  test('is minted so too when Redis was wiped and Kafka does not reach back to the commit', async () => {
    const partition = createPartition(10, { offset: 2, metadata: ADOPTED })
    partition.earliest = 6
    const { owner, bodies } = await setUp({ partition })
    await owner.probe()
    assert.match(partition.commit?.metadata ?? '', /^baton:l/)
    await consume(owner, partition)
    assert.deepEqual(await bodies(), ['6', '7', '8', '9'])
  })

  for (const { what, topicId, startFrom, first, kind } of [
    { what: 'another topic, all of which is news', topicId: OTHER_TOPIC, startFrom: 'latest', first: 0, kind: 'l' },
    { what: 'the same topic, after the fence', topicId: TOPIC, startFrom: 'latest', first: 4, kind: 'i' },
    {
      what: 'a topic that Kafka tells no id of, after the fence',
      topicId: undefined,
      startFrom: 'latest',
      first: 4,
      kind: 'i'
    }
  ] as const) {
    test(`of a partition whose commit is gone is minted for ${what}`, async () => {
      const server = createServer()
      await createWriter(server, `g/t/0~i0123456789ab${TOPIC.slice(-8)}`)('a', ['old'], { offset: 3 })
      const partition = createPartition(8)
      partition.topicId = topicId
      const { owner, bodies } = await setUp({ server, partition, startFrom })
      assert.match(
        partition.commit?.metadata ?? '',
        new RegExp(`^baton:${kind}[0-9a-f]{12}${topicId?.slice(-8) ?? ''}$`)
      )
      await consume(owner, partition)
      assert.deepEqual(await bodies(), ['old', ...numbers(first, 8)])
    })
  }

  for (const { what, consumed, kind } of [
    { what: 'as nothing was missed where the old topic was consumed to its end', consumed: 5, kind: 'i' },
    { what: 'after a loss where the old topic was not', consumed: 4, kind: 'l' }
  ]) {
    test(`is minted anew for a topic made anew, ${what}`, async () => {
      const partition = createPartition(5)
      partition.topicId = TOPIC
      const { owner, bodies } = await setUp({ partition })
      await fetch(owner, partition, consumed)
      partition.topicId = OTHER_TOPIC
      partition.records = createPartition(9).records
      const anew = { records: partition.records.slice(5), highWatermark: 9, lastOffset: 8, after: 'anew' as const }
      await owner.batch(anew, beatOf(partition))
      assert.match(partition.commit?.metadata ?? '', new RegExp(`^baton:${kind}[0-9a-f]{12}${OTHER_TOPIC.slice(-8)}$`))
      await consume(owner, partition)
      assert.deepEqual(await bodies(), [...numbers(0, consumed), ...numbers(0, 9)])
    })
  }

  test('is read again when the partition goes back, and not by its owner', async () => {
    const partition = createPartition(6)
    const { owner, bodies } = await setUp({ partition })
    await consume(owner, partition)
    // Nothing else was said: what comes again is skipped.
    partition.next = 3
    await consume(owner, partition)
    assert.deepEqual(await bodies(), numbers(0, 6))
    // Somebody reset the offsets: all flows anew.
    partition.commit = { offset: 4, metadata: '' }
    partition.next = 4
    await consume(owner, partition)
    assert.deepEqual(await bodies(), [...numbers(0, 6), '4', '5'])
    assert.match(partition.commit.metadata, MINTED)
  })
})

describe('a batch', () => {
  test('is appended in chunks of four hundred, which cover what is left out, but not what follows the last record', async () => {
    const partition = createPartition(1000, { offset: 0, metadata: ADOPTED })
    for (const offset of [398, 399, 400, 999]) Object.assign(partition.records[offset] as KafkaRecord, { key: null })
    const server = createServer()
    await createWriter(server)('b', [])
    const { owner, metrics } = await setUp({ server, partition })
    let heartbeats = 0
    const heartbeat = async () => {
      heartbeats++
    }
    const beat = beatOf(partition, { heartbeat })
    await owner.batch({ records: partition.records, highWatermark: 1010, lastOffset: 1005 }, beat)
    assert.deepEqual(partition.calls, ['append to 399', 'append to 799', 'append to 999'])
    assert.deepEqual(
      server.chunks.slice(1).map(({ expect, appends }) => [expect, appends.length]),
      [
        [-1, 398],
        [399, 399],
        [799, 199]
      ]
    )
    assert.equal(heartbeats, 3)
    assert.deepEqual(owner.committable(), { offset: 1000, metadata: ADOPTED })
    assert.equal(await countOf(metrics.records), 1000)
    assert.equal(await countOf(metrics.appended), 996)
  })

  test('moves what may be committed, until it is committed', async () => {
    const partition = createPartition(2)
    const { owner } = await setUp({ partition })
    const metadata = partition.commit?.metadata
    await fetch(owner, partition, 1)
    assert.deepEqual(owner.committable(), { offset: 1, metadata })
    const committing = owner.committable() as Commit
    await fetch(owner, partition, 1)
    owner.committed(committing)
    assert.deepEqual(owner.committable(), { offset: 2, metadata })
    owner.committed({ offset: 2, metadata: metadata as string })
    assert.equal(owner.committable(), null)
  })

  test('that is stale ends between two chunks, and what was appended counts', async () => {
    const partition = createPartition(1200)
    const { owner, bodies } = await setUp({ partition })
    let stale = false
    const heartbeat = async () => {
      stale = true
    }
    await fetch(owner, partition, 1200, { heartbeat, stale: () => stale })
    assert.deepEqual(await bodies(), numbers(0, 400))
    assert.equal(owner.committable()?.offset, 400)
  })

  test('is held while Redis is away, with the group kept alive, and goes on with the same chunk', async () => {
    const partition = createPartition(600)
    const { server, owner, bodies } = await setUp({ partition })
    const { append } = server.log
    const tried: unknown[] = []
    server.log.append = async chunk => {
      tried.push(chunk)
      // The last of these calls is written although its answer is lost.
      if (tried.length === 3) await append(chunk)
      if (tried.length > 1 && tried.length < 4) throw away()
      return append(chunk)
    }
    let heartbeats = 0
    await fetch(owner, partition, 600, {
      async heartbeat() {
        heartbeats++
        if (tried.length < 4) assert.equal(owner.committable()?.offset, 400)
      }
    })
    assert.deepEqual([tried.length, heartbeats], [4, 4])
    assert.equal(new Set(tried).size, 2)
    assert.deepEqual(await bodies(), numbers(0, 600))
  })

  test('is held while Kafka does not take what is due to the dead letters, each record routed once', async () => {
    const partition = createPartition(3)
    const { owner, bodies, world } = await setUp({ partition })
    const routed: number[] = []
    let beats = 0
    world.routing = async ({ offset }) => {
      if (offset === 1 && beats < 2) throw new BatonError('KAFKA_UNAVAILABLE', 'no acknowledgement')
      routed.push(offset)
    }
    await fetch(owner, partition, 1000, { heartbeat: async () => void beats++ })
    assert.deepEqual(routed, [0, 1, 2])
    assert.deepEqual(await bodies(), numbers(0, 3))
    assert.equal(beats, 3)
  })

  test('ends without a word when the partition is taken away while Redis is', async () => {
    const partition = createPartition(10)
    const { server, owner } = await setUp({ partition })
    server.log.append = () => Promise.reject(away())
    await fetch(owner, partition, 10, { heartbeat: async () => owner.revoked() })
    await fetch(owner, partition)
    assert.deepEqual([owner.committable(), await bodiesOf(server)], [null, []])
  })

  test('fails with what waiting does not mend', async () => {
    const partition = createPartition(10)
    const { server, owner } = await setUp({ partition })
    const misconfigured = new BatonError('MISCONFIGURED', 'refused')
    for (const error of [misconfigured, new Error('unforeseen')]) {
      server.log.append = () => Promise.reject(error)
      await assert.rejects(fetch(owner, partition), (thrown: unknown) => thrown === error)
    }
    assert.equal(owner.committable(), null)
  })
})

describe('a Redis that lost', () => {
  test('its tail is filled again from its fence, and what was lost opens a new epoch', async () => {
    const partition = createPartition(6)
    const { server, owner, metrics, bodies } = await setUp({ partition })
    for (const most of [2, 2, 1]) await fetch(owner, partition, most)
    await server.goBack(2)
    assert.deepEqual(await bodies(), ['0', '1'])
    await fetch(owner, partition)
    assert.deepEqual(partition.calls.slice(-2), ['append to 5: behind', 'seek 2'])
    assert.equal(owner.committable()?.offset, 2)
    assert.deepEqual(await bodies(), ['0', '1'])
    await consume(owner, partition)
    assert.deepEqual(await bodies(), numbers(0, 6))
    const epochs = (await positionsOf(server)).map(position => position?.epoch[0])
    assert.deepEqual(epochs, ['n', 'n', 'r', 'r', 'r', 'r'])
    assert.equal(new Set((await positionsOf(server)).map(position => position?.epoch)).size, 2)
    assert.equal(await countOf(metrics.rewinds, { cause: 'rolled-back' }), 1)
    assert.equal(owner.committable()?.offset, 6)
  })

  test('its tail twice is filled again twice, in another epoch each time', async () => {
    const partition = createPartition(6)
    const { server, owner, bodies } = await setUp({ partition })
    for (const most of [2, 2, 1]) await fetch(owner, partition, most)
    await server.goBack(2)
    await fetch(owner, partition)
    await fetch(owner, partition, 1)
    const { token } = server.chunks.at(-1) as Chunk
    await server.goBack(2)
    await consume(owner, partition)
    assert.deepEqual(await bodies(), numbers(0, 6))
    const last = server.chunks.at(-1) as Chunk
    assert.deepEqual([last.expect, last.again, last.token === token], [1, 4, false])
  })

  test('its tail while nothing comes is found by a probe', async () => {
    const partition = createPartition(4)
    const { server, owner, bodies } = await setUp({ partition })
    for (const most of [2, 2]) await fetch(owner, partition, most)
    await owner.probe()
    assert.deepEqual(partition.calls.slice(-1), ['append to 3'])
    await server.goBack(2)
    await owner.probe()
    assert.deepEqual(partition.calls.slice(-2), ['append to 3: behind', 'seek 2'])
    await consume(owner, partition)
    assert.deepEqual(await bodies(), numbers(0, 4))
  })

  for (const { bound, refill, earliest, first } of [
    { bound: 'the age of records', refill: { maxAgeMs: 5.5 * HOUR, maxRecords: 50_000 }, earliest: 0, first: 5 },
    { bound: 'the number of records', refill: { maxAgeMs: 1000 * HOUR, maxRecords: 4 }, earliest: 0, first: 2 },
    { bound: 'what is retained', refill: { maxAgeMs: 1000 * HOUR, maxRecords: 50_000 }, earliest: 3, first: 3 },
    { bound: 'the commit, when all is older', refill: { maxAgeMs: 1, maxRecords: 50_000 }, earliest: 0, first: 6 }
  ]) {
    test(`all of it is filled again as far as ${bound}`, async () => {
      const partition = createPartition(10)
      const { server, owner, metrics, bodies } = await setUp({ partition, refill })
      await fetch(owner, partition, 6)
      partition.commit = owner.committable()
      await fetch(owner, partition, 2)
      partition.earliest = earliest
      const claims: string[] = []
      const { claim } = server.log
      server.log.claim = group => {
        claims.push(group)
        return claim(group)
      }
      await server.goBack(0)
      await consume(owner, partition)
      assert.deepEqual(await bodies(), numbers(first, 10))
      const { floors } = await server.log.read('a', 0)
      assert.deepEqual([...floors.values()], [first])
      assert.deepEqual(claims, ['g'])
      assert.equal(await countOf(metrics.rewinds, { cause: 'wiped' }), 1)
    })
  }

  test('all of it is not filled again by an owner whose partition is another’s', async () => {
    const partition = createPartition(6)
    const { server, owner, metrics } = await setUp({ partition })
    await fetch(owner, partition, 3)
    partition.commit = { offset: 3, metadata: 'baton:iother' }
    await server.goBack(0)
    await fetch(owner, partition)
    const calls = partition.calls.length
    await fetch(owner, partition)
    await owner.probe()
    assert.deepEqual([partition.calls.length, await server.log.fences()], [calls, new Map()])
    assert.equal(await countOf(metrics.rewinds), 0)
  })
})

describe('a probe', () => {
  test('that fails says nothing, and the next one comes', async () => {
    const partition = createPartition(2)
    const { server, owner } = await setUp({ partition })
    const { append } = server.log
    server.log.append = () => Promise.reject(away())
    await owner.probe()
    server.log.append = append
    await owner.probe()
    assert.equal(partition.calls.at(-1), 'append to -1')
  })

  test('and a batch do not overlap', async () => {
    const partition = createPartition(2)
    const { server, owner } = await setUp({ partition })
    const { append } = server.log
    const answered = Promise.withResolvers<void>()
    server.log.append = async chunk => {
      if (chunk.appends.length === 0) await answered.promise
      return append(chunk)
    }
    const probes = [owner.probe(), owner.probe()]
    const batch = fetch(owner, partition)
    await nextTurn()
    assert.deepEqual(await bodiesOf(server), [])
    answered.resolve()
    await Promise.all([...probes, batch])
    assert.deepEqual(partition.calls.slice(-2), ['append to -1', 'append to 1'])
  })

  test('of a partition that was taken away asks nothing', async () => {
    const partition = createPartition(2)
    const { owner } = await setUp({ partition })
    const { length } = partition.calls
    owner.revoked()
    await owner.probe()
    assert.equal(partition.calls.length, length)
  })
})
