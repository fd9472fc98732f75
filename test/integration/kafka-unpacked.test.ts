import assert from 'node:assert/strict'
import { test } from 'node:test'
import kafkajs from 'kafkajs'
import pino from 'pino'
import { createKafkaClient } from '../../src/kafka/client.ts'
import { MAX_UNPACKED_BYTES } from '../../src/kafka/codecs.ts'
import { createKafkaSource } from '../../src/kafka/consumer.ts'
import { unique } from '../support/ids.ts'
import { CONSUMER_OPTIONS, NO_TOPICS, withKafka } from '../support/kafka-client.ts'
import { allOf } from '../support/records.ts'
import { waitFor } from '../support/wait.ts'

test('a batch of gzip that unpacks to too much is named and not taken, until its records are deleted', async () => {
  await using kafka = await withKafka()
  const topic = await kafka.createTopic()
  const lines: string[] = []
  const logger = pino({ level: 'error' }, { write: line => lines.push(line) })
  const client = createKafkaClient({ brokers: kafka.brokers, clientId: 'test', produceTimeoutMs: 10_000 }, { logger })
  const producer = kafka.kafka.producer({ allowAutoTopicCreation: false })
  await producer.connect()
  const produce = (value: Buffer | string) =>
    producer.send({ topic, compression: kafkajs.CompressionTypes.GZIP, messages: [{ value }] })
  await produce('before')
  await produce(Buffer.alloc(MAX_UNPACKED_BYTES))
  await produce('after')
  await producer.disconnect()

  const taken: string[] = []
  let next = 0
  const source = createKafkaSource(
    { ...CONSUMER_OPTIONS, groupId: unique('group'), topics: [topic] },
    { client, logger, topics: NO_TOPICS }
  )
  await using _ = { [Symbol.asyncDispose]: () => source.close() }
  await source.start({
    assigned: async () => ({
      async batch({ records, lastOffset }) {
        taken.push(...allOf(records).map(({ value }) => String(value)))
        next = lastOffset + 1
      },
      probe: async () => undefined,
      committable: () => (next > 0 ? { offset: next, metadata: '' } : null),
      committed: () => undefined,
      revoked: () => undefined
    })
  })
  await waitFor(() => lines.length > 0, { what: 'the error', deadlineMs: 20_000 })
  const { err, msg } = JSON.parse(lines[0] as string)
  assert.equal(msg, 'a batch could not be taken, joining the group again')
  assert.match(err.message, new RegExp(`^topic ${topic}, partition 0: the batch at offset 1 .*over 128 MiB`))
  assert.ok(!taken.includes('after'))
  await kafka.admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: '2' }] })
  await waitFor(() => taken.includes('after'), { what: 'the record behind it', deadlineMs: 20_000 })
})
