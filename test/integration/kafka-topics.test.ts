import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import kafkajs from 'kafkajs'
import pino from 'pino'
import { BatonError } from '../../src/errors.ts'
import { createKafkaClient } from '../../src/kafka/client.ts'
import { createDeadLetter } from '../../src/kafka/dead-letter.ts'
import type { AdminLink } from '../../src/kafka/link.ts'
import { createKafkaSink } from '../../src/kafka/producer.ts'
import { checkTopics, createTopics, ensureTopics } from '../../src/kafka/topics.ts'
import type { KafkaRecord } from '../../src/ports.ts'
import { unique } from '../support/ids.ts'
import { NO_TOPICS, withKafka } from '../support/kafka-client.ts'

const client = await withKafka()
const { admin } = client
const silent = pino({ level: 'silent' })
after(() => client[Symbol.asyncDispose]())

const link: AdminLink = { use: task => task(admin), close: async () => undefined }

/** A logger and the lines it wrote. */
function listening() {
  const lines: { level: number; msg: string }[] = []
  const logger = pino({ level: 'info' }, { write: (line: string) => lines.push(JSON.parse(line)) })
  return { logger, warnings: () => lines.filter(({ level }) => level === 40).map(({ msg }) => msg) }
}

test('a declared topic that is missing is created with its partitions, replication factor and settings', async () => {
  const [declared, plain] = [unique('topic'), unique('topic')]
  const declaration = {
    name: declared,
    partitions: 3,
    replicationFactor: 1,
    config: { 'max.message.bytes': '2000000' }
  }
  const { logger, warnings } = listening()
  await ensureTopics(admin, [declaration, { name: plain }], logger)
  const { topics } = await admin.fetchTopicMetadata({ topics: [declared, plain] })
  const found = new Map(topics.map(({ name, partitions }) => [name, partitions.map(({ leader }) => leader >= 0)]))
  assert.deepEqual(found.get(declared), [true, true, true])
  assert.deepEqual(found.get(plain), [true])
  const resource = { type: kafkajs.ConfigResourceTypes.TOPIC, name: declared, configNames: ['max.message.bytes'] }
  const { resources } = await admin.describeConfigs({ resources: [resource], includeSynonyms: false })
  assert.equal(resources[0]?.configEntries[0]?.configValue, '2000000')
  // A second replica that starts finds all as declared.
  await ensureTopics(admin, [declaration, { name: plain }], logger)
  assert.deepEqual(warnings(), [])
})

test('two replicas that create the same topics at once both succeed', async () => {
  const declared = Array.from({ length: 3 }, () => ({ name: unique('topic'), partitions: 2 }))
  await using other = await withKafka()
  await Promise.all([ensureTopics(admin, declared, silent), ensureTopics(other.admin, declared, silent)])
  assert.deepEqual((await checkTopics(admin, declared)).missing, [])
})

test('an existing topic with other numbers is one warning for each, and stays as it is', async () => {
  const name = await client.createTopic(3)
  const { logger, warnings } = listening()
  const declaration = { name, partitions: 2, replicationFactor: 3, config: { 'retention.ms': '1000' } }
  await ensureTopics(admin, [declaration], logger)
  const [partitions, replicas, retention] = warnings()
  assert.equal(warnings().length, 3)
  assert.match(partitions ?? '', /has 3 partitions, 2 are declared/)
  assert.match(replicas ?? '', /has replication factor 1, 3 is declared/)
  assert.match(retention ?? '', /retention\.ms=604800000, 1000 is declared/)
})

test('fewer partitions than declared is refused, every fault in one error', async () => {
  const [a, b] = [await client.createTopic(1), await client.createTopic(2)]
  const missing = unique('missing')
  const declared = [{ name: a, partitions: 2 }, { name: b, partitions: 4 }, { name: missing }]
  await assert.rejects(ensureTopics(admin, declared, silent), (error: unknown) => {
    assert.ok(error instanceof BatonError)
    assert.match(error.detail, new RegExp(`"${a}" has 1 partitions and 2 are declared.*"${b}" has 2 partitions and 4`))
    return true
  })
  assert.ok(!(await admin.listTopics()).includes(missing), 'nothing is created beside a fault')
})

