import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { unique } from '../support/ids.ts'
import { type KafkaServer, startKafka } from '../support/kafka.ts'
import { type KafkaClient, withKafka } from '../support/kafka-client.ts'
import { record, refusedWith, startSink, textOf } from '../support/kafka-sink.ts'
import { waitFor } from '../support/wait.ts'

// One call of `produce` is one transaction: all of it or nothing, whoever is killed, fenced or gone.

const client = await withKafka()
after(() => client[Symbol.asyncDispose]())

const isFenced = ({ type }: { type?: string }) => type === 'INVALID_PRODUCER_EPOCH'

/** An open transaction of another program that wrote one record to each topic: as a Baton leaves it when it is killed. */
async function openTransaction(transactionalId: string, topics: string[], value = 'left open') {
  const producer = client.kafka.producer({ transactionalId, transactionTimeout: 60_000, maxInFlightRequests: 1 })
  await producer.connect()
  const { sendBatch, commit, abort } = await producer.transaction()
  await sendBatch({ topicMessages: topics.map(topic => ({ topic, messages: [{ value }] })) })
  return { commit, abort, [Symbol.asyncDispose]: () => producer.disconnect() }
}

/** The values of both topics, sorted, which must be the same ones. */
async function committedInBoth(kafka: KafkaClient, [a, b]: [string, string]): Promise<string[]> {
  const [inA, inB] = await Promise.all([kafka.consumeCommitted(a), kafka.consumeCommitted(b)])
  assert.deepEqual(inA.map(textOf).sort(), inB.map(textOf).sort())
  return inA.map(textOf).sort()
}

test('records of one call to two topics are all written, with the offsets of each', async () => {
  const [a, b] = [await client.createTopic(2), await client.createTopic(1)]
  await using sink = await startSink({ brokers: client.brokers })
  const produced = await sink.produce([record(a, 'k', 'a0'), record(b, 'k', 'b0'), record(a, 'k', 'a1')])
  assert.deepEqual(
    produced.map(({ topic }) => topic),
    [a, b, a]
  )
  assert.equal((produced[2]?.offset ?? 0) - (produced[0]?.offset ?? 0), 1)
  assert.deepEqual((await client.consumeAll(a, 2)).map(textOf), ['a0', 'a1'])
  assert.deepEqual((await client.consumeAll(b, 1)).map(textOf), ['b0'])
})

test('of a call that Kafka refuses in one topic, nothing is seen in the other', async () => {
  const small = await client.createTopicWith({ configEntries: [{ name: 'max.message.bytes', value: '2000' }] })
  const other = await client.createTopic(1)
  await using sink = await startSink({ brokers: client.brokers })
  const refused = sink.produce([record(other, 'k', 'half'), record(small, 'k', Buffer.alloc(5000))])
  const behind = sink.produce([record(other, 'k', 'behind')])
  await assert.rejects(refused, refusedWith('BODY_TOO_LARGE'))
  await behind
  assert.deepEqual((await client.consumeAll(other, 1)).map(textOf), ['behind'])
})

test('records of one call to one partition need no transaction: their offsets follow each other', async () => {
  const topic = await client.createTopic(3)
  await using sink = await startSink({ brokers: client.brokers })
  await sink.produce([record(topic, 'k', '0')])
  const produced = await sink.produce([record(topic, 'k', '1'), record(topic, 'k', '2'), record(topic, 'k', '3')])
  // A transaction's control record would lie between this and the next.
  const [next] = await sink.produce([record(topic, 'k', '4')])
  assert.deepEqual(
    [...produced, next].map(place => place?.offset),
    [1, 2, 3, 4]
  )
})

test('more calls at once than there are transactional producers wait their turn, in order', async () => {
  const [a, b] = [await client.createTopic(8), await client.createTopic(8)]
  await using sink = await startSink({ brokers: client.brokers })
  const calls = Array.from({ length: 64 }, (_, i) =>
    sink.produce([a, b].map(topic => record(topic, null, `${i}`, { partition: i % 8 })))
  )
  await Promise.all(calls)
  for (const topic of [a, b]) {
    const consumed = await client.consumeCommitted(topic)
    assert.equal(consumed.length, 64)
    for (const [partition, messages] of Map.groupBy(consumed, message => message.partition))
      assert.deepEqual(
        messages.map(textOf),
        Array.from({ length: 8 }, (_, round) => `${8 * round + partition}`)
      )
  }
})

test('what a process of the same name left open is aborted at start, and it can commit no more', async () => {
  const topics: [string, string] = [await client.createTopic(), await client.createTopic()]
  const instanceId = unique('instance')
  await using first = await openTransaction(`${instanceId}-0`, topics)
  await using last = await openTransaction(`${instanceId}-3`, topics)
  await using sink = await startSink({ brokers: client.brokers, instanceId })
  await waitFor(() => sink.ready, { what: 'the sink' })
  await assert.rejects(first.commit(), isFenced)
  await assert.rejects(last.commit(), isFenced)
  await sink.produce(topics.map(topic => record(topic, null, 'after')))
  assert.deepEqual(await committedInBoth(client, topics), ['after'])
})

