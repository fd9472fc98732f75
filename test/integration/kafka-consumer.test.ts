import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import kafkajs, { type Message } from 'kafkajs'
import pino from 'pino'
import { createKafkaClient } from '../../src/kafka/client.ts'
import { createKafkaSource, type KafkaSourceOptions } from '../../src/kafka/consumer.ts'
import { createTopics, type TopicDeclaration } from '../../src/kafka/topics.ts'
import type { Beat, Commit, KafkaRecord, PartitionControl, RecordBatch, RecordSource } from '../../src/ports.ts'
import { unique } from '../support/ids.ts'
import { startKafka } from '../support/kafka.ts'
import { CONSUMER_OPTIONS, withKafka } from '../support/kafka-client.ts'
import { allOf } from '../support/records.ts'
import { waitFor } from '../support/wait.ts'

const logger = pino({ level: process.env['BATON_TEST_LOG'] ?? 'silent' })
const client = await withKafka()
const sources: RecordSource[] = []
after(async () => {
  await Promise.all(sources.map(source => source.close()))
  await client[Symbol.asyncDispose]()
})

interface Owned {
  control: PartitionControl
  records: KafkaRecord[]
  /** Committable: everything taken, with this metadata. */
  metadata: string
  taken: number
  committed: Commit | undefined
  revoked: boolean
  probes: number
  /** In place of just taking the batch. */
  onBatch?: (batch: RecordBatch, beat: Beat, owned: Owned) => Promise<void>
}

interface Start extends Partial<KafkaSourceOptions> {
  brokers?: string[]
  declared?: TopicDeclaration[]
  onAssigned?: (control: PartitionControl) => Promise<void>
  onBatch?: Owned['onBatch']
}

/** A source whose owners take all that comes, and say so at once. */
async function startSource(
  topics: string[],
  { brokers = client.brokers, declared = [], onAssigned, onBatch, ...options }: Start = {}
) {
  const kafka = createKafkaClient({ brokers, clientId: 'test', produceTimeoutMs: 10_000 }, { logger })
  const groupId = options.groupId ?? unique('group')
  const fatal: unknown[] = []
  const source = createKafkaSource(
    {
      groupId,
      topics,
      ...CONSUMER_OPTIONS,
      ...options
    },
    { client: kafka, logger, topics: createTopics(declared, { logger, onFatal: error => fatal.push(error) }) }
  )
  sources.push(source)
  const owners: Owned[] = []
  await source.start({
    async assigned(control) {
      await onAssigned?.(control)
      const owned: Owned = {
        control,
        records: [],
        metadata: 'test:1',
        taken: -1,
        committed: undefined,
        revoked: false,
        probes: 0,
        ...(onBatch && { onBatch })
      }
      owners.push(owned)
      return {
        async batch(batch, beat) {
          if (owned.onBatch) return owned.onBatch(batch, beat, owned)
          take(owned, batch)
        },
        async probe() {
          owned.probes++
        },
        committable: () =>
          owned.taken >= 0 && owned.committed?.offset !== owned.taken + 1
            ? { offset: owned.taken + 1, metadata: owned.metadata }
            : null,
        committed(commit) {
          owned.committed = commit
        },
        revoked() {
          owned.revoked = true
        }
      }
    }
  })
  const records = () => owners.flatMap(owned => owned.records)
  return { source, groupId, owners, records, fatal }
}

function take(owned: Owned, batch: RecordBatch): void {
  owned.records.push(...allOf(batch.records))
  owned.taken = batch.lastOffset
}

const values = (records: KafkaRecord[]) => records.map(({ value }) => String(value))
const numbered = (count: number, from = 0): Message[] =>
  Array.from({ length: count }, (_, i) => ({ key: 'k', value: `${from + i}` }))
const arrived = (records: () => KafkaRecord[], count: number) =>
  waitFor(() => records().length >= count, { deadlineMs: 20_000, what: `${count} records` })

