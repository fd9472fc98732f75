import type { Consumer, ConsumerCommitOffsetsEvent } from 'kafkajs'
import type { Commit } from '../ports.ts'

/** A commit and the partition it is of. */
export interface PartitionCommit {
  topic: string
  partition: number
  commit: Commit
}

export interface Commits {
  /** Sends commits to the group's coordinator. Resolves with those it has taken; none when there is no running consumer. */
  store<T extends PartitionCommit>(commits: T[]): Promise<T[]>
}

/** kafkajs's `commitOffsets` does nothing and says nothing when its runner has stopped: only its event tells what was stored. */
export function createCommits(consumer: Consumer): Commits {
  const stored = new Map<string, string>()

  const keyOf = ({ topic, partition }: { topic: string; partition: number }) => `${topic}/${partition}`
  const textOf = (offset: unknown, metadata: string | null | undefined) => `${offset} ${metadata ?? ''}`

  consumer.on(consumer.events.COMMIT_OFFSETS, ({ payload }: ConsumerCommitOffsetsEvent) => {
    // Its metadata is not in kafkajs's types.
    for (const { topic, partitions } of payload.topics)
      for (const { partition, offset, metadata } of partitions as ((typeof partitions)[number] & {
        metadata?: string | null
      })[])
        stored.set(keyOf({ topic, partition }), textOf(offset, metadata))
  })

  return {
    async store(commits) {
      for (const commit of commits) stored.delete(keyOf(commit))
      await consumer.commitOffsets(
        commits.map(({ topic, partition, commit: { offset, metadata } }) => ({
          topic,
          partition,
          offset: `${offset}`,
          metadata
        }))
      )
      return commits.filter(each => stored.get(keyOf(each)) === textOf(each.commit.offset, each.commit.metadata))
    }
  }
}
