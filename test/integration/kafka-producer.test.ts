import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { unique } from '../support/ids.ts'
import { startKafka } from '../support/kafka.ts'
import { type ConsumedMessage, withKafka } from '../support/kafka-client.ts'
import { record, refusedWith, type SinkOptions, startSink as start, textOf } from '../support/kafka-sink.ts'
import { waitFor } from '../support/wait.ts'

const client = await withKafka()
after(() => client[Symbol.asyncDispose]())

const startSink = (options: Partial<SinkOptions> = {}) => start({ brokers: client.brokers, ...options })

test('every record comes out where its acknowledgement said, with its headers', async () => {
  const topic = await client.createTopic(3)
  await using sink = await startSink()
  const produced = await Promise.all(
    Array.from({ length: 200 }, (_, i) =>
      sink.produce([record(topic, `k${i % 7}`, `v${i}`, { headers: { n: `${i}` } })])
    )
  )
  const consumed = await client.consumeAll(topic, 200)
  const values = new Map(consumed.map(message => [`${message.partition}/${message.offset}`, message]))
  for (const [i, [place]] of produced.entries()) {
    const message = values.get(`${place?.partition}/${place?.offset}`) as ConsumedMessage
    assert.equal(textOf(message), `v${i}`)
    assert.equal(String(message.headers?.['n']), `${i}`)
  }
})

test('calls that run at once are written in call order for each key', async () => {
  const topic = await client.createTopic(4)
  const other = await client.createTopic(1)
  await using sink = await startSink()
  const sent = Array.from({ length: 600 }, (_, i) => {
    const key = `k${i % 5}`
    const own = record(topic, key, `${i}`)
    // Every twentieth is a transaction over two topics, in the midst of its key's others.
    return sink.produce(i % 20 === 0 ? [own, record(other, key, `${i}`)] : [own])
  })
  await Promise.all(sent)
  const consumed = await client.consumeAll(topic, 600)
  const byKey = Map.groupBy(consumed, ({ key }) => String(key))
  assert.equal(byKey.size, 5)
  for (const messages of byKey.values()) {
    const order = messages.map(message => Number(textOf(message)))
    assert.deepEqual(
      order,
      order.toSorted((a, b) => a - b)
    )
  }
})

test('a key goes to the partition that kafkajs and the Java client choose', async () => {
  const topic = await client.createTopic(8)
  await using sink = await startSink()
  const keys = Array.from({ length: 40 }, (_, i) => `방-${i}`)
  const ours = await Promise.all(keys.map(key => sink.produce([record(topic, key, 'x')])))
  await client.produce(
    topic,
    keys.map(key => ({ key, value: 'y' }))
  )
  const consumed = await client.consumeAll(topic, 80)
  for (const [i, key] of keys.entries()) {
    const theirs = consumed.find(message => textOf(message) === 'y' && String(message.key) === key)
    assert.equal(ours[i]?.[0]?.partition, theirs?.partition)
  }
})

test('records without a key use every partition', async () => {
  const topic = await client.createTopic(3)
  await using sink = await startSink()
  const produced = await Promise.all(Array.from({ length: 30 }, () => sink.produce([record(topic, null, 'x')])))
  assert.deepEqual(new Set(produced.map(([place]) => place?.partition)), new Set([0, 1, 2]))
})

test('a record over the limit of its topic is refused alone, those beside it are written', async () => {
  const topic = unique('test')
  const configEntries = [{ name: 'max.message.bytes', value: '2000' }]
  await client.admin.createTopics({ topics: [{ topic, numPartitions: 1, configEntries }], waitForLeaders: true })
  await using sink = await startSink()
  const results = await Promise.allSettled([
    sink.produce([record(topic, 'k', 'before')]),
    sink.produce([record(topic, 'k', Buffer.alloc(5000))]),
    sink.produce([record(topic, 'k', 'after')])
  ])
  assert.deepEqual(
    results.map(({ status }) => status),
    ['fulfilled', 'rejected', 'fulfilled']
  )
  assert.ok(refusedWith('BODY_TOO_LARGE')((results[1] as PromiseRejectedResult).reason))
  assert.deepEqual((await client.consumeAll(topic, 2)).map(textOf), ['before', 'after'])
})

test('a topic that Kafka does not have is refused by name and not created', async () => {
  const topic = await client.createTopic(1)
  const missing = unique('missing')
  await using sink = await startSink()
  const refused = [{}, { partition: 'round-robin' as const }].map(more =>
    sink.produce([record(missing, 'k', 'x', more)])
  )
  const written = sink.produce([record(topic, 'k', 'x')])
  for (const call of refused) await assert.rejects(call, new RegExp(`does not have topic "${missing}"`))
  await written
  assert.ok(!(await client.admin.listTopics()).includes(missing))
})

