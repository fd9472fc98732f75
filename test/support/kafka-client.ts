import {
  type Admin,
  type ITopicConfig,
  Kafka,
  type KafkaConfig,
  type KafkaMessage,
  logLevel,
  type Message
} from 'kafkajs'
import { mendAborted } from '../../src/kafka/aborted.ts'
import type { Topics } from '../../src/kafka/topics.ts'
import { unique } from './ids.ts'
import { sharedKafka } from './kafka.ts'
import { deadline, waitFor } from './wait.ts'

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
  /** The same, as the settings say. */
  createTopicWith(settings: Omit<ITopicConfig, 'topic'>): Promise<string>
  /** By a producer of its own, acknowledged by all. */
  produce(topic: string, messages: Message[]): Promise<void>
  /** The first `count` messages of a topic, in order of arrival, within a minute; a group of its own. */
  consumeAll(topic: string, count: number): Promise<ConsumedMessage[]>
  /** What is committed by now, within a minute; no open transaction may be in its way. Writes a message with an `end` header to each partition. */
  consumeCommitted(topic: string): Promise<ConsumedMessage[]>
  /** The same, with what was aborted or is still open. */
  consumeWritten(topic: string): Promise<ConsumedMessage[]>
}

interface Reading {
  counts?: (message: KafkaMessage) => boolean
  readUncommitted?: boolean
}

const CONSUME_DEADLINE_MS = 60_000

/** A plain kafkajs client, as another program would be; of the shared Kafka unless brokers are given. */
export async function withKafka(config: Partial<KafkaConfig> = {}): Promise<KafkaClient> {
  // Else it shows records of aborted transactions; test/unit/kafka holds the mending to a model of its own.
  mendAborted()
  const brokers = (config.brokers as string[] | undefined) ?? (await sharedKafka()).brokers
  const kafka = new Kafka({ logLevel: logLevel.NOTHING, ...config, brokers })
  const admin = kafka.admin()
  await admin.connect()

  async function createTopicWith(settings: Omit<ITopicConfig, 'topic'>): Promise<string> {
    const topic = unique('test')
    await admin.createTopics({ topics: [{ topic, ...settings }], waitForLeaders: false })
    // kafkajs's own waiting gives up where one broker of several has not heard of the topic yet.
    const haveLeaders = async () => {
      const { partitions = [] } = (await admin.fetchTopicMetadata({ topics: [topic] })).topics[0] ?? {}
      return partitions.length > 0 && partitions.every(({ leader }) => leader >= 0)
    }
    await waitFor(haveLeaders, { what: `leaders of ${topic}` })
    return topic
  }

  async function produce(topic: string, messages: Message[]) {
    const producer = kafka.producer({ allowAutoTopicCreation: false })
    await producer.connect()
    try {
      await producer.send({ topic, messages, acks: -1 })
    } finally {
      await producer.disconnect()
    }
  }

  /** From the beginning until `count` messages came that are counted. */
  async function consume(
    topic: string,
    count: number,
    { counts = () => true, readUncommitted = false }: Reading = {}
  ): Promise<ConsumedMessage[]> {
    const consumer = kafka.consumer({
      groupId: unique('group'),
      maxWaitTimeInMs: 100,
      heartbeatInterval: 1000,
      readUncommitted
    })
    const consumed: ConsumedMessage[] = []
    const all = Promise.withResolvers<void>()
    let missing = count
    if (missing === 0) return consumed
    try {
      await consumer.connect()
      await consumer.subscribe({ topic, fromBeginning: true })
      await consumer.run({
        autoCommit: false,
        eachMessage: async ({ message, partition }) => {
          if (missing === 0) return
          consumed.push(Object.assign(message, { partition }))
          if (counts(message) && --missing === 0) all.resolve()
        }
      })
      const found = () => `${missing} of ${count} messages of ${topic} are missing, ${consumed.length} came`
      await deadline(all.promise, CONSUME_DEADLINE_MS, found)
      return consumed
    } finally {
      await consumer.disconnect()
    }
  }

  async function consumeUntilNow(topic: string, readUncommitted: boolean): Promise<ConsumedMessage[]> {
    const { topics } = await admin.fetchTopicMetadata({ topics: [topic] })
    const partitions = topics[0]?.partitions ?? []
    const end = unique('end')
    const ends = partitions.map(({ partitionId: partition }) => ({ partition, value: null, headers: { end } }))
    await produce(topic, ends)
    const counts = ({ headers }: KafkaMessage) => String(headers?.['end']) === end
    const consumed = await consume(topic, partitions.length, { counts, readUncommitted })
    return consumed.filter(({ headers }) => headers?.['end'] === undefined)
  }

  return {
    kafka,
    brokers,
    admin,
    createTopicWith,
    createTopic: (numPartitions = 1, replicationFactor = 1) => createTopicWith({ numPartitions, replicationFactor }),
    produce,
    consumeAll: (topic, count) => consume(topic, count),
    consumeCommitted: topic => consumeUntilNow(topic, false),
    consumeWritten: topic => consumeUntilNow(topic, true),
    [Symbol.asyncDispose]: () => admin.disconnect()
  }
}