async function commitOf(groupId: string, topic: string) {
  const [answer] = await client.admin.fetchOffsets({ groupId, topics: [topic] })
  return answer?.partitions[0]
}

const { CompressionTypes } = kafkajs
for (const codec of ['None', 'GZIP', 'Snappy', 'LZ4', 'ZSTD'] as const)
  test(`a topic written with ${codec} is read`, async () => {
    const topic = await client.createTopic()
    const { records } = await startSource([topic])
    const producer = client.kafka.producer({ allowAutoTopicCreation: false })
    await producer.connect()
    const texts = Array.from({ length: 50 }, (_, i) => `안녕 ${'x'.repeat(200)} ${i}`)
    await producer.send({
      topic,
      compression: CompressionTypes[codec],
      messages: texts.map(value => ({ key: 'k', value }))
    })
    await producer.disconnect()
    await arrived(records, 50)
    assert.deepEqual(values(records()), texts)
  })

test('a record comes with its key, headers, timestamp and offset; a tombstone has no value', async () => {
  const topic = await client.createTopic()
  const { records } = await startSource([topic])
  const headers = { one: 'a', many: ['b', 'c'] }
  await client.produce(topic, [
    { key: 'k', value: 'v', headers, timestamp: '1700000000000' },
    { key: null, value: null }
  ])
  await arrived(records, 2)
  const [first, second] = records()
  assert.deepEqual(first, {
    offset: 0,
    timestampMs: 1_700_000_000_000,
    key: Buffer.from('k'),
    value: Buffer.from('v'),
    headers: [
      ['one', Buffer.from('a')],
      ['many', Buffer.from('b')],
      ['many', Buffer.from('c')]
    ]
  })
  assert.equal(second?.key, null)
  assert.equal(second?.value, null)
  assert.deepEqual(second?.headers, [])
})

test('what the owner says is committed on the timer with its metadata, and the next consumer begins there', async () => {
  const topic = await client.createTopic()
  const first = await startSource([topic])
  await client.produce(topic, numbered(10))
  await arrived(first.records, 10)
  await waitFor(() => first.owners[0]?.committed?.offset === 10, { what: 'the commit' })
  assert.deepEqual(await commitOf(first.groupId, topic), { partition: 0, offset: '10', metadata: 'test:1' })
  await first.source.close()
  await client.produce(topic, numbered(5, 10))
  let commit: Commit | null = null
  const onAssigned = async (control: PartitionControl) => {
    commit = await control.readCommit()
  }
  const second = await startSource([topic], { groupId: first.groupId, onAssigned })
  await arrived(second.records, 5)
  assert.deepEqual(values(second.records()), ['10', '11', '12', '13', '14'])
  assert.deepEqual(commit, { offset: 10, metadata: 'test:1' })
})

test('what was not committed comes again', async () => {
  const topic = await client.createTopic()
  const onBatch: Owned['onBatch'] = async (batch, _beat, owned) => {
    owned.records.push(...allOf(batch.records))
    owned.taken = 2
  }
  await client.produce(topic, numbered(6))
  const first = await startSource([topic], { onBatch })
  await arrived(first.records, 6)
  await first.source.close()
  const second = await startSource([topic], { groupId: first.groupId })
  await arrived(second.records, 3)
  assert.deepEqual(values(second.records()), ['3', '4', '5'])
})

test('close commits what was taken since the last commit, and tells the owner', async () => {
  const topic = await client.createTopic()
  const { source, groupId, records, owners } = await startSource([topic], { commitIntervalMs: 60_000 })
  await client.produce(topic, numbered(7))
  await arrived(records, 7)
  const from = performance.now()
  await source.close()
  await source.close()
  assert.ok(performance.now() - from < 2000, 'a clean stop is quick')
  assert.equal((await commitOf(groupId, topic))?.offset, '7')
  assert.equal(owners[0]?.revoked, true)
  assert.equal(source.ready, false)
})

