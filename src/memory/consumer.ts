import { setTimeout as delay, setImmediate as nextTurn } from 'node:timers/promises'
import type { Logger } from 'pino'
import type { Beat, PartitionControl, PartitionHandler, PartitionOwner } from '../ports.ts'
import type { Partition } from './partition.ts'

// A partition as Kafka's consumer would consume it: assigned, then one batch after the other, the commit behind each. What
// fails is tried again, so nothing is passed over.

const GROUP = 'memory'
const BATCH_RECORDS = 100
const RETRY_MS = 250

/** Consumes until `closing`; then what is in hand is finished and committed. */
export async function consumePartition(
  partition: Partition,
  handler: PartitionHandler,
  closing: AbortSignal,
  logger: Logger
): Promise<void> {
  const { topic, number } = partition
  const beat: Beat = { heartbeat: async () => undefined, stale: () => closing.aborted }
  let sought: number | undefined
  const control: PartitionControl = {
    topic,
    partition: number,
    group: GROUP,
    topicId: async () => undefined,
    readCommit: async () => partition.commit,
    commit: async commit => {
      partition.commit = commit
    },
    bounds: async () => ({ earliest: partition.earliest, latest: partition.end }),
    offsetAt: async timestampMs => partition.offsetAt(timestampMs),
    seek(offset) {
      sought = offset
    }
  }
  closing.addEventListener('abort', () => partition.wake?.(), { once: true })

  /** Again and again until it is done: what it needs (a Redis) may be away. */
  async function persist(step: () => Promise<void>): Promise<void> {
    for (let failed = false; !closing.aborted; ) {
      try {
        return await step()
      } catch (error) {
        if (!failed) logger.error({ topic, partition: number, err: error }, 'partition waits: trying again')
        failed = true
        await delay(RETRY_MS)
      }
    }
  }

  async function takeBatch(owner: PartitionOwner): Promise<void> {
    partition.next = sought ?? partition.next
    sought = undefined
    const records = partition.take(BATCH_RECORDS)
    const last = records.at(-1)
    if (!last) return new Promise(resolve => (partition.wake = resolve))
    await owner.batch({ records, highWatermark: partition.end, lastOffset: last.offset }, beat)
    if (sought === undefined && !closing.aborted) partition.next = last.offset + 1
  }

  let owner: PartitionOwner | undefined
  await persist(async () => {
    owner = await handler.assigned(control)
  })
  while (owner && !closing.aborted) {
    const it = owner
    await persist(() => takeBatch(it))
    const commit = it.committable()
    if (commit) {
      partition.commit = commit
      it.committed(commit)
    }
    // Sockets and timers have their turn, however much waits here.
    await nextTurn()
  }
  owner?.revoked()
}
