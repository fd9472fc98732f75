import type { Commit, PartitionControl } from '../ports.ts'
import type { AdminLink } from './link.ts'
import type { TopicIds } from './topic-ids.ts'

export interface ControlDeps {
  groupId: string
  admin: AdminLink
  topicIds: TopicIds
  /** @returns whether the group's coordinator has taken it. */
  store(topic: string, partition: number, commit: Commit): Promise<boolean>
  seek(topic: string, partition: number, offset: number): void
}

export interface KafkaControl extends PartitionControl {
  /** `topicId` at once, where it is known. */
  knownTopicId(): { id: string | undefined } | undefined
}

/** What the owner of a partition may ask of Kafka. */
export function createControl(topic: string, partition: number, deps: ControlDeps): KafkaControl {
  const { groupId, admin } = deps

  function own<T extends { partition: number }>(all: T[] | undefined): T {
    const found = all?.find(other => other.partition === partition)
    if (!found) throw new Error(`Kafka does not know ${topic}/${partition}`)
    return found
  }

  return {
    topic,
    partition,
    group: groupId,
    topicId: () => deps.topicIds.of(topic),
    knownTopicId: () => deps.topicIds.known(topic),
    async readCommit() {
      const [answer] = await admin.use(connected => connected.fetchOffsets({ groupId, topics: [topic] }))
      const { offset, metadata } = own(answer?.partitions)
      // Negative: none, or what kafkajs commits when an offset is out of range.
      return Number(offset) < 0 ? null : { offset: Number(offset), metadata: metadata ?? '' }
    },
    async commit(commit) {
      if (!(await deps.store(topic, partition, commit)))
        throw new Error(`the commit of ${topic}/${partition} was not stored: the group is gone`)
    },
    async bounds() {
      const { low, high } = own(await admin.use(connected => connected.fetchTopicOffsets(topic)))
      return { earliest: Number(low), latest: Number(high) }
    },
    async offsetAt(timestampMs) {
      return Number(
        own(await admin.use(connected => connected.fetchTopicOffsetsByTimestamp(topic, timestampMs))).offset
      )
    },
    seek: offset => deps.seek(topic, partition, offset)
  }
}