test('close waits for the chunk in hand, tells it to stop, and commits what it took', async () => {
  const topic = await client.createTopic()
  await client.produce(topic, numbered(20))
  const begun = Promise.withResolvers<void>()
  const onBatch: Owned['onBatch'] = async (batch, beat, owned) => {
    for (const record of allOf(batch.records)) {
      if (beat.stale()) return
      owned.records.push(record)
      owned.taken = record.offset
      begun.resolve()
      await waitFor(beat.stale, { what: 'the close' })
    }
  }
  const { source, groupId } = await startSource([topic], { onBatch })
  await begun.promise
  await source.close()
  assert.equal((await commitOf(groupId, topic))?.offset, '1')
})

test('read_committed leaves out aborted transactions and control records; lastOffset covers them', async () => {
  const topic = await client.createTopic()
  const producer = client.kafka.producer({ transactionalId: unique('tx'), maxInFlightRequests: 1, idempotent: true })
  await producer.connect()
  for (const [value, end] of [
    ['kept', 'commit'],
    ['dropped', 'abort'],
    ['also kept', 'commit']
  ] as const) {
    const transaction = await producer.transaction()
    await transaction.send({
      topic,
      messages: [
        { key: 'k', value },
        { key: 'k', value }
      ]
    })
    await transaction[end]()
  }
  await producer.disconnect()
  await client.produce(topic, [{ key: 'k', value: 'last' }])
  const { records, owners } = await startSource([topic])
  await arrived(records, 5)
  assert.deepEqual(values(records()), ['kept', 'kept', 'also kept', 'also kept', 'last'])
  assert.equal(owners[0]?.taken, 9)
  const all = await startSource([topic], { isolation: 'read_uncommitted' })
  await arrived(all.records, 7)
  assert.ok(values(all.records()).includes('dropped'))
})

test('control records alone do not stop a partition', async () => {
  const topic = await client.createTopic()
  const { records } = await startSource([topic])
  const producer = client.kafka.producer({ transactionalId: unique('tx'), maxInFlightRequests: 1, idempotent: true })
  await producer.connect()
  for (let i = 0; i < 5; i++) {
    const transaction = await producer.transaction()
    await transaction.send({ topic, messages: [{ key: 'k', value: 'x' }] })
    await transaction.abort()
    await client.produce(topic, [{ key: 'k', value: `${i}` }])
    await arrived(records, i + 1)
  }
  await producer.disconnect()
  assert.deepEqual(values(records()), ['0', '1', '2', '3', '4'])
})

test('a seek in the midst of a batch drops the rest and consumes from there', async () => {
  const topic = await client.createTopic()
  await client.produce(topic, numbered(10))
  let sought = false
  const onBatch: Owned['onBatch'] = async (batch, beat, owned) => {
    if (sought) return take(owned, batch)
    sought = true
    assert.equal(beat.stale(), false)
    owned.control.seek(4)
    assert.equal(beat.stale(), true)
  }
  const { records } = await startSource([topic], { onBatch })
  await arrived(records, 6)
  assert.deepEqual(values(records()), ['4', '5', '6', '7', '8', '9'])
})

test('a seek between batches takes effect', async () => {
  const topic = await client.createTopic()
  await client.produce(topic, numbered(3))
  const { records, owners } = await startSource([topic])
  await arrived(records, 3)
  owners[0]?.control.seek(1)
  await arrived(records, 5)
  assert.deepEqual(values(records()), ['0', '1', '2', '1', '2'])
})

test('a new group begins where its owner seeks before the first batch', async () => {
  const topic = await client.createTopic()
  await client.produce(topic, numbered(10))
  const onAssigned = async (control: PartitionControl) => {
    assert.equal(await control.readCommit(), null)
    const { earliest, latest } = await control.bounds()
    assert.deepEqual({ earliest, latest }, { earliest: 0, latest: 10 })
    await control.commit({ offset: latest - 2, metadata: 'minted' })
    assert.deepEqual(await control.readCommit(), { offset: 8, metadata: 'minted' })
    control.seek(latest - 2)
  }
  const { records } = await startSource([topic], { onAssigned })
  await arrived(records, 2)
  assert.deepEqual(values(records()), ['8', '9'])
})

