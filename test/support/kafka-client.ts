import { type Admin, Kafka, type KafkaConfig, type KafkaMessage, logLevel, type Message } from 'kafkajs'
import type { Topics } from '../../src/kafka/topics.ts'
import { unique } from './ids.ts'
import { sharedKafka } from './kafka.ts'
import { deadline } from './wait.ts'

/** How consumers under test are tuned: quick to join, to notice and to commit. */
export const CONSUMER_OPTIONS = {
  isolation: 'read_committed',
  sessionTimeoutMs: 6000,
  heartbeatIntervalMs: 300,
  maxWaitMs: 50,
  maxBytesPerPartition: 1024 * 1024,
  partitionsConcurrently: 8,
  commitIntervalMs: 100
} as const

/** Nothing is declared: the test makes its topics itself. */
export const NO_TOPICS: Topics = { ensure: async () => undefined, forget: () => undefined }

export type ConsumedMessage = KafkaMessage & { partition: number }

export interface KafkaClient extends AsyncDisposable {
  readonly kafka: Kafka
  readonly brokers: string[]
  readonly admin: Admin
  /** A new topic with a name of its own, every partition with a leader. Replication factor 1 by default. */
  createTopic(partitions?: number, replicationFactor?: number): Promise<string>
  /** By a producer of its own, acknowledged by all. */
  produce(topic: string, messages: Message[]): Promise<void>
  /** The first `count` messages of a topic, in order of arrival, within 15 s; a group of its own. */
  consumeAll(topic: string, count: number): Promise<ConsumedMessage[]>
}

const CONSUME_DEADLINE_MS = 15_000

/** A plain kafkajs client, as another program would be; of the shared Kafka unless brokers are given. */
export async function withKafka(config: Partial<KafkaConfig> = {}): Promise<KafkaClient> {
  const brokers = (config.brokers as string[] | undefined) ?? (await sharedKafka()).brokers
  const kafka = new Kafka({ logLevel: logLevel.NOTHING, ...config, brokers })
  const admin = kafka.admin()
  await admin.connect()
  return {
    kafka,
    brokers,
    admin,
    async createTopic(numPartitions = 1, replicationFactor = 1) {
      const topic = unique('test')
      await admin.createTopics({ topics: [{ topic, numPartitions, replicationFactor }], waitForLeaders: true })
      return topic
    },
    async produce(topic, messages) {
      const producer = kafka.producer({ allowAutoTopicCreation: false })
      await producer.connect()
      try {
        await producer.send({ topic, messages, acks: -1 })
      } finally {
        await producer.disconnect()
      }
    },
    async consumeAll(topic, count) {
      const consumer = kafka.consumer({ groupId: unique('group'), maxWaitTimeInMs: 100, heartbeatInterval: 1000 })
      const consumed: ConsumedMessage[] = []
      const all = Promise.withResolvers<void>()
      if (count === 0) return consumed
      try {
        await consumer.connect()
        await consumer.subscribe({ topic, fromBeginning: true })
        await consumer.run({
          autoCommit: false,
          eachMessage: async ({ message, partition }) => {
            if (consumed.length === count) return
            consumed.push({ ...message, partition })
            if (consumed.length === count) all.resolve()
          }
        })
        const found = () => `${count} messages of ${topic}, ${consumed.length} came`
        await deadline(all.promise, CONSUME_DEADLINE_MS, found)
        return consumed
      } finally {
        await consumer.disconnect()
      }
    },
    [Symbol.asyncDispose]: () => admin.disconnect()
  }
}
