import pino from 'pino'
import { createKafkaClient } from '../../src/kafka/client.ts'
import { createKafkaSource, type KafkaSourceOptions } from '../../src/kafka/consumer.ts'
import { createKafkaSink } from '../../src/kafka/producer.ts'
import { createTopics } from '../../src/kafka/topics.ts'
import { createMemoryBroker } from '../../src/memory/broker.ts'
import { unique } from '../support/ids.ts'
import { sharedKafka } from '../support/kafka.ts'
import { CONSUMER_OPTIONS } from '../support/kafka-client.ts'
import { recordContract } from './records.ts'

const logger = pino({ level: 'silent' })
const asyncDispose = async () => undefined

recordContract('memory', async () => {
  const topic = unique('records')
  const broker = createMemoryBroker({ topics: [{ name: topic, partitions: 3, consumed: true }] }, { logger })
  return { ...broker, topic, [Symbol.asyncDispose]: asyncDispose }
})

recordContract('kafka', async () => {
  const { brokers } = await sharedKafka()
  const topic = unique('records')
  const produceTimeoutMs = 10_000
  const client = createKafkaClient({ brokers, clientId: 'test', produceTimeoutMs }, { logger })
  const onFatal = (error: unknown) => {
    throw error
  }
  const declared = [{ name: topic, partitions: 3, replicationFactor: 1 }]
  const deps = { client, logger, topics: createTopics(declared, { logger, onFatal }) }
  const options: KafkaSourceOptions = {
    groupId: unique('group'),
    topics: [topic],
    ...CONSUMER_OPTIONS
  }
  return {
    topic,
    source: createKafkaSource(options, deps),
    sink: createKafkaSink({ produceTimeoutMs, produceQueueBytes: 1024 * 1024 }, deps),
    [Symbol.asyncDispose]: asyncDispose
  }
})