test('offsetAt is the first offset at or after a time, or the next to be written', async () => {
  const topic = await client.createTopic()
  await client.produce(
    topic,
    [1000, 2000, 3000].map(timestamp => ({ value: 'x', timestamp: `${timestamp}` }))
  )
  const { owners } = await startSource([topic])
  await waitFor(() => owners.length > 0, { what: 'the owner' })
  assert.equal(await owners[0]?.control.offsetAt(1500), 1)
  assert.equal(await owners[0]?.control.offsetAt(9000), 3)
})

test('an owner that cannot begin is asked again, and nothing comes before it can', async () => {
  const topic = await client.createTopic()
  await client.produce(topic, numbered(3))
  let attempts = 0
  const onAssigned = async () => {
    if (++attempts < 4) throw new Error('Redis is away')
  }
  const { records } = await startSource([topic], { onAssigned })
  await arrived(records, 3)
  assert.equal(attempts, 4)
  assert.deepEqual(values(records()), ['0', '1', '2'])
})

test('a partition is probed each second, but not while a batch is in hand', async () => {
  const [busy, quiet] = [await client.createTopic(), await client.createTopic()]
  await client.produce(busy, numbered(1))
  const hold = Promise.withResolvers<void>()
  const onBatch: Owned['onBatch'] = () => hold.promise
  const { owners, source } = await startSource([busy, quiet], { onBatch })
  const of = (topic: string) => owners.find(({ control }) => control.topic === topic)
  await waitFor(() => (of(quiet)?.probes ?? 0) >= 2, { what: 'two probes' })
  const probesOfBusy = of(busy)?.probes ?? 0
  assert.ok(probesOfBusy <= 1, 'at most one before its batch came')
  hold.resolve()
  await source.close()
})

test('a batch held longer than the session keeps its partition while it beats', async () => {
  const topic = await client.createTopic()
  await client.produce(topic, numbered(2))
  const onBatch: Owned['onBatch'] = async (batch, beat, owned) => {
    const end = performance.now() + 3000
    const beaten = async () => {
      await beat.heartbeat()
      return performance.now() > end
    }
    await waitFor(beaten, { what: 'Redis to come back' })
    take(owned, batch)
  }
  const { owners, records, source } = await startSource([topic], { onBatch, sessionTimeoutMs: 2000 })
  await arrived(records, 2)
  assert.equal(owners.length, 1)
  assert.equal(source.ready, true)
})

test('a second replica takes some partitions over: the owners before are revoked, and every record comes', async () => {
  const topic = await client.createTopic(4)
  const first = await startSource([topic])
  await waitFor(() => first.owners.length === 4, { what: 'four owners' })
  await client.produce(
    topic,
    Array.from({ length: 40 }, (_, i) => ({ key: `k${i}`, value: `${i}` }))
  )
  await arrived(first.records, 40)
  const second = await startSource([topic], { groupId: first.groupId })
  await waitFor(() => second.owners.length === 2, { deadlineMs: 20_000, what: 'two owners of the second' })
  await waitFor(() => first.owners.filter(({ revoked }) => !revoked).length === 2, { what: 'two owners of the first' })
  assert.equal(
    first.owners.slice(0, 4).every(({ revoked }) => revoked),
    true
  )
  await client.produce(
    topic,
    Array.from({ length: 40 }, (_, i) => ({ key: `k${i}`, value: `${40 + i}` }))
  )
  const all = () => [...first.records(), ...second.records()]
  await waitFor(() => new Set(values(all())).size === 80, { deadlineMs: 20_000, what: 'all records' })
  assert.ok(second.records().length > 0)
  await first.source.close()
  await waitFor(() => second.owners.filter(({ revoked }) => !revoked).length === 4, {
    deadlineMs: 20_000,
    what: 'all four'
  })
})