test('records of aborted transactions that overlap are not consumed, whichever ends first', async () => {
  const topics: [string, string] = [await client.createTopic(), await client.createTopic()]
  await using stack = new AsyncDisposableStack()
  const open = async (value: string) => stack.use(await openTransaction(unique('other'), topics, value))
  const [first, second, third, fourth] = [await open('1'), await open('2'), await open('3'), await open('4')]
  await fourth.abort()
  await first.abort()
  await second.commit()
  await third.abort()
  assert.deepEqual(await committedInBoth(client, topics), ['2'])
})

test('a process of another name ends nothing that is open', async () => {
  const topics: [string, string] = [await client.createTopic(), await client.createTopic()]
  const instanceId = unique('instance')
  await using other = await openTransaction(`${instanceId}-0`, topics)
  for (const own of [`${instanceId}-0`, undefined]) {
    await using sink = await startSink({ brokers: client.brokers, ...(own && { instanceId: own }) })
    await waitFor(() => sink.ready, { what: 'the sink' })
  }
  await other.commit()
  assert.deepEqual(await committedInBoth(client, topics), ['left open'])
})

test('two that run under one name write nothing by half and nothing twice, and say what to mend', async () => {
  const topics: [string, string] = [await client.createTopic(4), await client.createTopic(4)]
  const options = { brokers: client.brokers, instanceId: unique('instance'), produceTimeoutMs: 60_000 }
  await using one = await startSink(options)
  await using two = await startSink(options)
  await waitFor(() => one.ready && two.ready, { what: 'both sinks' })
  const sent = Array.from({ length: 200 }, (_, i) => `${i}`)
  const calls = sent.map((value, i) => {
    const records = topics.map(topic => record(topic, null, value, { partition: i % 4 }))
    return (i % 8 < 4 ? one : two).produce(records)
  })
  const results = await Promise.allSettled(calls)
  const committed = await committedInBoth(client, topics)
  assert.equal(new Set(committed).size, committed.length)
  // Kafka may answer a commit with an error of its own, when the other has just taken the name: then nobody knows.
  for (const [i, result] of results.entries())
    if (result.status === 'fulfilled') assert.ok(committed.includes(`${i}`), `${i} was acknowledged`)
    else assert.ok(refusedWith('KAFKA_UNAVAILABLE')(result.reason))
  assert.ok(results.filter(({ status }) => status === 'fulfilled').length > sent.length / 2)
  const said = one.logs + two.logs
  assert.match(said, new RegExp(`${options.instanceId}-\\d.*give each replica a name of its own`))
  assert.doesNotMatch(said, /Kafka is away/)
})

describe('on three brokers', () => {
  const stack = new AsyncDisposableStack()
  let kafka: KafkaServer
  let own: KafkaClient
  before(async () => {
    kafka = stack.use(await startKafka({ brokers: 3 }))
    own = stack.use(await withKafka({ brokers: kafka.brokers }))
  })
  after(() => stack.disposeAsync())

  test('of a call that one broker of three refuses, nothing is seen of what the others took', async () => {
    const on = (broker: number) => [{ partition: 0, replicas: [broker] }]
    const configEntries = [{ name: 'max.message.bytes', value: '2000' }]
    const small = await own.createTopicWith({ replicaAssignment: on(1), configEntries })
    const other = await own.createTopicWith({ replicaAssignment: on(2) })
    await using sink = await startSink({ brokers: kafka.brokers })
    const refused = sink.produce([record(other, null, 'half'), record(small, null, Buffer.alloc(5000))])
    await assert.rejects(refused, refusedWith('BODY_TOO_LARGE'))
    await sink.produce([record(other, null, 'whole'), record(small, null, 'whole')])
    assert.deepEqual(await committedInBoth(own, [small, other]), ['whole'])
  })

  test('with the coordinator killed in the midst, every call is in both topics once, or in neither and was refused', async () => {
    const topics: [string, string] = [await own.createTopic(1, 3), await own.createTopic(1, 3)]
    await using sink = await startSink({
      brokers: kafka.brokers,
      produceTimeoutMs: 60_000,
      instanceId: unique('instance')
    })
    const acknowledged: string[] = []
    const calls: Promise<unknown>[] = []
    const send = () => {
      const value = `${calls.length}`
      const call = sink.produce(topics.map(topic => record(topic, null, value)))
      calls.push(call.then(() => void acknowledged.push(value)))
    }
    for (let i = 0; i < 200; i++) send()
    await Promise.race(calls)
    const {
      topics: [state]
    } = await own.admin.fetchTopicMetadata({ topics: ['__transaction_state'] })
    await kafka.kill((state?.partitions[0]?.leader ?? 0) - 1)
    const results = await Promise.allSettled(calls)
    for (const result of results)
      if (result.status === 'rejected') assert.ok(refusedWith('KAFKA_UNAVAILABLE')(result.reason))
    const committed = await committedInBoth(own, topics)
    assert.equal(new Set(committed).size, committed.length)
    assert.deepEqual(
      acknowledged.filter(value => !committed.includes(value)),
      []
    )
  })
})
