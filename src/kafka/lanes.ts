import kafkajs, { type PartitionMetadata } from 'kafkajs'
import type { OutgoingRecord } from '../ports.ts'
import { type AdminLink, protocolError } from './link.ts'

// Which partition a record goes to is settled before it is sent: kafkajs would choose again on each of its retries, and a call
// must know beforehand whether all its records share one partition.

/** One topic-partition: what is written to it keeps its order. */
export interface Lane {
  topic: string
  partition: number
}

/** The lane of a record, a new choice at each call; null: Kafka has no such topic or partition; undefined: not learnt yet. */
export type LaneOf = (record: OutgoingRecord) => Lane | null | undefined

export interface Lanes {
  /** Learns the partitions of topics that are not known, or not since five minutes. @throws when Kafka is away. */
  learn(topics: Iterable<string>): Promise<void>
  of: LaneOf
  /** Something failed: what is known may be wrong. */
  forget(): void
}

/** As in the Java client's metadata.max.age.ms: new partitions are used at the latest then. */
const MAX_AGE_MS = 300_000

export function createLanes(admin: AdminLink): Lanes {
  // The Java client's choice: murmur2 of the key; without a key, one partition after the other.
  const choose = kafkajs.Partitioners.DefaultPartitioner()
  const known = new Map<string, { partitions: PartitionMetadata[]; learnedAt: number }>()

  async function partitionsOf(topic: string): Promise<PartitionMetadata[]> {
    try {
      const { topics } = await admin.use(connected => connected.fetchTopicMetadata({ topics: [topic] }))
      return topics[0]?.partitions ?? []
    } catch (error) {
      const cause = protocolError(error)
      if (cause?.type === 'UNKNOWN_TOPIC_OR_PARTITION' || cause?.retriable === false) return []
      throw error
    }
  }

  return {
    async learn(topics) {
      for (const topic of new Set(topics)) {
        const before = known.get(topic)
        if (before && before.partitions.length > 0 && performance.now() - before.learnedAt < MAX_AGE_MS) continue
        known.set(topic, { partitions: await partitionsOf(topic), learnedAt: performance.now() })
      }
    },
    of({ topic, key, partition }) {
      const partitionMetadata = known.get(topic)?.partitions
      if (!partitionMetadata) return undefined
      if (partitionMetadata.length === 0) return null
      if (typeof partition === 'number')
        return partitionMetadata.some(({ partitionId }) => partitionId === partition) ? { topic, partition } : null
      const message = { key: partition === 'round-robin' ? null : key, value: null }
      return { topic, partition: choose({ topic, partitionMetadata, message }) }
    },
    forget: () => known.clear()
  }
}
