import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import pino from 'pino'
import { createKafkaClient, type KafkaClientOptions } from '../../src/kafka/client.ts'
import { createAdminLink } from '../../src/kafka/link.ts'
import { createKafkaSink } from '../../src/kafka/producer.ts'
import { selfSigned } from '../support/certificate.ts'
import { startKafka } from '../support/kafka.ts'
import { NO_TOPICS, withKafka } from '../support/kafka-client.ts'
import { waitFor } from '../support/wait.ts'

const warnings: string[] = []
process.on('warning', ({ name }) => warnings.push(name))
const options = { clientId: 'test', produceTimeoutMs: 3000 }
const silent = pino({ level: 'silent' })
// Before any other kafkajs of this process connects.
createKafkaClient({ ...options, brokers: ['127.0.0.1:1'] }, { logger: silent })

const sasl = { username: 'baton', password: 'a very secret word' }
const users = await startKafka({ sasl })
test.after(() => users.stop())

for (const mechanism of ['plain', 'scram-sha-256', 'scram-sha-512'] as const)
  test(`${mechanism} opens Kafka: a record is produced and consumed`, async () => {
    const brokers = users.brokers
    await using own = await withKafka({ brokers, sasl: { mechanism: 'plain', ...sasl } })
    const topic = await own.createTopic()
    const client = createKafkaClient(
      { ...options, brokers, sasl: Object.freeze({ mechanism, ...sasl }) },
      { logger: silent }
    )
    const sink = createKafkaSink({ ...options, produceQueueBytes: 1e6 }, { client, logger: silent, topics: NO_TOPICS })
    await sink.start()
    const [place] = await sink.produce([{ topic, key: 'k', value: Buffer.from('v'), headers: {} }])
    assert.equal(place?.offset, 0)
    await sink.close()
    assert.equal(String((await own.consumeAll(topic, 1))[0]?.value), 'v')
  })

test('a wrong password is said in the log, without the password, and it is not ready', async () => {
  const lines: string[] = []
  const logger = pino({ level: 'trace' }, { write: (line: string) => lines.push(line) })
  const wrong: KafkaClientOptions = {
    ...options,
    brokers: users.brokers,
    sasl: { mechanism: 'scram-sha-512', username: 'baton', password: 'not the secret word' }
  }
  const client = createKafkaClient(wrong, { logger })
  const sink = createKafkaSink({ ...options, produceQueueBytes: 1e6 }, { client, logger, topics: NO_TOPICS })
  await sink.start()
  const said = () => lines.find(line => line.includes('"level":40') && /authentication/i.test(line))
  await waitFor(said, { what: 'a warning that authentication failed' })
  assert.equal(sink.ready, false)
  await sink.close()
  assert.ok(!lines.some(line => line.includes('secret word')))
})

test('an idle connection arms no timer again and again', async () => {
  const client = createKafkaClient(
    { ...options, brokers: users.brokers, sasl: { mechanism: 'plain', ...sasl } },
    { logger: silent }
  )
  const link = createAdminLink(client)
  await link.use(admin => admin.listTopics())
  await delay(50)
  await link.close()
  assert.deepEqual(
    warnings.filter(name => name === 'TimeoutNegativeWarning'),
    []
  )
})

test('TLS with an authority of its own opens Kafka; without it, it does not', async () => {
  const { cert, key } = selfSigned()
  await using kafka = await startKafka({ tls: { cert, key } })
  const listTopics = async (tls: KafkaClientOptions['tls']) => {
    const client = createKafkaClient({ ...options, brokers: kafka.brokers, tls }, { logger: silent })
    const link = createAdminLink(client)
    try {
      return await link.use(admin => admin.listTopics())
    } finally {
      await link.close()
    }
  }
  assert.ok(Array.isArray(await listTopics({ ca: cert })))
  await assert.rejects(listTopics(true), /self-signed certificate/)
})