test('an owner whose time is over can commit nothing', async () => {
  const topic = await client.createTopic(2)
  const first = await startSource([topic])
  await waitFor(() => first.owners.length === 2, { deadlineMs: 20_000, what: 'both partitions' })
  const [before] = first.owners
  await startSource([topic], { groupId: first.groupId })
  await waitFor(() => before?.revoked && first.owners.length > 2, { deadlineMs: 20_000, what: 'another generation' })
  await assert.rejects(before?.control.commit({ offset: 0, metadata: 'late' }) ?? Promise.resolve(), /taken away/)
})

test('lags count what is there and not consumed', async () => {
  const topic = await client.createTopic()
  await client.produce(topic, numbered(5))
  const hold = Promise.withResolvers<void>()
  const onBatch: Owned['onBatch'] = async (batch, _beat, owned) => {
    await hold.promise
    take(owned, batch)
  }
  const { source, records } = await startSource([topic], { onBatch })
  await waitFor(() => source.lags()[0]?.lag === 5, { what: 'a lag of 5' })
  hold.resolve()
  await arrived(records, 5)
  await waitFor(() => source.lags()[0]?.lag === 0, { what: 'no lag' })
  assert.equal(source.lags()[0]?.topic, topic)
})

test('an owner that fails for no reason of Kafka gets the batch again', async () => {
  const topic = await client.createTopic()
  await client.produce(topic, numbered(3))
  let failures = 0
  const onBatch: Owned['onBatch'] = async (batch, _beat, owned) => {
    if (++failures < 3) throw new Error('once more')
    take(owned, batch)
  }
  const { records, fatal } = await startSource([topic], { onBatch })
  await arrived(records, 3)
  assert.deepEqual(values(records()), ['0', '1', '2'])
  assert.deepEqual(fatal, [])
})

test('declared topics are created before the group is joined; what cannot be used is fatal', async () => {
  const [topic, bad] = [unique('declared'), await client.createTopic(1)]
  const { records, source } = await startSource([topic], {
    declared: [{ name: topic, partitions: 2, replicationFactor: 1 }]
  })
  await waitFor(() => source.ready, { what: 'the assignment' })
  await client.produce(topic, numbered(1))
  await arrived(records, 1)
  assert.equal(source.lags().length, 2)
  const refused = await startSource([bad], { declared: [{ name: bad, partitions: 5 }] })
  await waitFor(() => refused.fatal.length > 0, { what: 'the fault' })
  assert.match(String(refused.fatal[0]), /has 1 partitions and 5 are declared/)
})

test('records that the broker no longer has are passed over: the partition goes on with those it has, and says so', async () => {
  const topic = await client.createTopic()
  await client.produce(topic, numbered(10))
  const first = await startSource([topic], {
    onBatch: async (batch, _beat, owned) => {
      owned.records.push(...allOf(batch.records))
      owned.taken = 2
    }
  })
  await arrived(first.records, 10)
  await first.source.close()
  await client.admin.fetchTopicOffsets(topic) // kafkajs deletes only in topics its admin has met
  await client.admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: '6' }] })
  const losses: boolean[] = []
  const second = await startSource([topic], {
    groupId: first.groupId,
    onAssigned: async control => void (await control.readCommit()),
    onBatch: async (batch, _beat, owned) => {
      losses.push(batch.after === 'loss')
      take(owned, batch)
    }
  })
  await arrived(second.records, 4)
  await client.produce(topic, numbered(1, 10))
  await arrived(second.records, 5)
  assert.deepEqual(values(second.records()), ['6', '7', '8', '9', '10'])
  assert.deepEqual(losses, [true, false])
})