test('a topic that cannot be created is told with the reason, and may be tried again', async () => {
  const [name, fine] = [unique('topic'), unique('topic')]
  const declared = [{ name, partitions: 1, replicationFactor: 3 }, { name: fine }]
  await assert.rejects(ensureTopics(admin, declared, silent), (error: unknown) => {
    assert.ok(!(error instanceof BatonError))
    assert.match(String(error), new RegExp(`"${name}" cannot be created: INVALID_REPLICATION_FACTOR`))
    return true
  })
  assert.ok((await admin.listTopics()).includes(fine))
})

test('all parts of a process look once together, and again once something failed', async () => {
  const declared = [{ name: await client.createTopic(2), partitions: 1 }]
  const { logger, warnings } = listening()
  const topics = createTopics(declared, { logger, onFatal: error => assert.fail(String(error)) })
  await Promise.all([topics.ensure(link), topics.ensure(link)])
  await topics.ensure(link)
  assert.equal(warnings().length, 1)
  topics.forget()
  await topics.ensure(link)
  assert.equal(warnings().length, 2)
})

test('what no waiting mends is told once as fatal, to whoever asks as its error', async () => {
  const fatal: unknown[] = []
  const declared = [{ name: await client.createTopic(1), partitions: 2 }]
  const topics = createTopics(declared, { logger: silent, onFatal: error => fatal.push(error) })
  await assert.rejects(topics.ensure(link), BatonError)
  await assert.rejects(topics.ensure(link), BatonError)
  assert.equal(fatal.length, 1)
})

test('a check finds what is missing and what differs, and creates nothing', async () => {
  const name = await client.createTopic(1)
  const missing = { name: unique('missing'), partitions: 2 }
  const findings = await checkTopics(admin, [{ name, partitions: 3, replicationFactor: 2 }, missing])
  assert.deepEqual(findings.missing, [missing])
  assert.equal(findings.faults.length, 1)
  assert.equal(findings.warnings.length, 1)
  assert.ok(!(await admin.listTopics()).includes(missing.name))
})

async function deadLetterTo(topic: string) {
  const kafka = createKafkaClient(
    { brokers: client.brokers, clientId: 'test', produceTimeoutMs: 5000 },
    { logger: silent }
  )
  const options = { produceTimeoutMs: 5000, produceQueueBytes: 1_000_000 }
  const sink = createKafkaSink(options, { client: kafka, logger: silent, topics: NO_TOPICS })
  await sink.start()
  return { deadLetter: createDeadLetter({ topic, groupId: 'foo' }, { sink }), sink }
}

const record: KafkaRecord & { topic: string; partition: number } = {
  topic: 'chat',
  partition: 2,
  offset: 41,
  timestampMs: 1_700_000_000_000,
  key: Buffer.from('방'),
  value: Buffer.from([0, 255, 1]),
  headers: [['trace', Buffer.from('t1')]]
}
const cause = { code: 'BAD_JSON', detail: 'the value is not JSON' }

test('a dead letter is the record as it was, with cause and coordinate in headers', async () => {
  const topic = await client.createTopic()
  const { deadLetter, sink } = await deadLetterTo(topic)
  await deadLetter.send(record, cause)
  const [letter] = await client.consumeAll(topic, 1)
  assert.deepEqual(letter?.key, record.key)
  assert.deepEqual(letter?.value, record.value)
  const headers = Object.fromEntries(
    Object.entries(letter?.headers ?? {}).map(([name, value]) => [name, String(value)])
  )
  assert.deepEqual(headers, {
    trace: 't1',
    'baton-cause': 'BAD_JSON',
    'baton-cause-detail': 'the value is not JSON',
    'baton-topic': 'chat',
    'baton-partition': '2',
    'baton-offset': '41',
    'baton-group': 'foo',
    'baton-timestamp': '1700000000000'
  })
  await sink.close()
})

test('a dead letter too large for its topic goes without its value', async () => {
  const topic = unique('test')
  const configEntries = [{ name: 'max.message.bytes', value: '2000' }]
  await admin.createTopics({ topics: [{ topic, numPartitions: 1, configEntries }], waitForLeaders: true })
  const { deadLetter, sink } = await deadLetterTo(topic)
  await deadLetter.send({ ...record, value: Buffer.alloc(5000) }, cause)
  const [letter] = await client.consumeAll(topic, 1)
  assert.equal(letter?.value, null)
  assert.equal(String(letter?.headers?.['baton-value-omitted']), '5000')
  assert.equal(String(letter?.headers?.['baton-offset']), '41')
  await sink.close()
})