test('a declared topic that is missing is created by a sink alone, and what is produced meanwhile waits for it', async () => {
  const topic = unique('declared')
  const declared = [{ name: topic, partitions: 2, replicationFactor: 1 }]
  await using sink = await startSink({ declared })
  const written = await sink.produce([record(topic, 'k', 'x')])
  assert.equal(written[0]?.offset, 0)
  assert.equal((await client.admin.fetchTopicOffsets(topic)).length, 2)
})

test('a topic deleted behind its back does not take the others down', async () => {
  const [deleted, topic] = [await client.createTopic(1), await client.createTopic(1)]
  await using sink = await startSink({ produceTimeoutMs: 3000 })
  await sink.produce([record(deleted, 'k', 'x')])
  await client.admin.deleteTopics({ topics: [deleted] })
  await assert.rejects(sink.produce([record(deleted, 'k', 'x')]), refusedWith('KAFKA_UNAVAILABLE'))
  const written = async () => (await sink.produce([record(topic, 'k', 'x')])).length === 1
  await waitFor(written, { deadlineMs: 20_000, what: 'a record of another topic' })
})

test('more than may wait is refused at once, and what waits is written', async () => {
  const topic = await client.createTopic(1)
  await using sink = await startSink({ produceQueueBytes: 10_000 })
  const taken = sink.produce([record(topic, 'k', Buffer.alloc(9000, 'a'))])
  await assert.rejects(sink.produce([record(topic, 'k', Buffer.alloc(2000))]), refusedWith('PRODUCE_QUEUE_FULL'))
  await taken
  await sink.produce([record(topic, 'k', Buffer.alloc(9000))])
})

test('close writes what was taken and takes nothing more', async () => {
  const topic = await client.createTopic(1)
  await using sink = await startSink()
  const taken = Array.from({ length: 50 }, (_, i) => sink.produce([record(topic, 'k', `${i}`)]))
  await sink.close()
  assert.equal((await Promise.all(taken)).length, 50)
  await assert.rejects(sink.produce([record(topic, 'k', 'x')]), refusedWith('SHUTTING_DOWN'))
})

test('while Kafka is stopped a call ends at the produce timeout; then all goes on by itself, in order', async () => {
  await using kafka = await startKafka()
  await using own = await withKafka({ brokers: kafka.brokers })
  const topic = await own.createTopic(1)
  await using sink = await startSink({ brokers: kafka.brokers, produceTimeoutMs: 1500 })
  await sink.produce([record(topic, 'k', 'before')])
  await kafka.stop()
  const from = performance.now()
  await assert.rejects(sink.produce([record(topic, 'k', 'lost')]), refusedWith('KAFKA_UNAVAILABLE'))
  assert.ok(performance.now() - from < 3000, 'not long after the produce timeout')
  await waitFor(() => !sink.ready, { what: 'the sink to notice' })
  await kafka.restart()
  await waitFor(() => sink.ready, { deadlineMs: 20_000, what: 'the sink to come back' })
  await Promise.all(['a', 'b', 'c'].map(value => sink.produce([record(topic, 'k', value)])))
  const offset = Number((await own.admin.fetchTopicOffsets(topic))[0]?.high)
  const values = (await own.consumeAll(topic, offset)).map(textOf)
  assert.deepEqual(
    values.filter(value => value !== 'lost'),
    ['before', 'a', 'b', 'c']
  )
})

test('a short absence of Kafka costs a call time only: nothing is lost, doubled or swapped', async () => {
  await using kafka = await startKafka()
  await using own = await withKafka({ brokers: kafka.brokers })
  const topic = await own.createTopic(2)
  await using sink = await startSink({ brokers: kafka.brokers, produceTimeoutMs: 20_000 })
  await sink.produce([record(topic, 'k', 'first')])
  let stop = false
  const sent: Promise<unknown>[] = []
  const sending = (async () => {
    for (let i = 0; !stop; i++) {
      sent.push(sink.produce([record(topic, `k${i % 4}`, `${i}`)]))
      await new Promise(resolve => setImmediate(resolve))
      if (sent.length > 3000) break
    }
  })()
  await waitFor(() => sent.length > 300, { what: 'sends under way' })
  await kafka.kill()
  await kafka.restart()
  stop = true
  await sending
  await Promise.all(sent)
  const count = (await own.admin.fetchTopicOffsets(topic)).reduce((sum, { high }) => sum + Number(high), 0)
  assert.equal(count, sent.length + 1)
  const consumed = (await own.consumeAll(topic, count)).filter(message => textOf(message) !== 'first')
  for (const messages of Map.groupBy(consumed, ({ key }) => String(key)).values()) {
    const order = messages.map(message => Number(textOf(message)))
    assert.deepEqual(
      order,
      order.toSorted((a, b) => a - b)
    )
  }
})