test('Kafka stopped and started again: not ready meanwhile, then it goes on from the commit', async () => {
  await using kafka = await startKafka()
  await using own = await withKafka({ brokers: kafka.brokers })
  const topic = await own.createTopic(2)
  const { records, source, fatal } = await startSource([topic], { brokers: kafka.brokers })
  await own.produce(
    topic,
    Array.from({ length: 20 }, (_, i) => ({ key: `k${i}`, value: `${i}` }))
  )
  await arrived(records, 20)
  await kafka.stop()
  await waitFor(() => !source.ready, { what: 'not ready' })
  await kafka.restart()
  await waitFor(() => source.ready, { deadlineMs: 30_000, what: 'ready again' })
  await own.produce(
    topic,
    Array.from({ length: 20 }, (_, i) => ({ key: `k${i}`, value: `${20 + i}` }))
  )
  await waitFor(() => new Set(values(records())).size === 40, { deadlineMs: 30_000, what: 'all records' })
  assert.deepEqual(fatal, [])
  await source.close()
})

test('Kafka away at start: it waits, and begins by itself', async () => {
  await using kafka = await startKafka()
  await using own = await withKafka({ brokers: kafka.brokers })
  const topic = await own.createTopic()
  await own.produce(topic, numbered(3))
  await kafka.stop()
  const { records, source } = await startSource([topic], { brokers: kafka.brokers })
  assert.equal(source.ready, false)
  await kafka.restart()
  await arrived(records, 3)
  assert.equal(source.ready, true)
  await source.close()
})

test('close while Kafka is away ends', async () => {
  await using kafka = await startKafka()
  await using own = await withKafka({ brokers: kafka.brokers })
  const topic = await own.createTopic()
  const { source } = await startSource([topic], { brokers: kafka.brokers })
  await waitFor(() => source.ready, { deadlineMs: 20_000, what: 'ready' })
  await kafka.stop()
  await waitFor(() => !source.ready, { what: 'not ready' })
  const from = performance.now()
  await source.close()
  assert.ok(performance.now() - from < 10_000)
})

test('one of three brokers killed: the consumer goes on, and every record comes', async () => {
  await using kafka = await startKafka({ brokers: 3 })
  await using own = await withKafka({ brokers: kafka.brokers })
  const topic = await own.createTopic(6, 3)
  const { records, source, fatal } = await startSource([topic], { brokers: kafka.brokers })
  const some = (from: number) => Array.from({ length: 60 }, (_, i) => ({ key: `k${i}`, value: `${from + i}` }))
  await own.produce(topic, some(0))
  await arrived(records, 60)
  // The coordinator of the group: its successor must be found, too.
  const coordinator = (await own.admin.fetchTopicMetadata({ topics: ['__consumer_offsets'] })).topics[0]?.partitions[0]
    ?.leader
  await kafka.kill((coordinator ?? 1) - 1)
  const produced = () => own.produce(topic, some(60)).then(() => true)
  await waitFor(produced, { deadlineMs: 30_000, what: 'records acknowledged by the other two' })
  const distinct = () => new Set(values(records())).size
  await waitFor(() => distinct() === 120, { deadlineMs: 30_000, what: 'all records' })
  await waitFor(() => source.ready, { deadlineMs: 30_000, what: 'ready again' })
  assert.deepEqual(fatal, [])
  await source.close()
})

test('a record of no time, or of one beyond all, has the nearest there is', async () => {
  const topic = await client.createTopicWith({
    configEntries: [{ name: 'message.timestamp.after.max.ms', value: `${Number.MAX_SAFE_INTEGER}` }]
  })
  const times = ['-1', '-5', '8640000000000001', '1700000000000']
  await client.produce(
    topic,
    times.map(timestamp => ({ value: timestamp, timestamp }))
  )
  const { records } = await startSource([topic])
  await arrived(records, times.length)
  assert.deepEqual(
    records().map(({ timestampMs }) => timestampMs),
    [0, 0, 8.64e15, 1_700_000_000_000]
  )
})