test('an answer that never comes does not write a record twice', async () => {
  await using kafka = await startKafka()
  await using own = await withKafka({ brokers: kafka.brokers })
  const topic = await own.createTopic(1)
  await using sink = await startSink({ brokers: kafka.brokers, produceTimeoutMs: 30_000 })
  await sink.produce([record(topic, 'k', '0')])
  await kafka.pause()
  const sent = ['1', '2', '3'].map(value => sink.produce([record(topic, 'k', value)]))
  await waitFor(() => !sink.ready, { what: 'the sink to notice' })
  // Past the request timeout, after which kafkajs sends again: the broker then finds both in its socket.
  await delay(8000)
  await kafka.resume()
  assert.deepEqual(
    (await Promise.all(sent)).map(([place]) => place?.offset),
    [1, 2, 3]
  )
  await sink.produce([record(topic, 'k', '4')])
  assert.deepEqual((await own.consumeAll(topic, 5)).map(textOf), ['0', '1', '2', '3', '4'])
  assert.equal((await own.admin.fetchTopicOffsets(topic))[0]?.high, '5')
})

test('Kafka away at start: calls wait for it', async () => {
  await using kafka = await startKafka()
  await using own = await withKafka({ brokers: kafka.brokers })
  const topic = await own.createTopic(1)
  await kafka.stop()
  await using sink = await startSink({ brokers: kafka.brokers, produceTimeoutMs: 90_000 })
  const waiting = sink.produce([record(topic, 'k', 'patient')])
  assert.equal(sink.ready, false)
  await kafka.restart()
  assert.equal((await waiting)[0]?.offset, 0)
})

test('one of three brokers killed in the midst of sends: nothing is lost, doubled or swapped', async () => {
  await using kafka = await startKafka({ brokers: 3 })
  await using own = await withKafka({ brokers: kafka.brokers })
  const topic = await own.createTopic(6, 3)
  await using sink = await startSink({ brokers: kafka.brokers, produceTimeoutMs: 30_000 })
  const sent: Promise<unknown>[] = []
  const send = (count: number) => {
    for (let i = 0; i < count; i++) sent.push(sink.produce([record(topic, `k${i % 24}`, `${sent.length}`)]))
  }
  send(500)
  await sent[100]
  await kafka.kill(1)
  send(500)
  await Promise.all(sent)
  const count = (await own.admin.fetchTopicOffsets(topic)).reduce((sum, { high }) => sum + Number(high), 0)
  assert.equal(count, 1000)
  for (const messages of Map.groupBy(await own.consumeAll(topic, count), ({ key }) => String(key)).values()) {
    const order = messages.map(message => Number(textOf(message)))
    assert.deepEqual(
      order,
      order.toSorted((a, b) => a - b)
    )
  }
})

test('a broker that is slow while another has lost a partition gets no record twice', async () => {
  await using kafka = await startKafka({ brokers: 3 })
  await using own = await withKafka({ brokers: kafka.brokers })
  const on = (broker: number) => [{ partition: 0, replicas: [broker] }]
  const slow = await own.createTopicWith({ replicaAssignment: on(1) })
  const moving = await own.createTopicWith({ replicaAssignment: on(2) })
  await using sink = await startSink({ brokers: kafka.brokers, produceTimeoutMs: 30_000 })
  const send = (value: string) => Promise.all([slow, moving].map(topic => sink.produce([record(topic, null, value)])))
  for (const to of [3, 2, 3]) {
    await send(`before ${to}`)
    // The producer does not hear of the move before broker 2 refuses.
    await own.admin.alterPartitionReassignments({ topics: [{ topic: moving, partitionAssignment: on(to) }] })
    const moved = async () =>
      (await own.admin.fetchTopicMetadata({ topics: [moving] })).topics[0]?.partitions[0]?.leader === to
    await waitFor(moved, { what: 'the move' })
    await kafka.pause(0)
    const sent = send(`after ${to}`)
    // For kafkajs to try again, while broker 1 holds what it got in its socket.
    await delay(1500)
    await kafka.resume(0)
    await sent
  }
  for (const topic of [slow, moving])
    assert.deepEqual((await own.consumeCommitted(topic)).map(textOf), [
      ...['before 3', 'after 3', 'before 2', 'after 2', 'before 3', 'after 3']
    ])
})
