import { setTimeout as delay } from 'node:timers/promises'
import type { Consumer, ConsumerGroupJoinEvent } from 'kafkajs'
import type { Logger } from 'pino'
import { BatonError } from '../errors.ts'
import type { PartitionHandler, RecordSource } from '../ports.ts'
import type { KafkaClient } from './client.ts'
import { type Commits, createCommits } from './commits.ts'
import { type ControlDeps, createControl } from './control.ts'
import { createAdminLink, createLinkLog, rootOf } from './link.ts'
import { createPartition, type Partition } from './partition.ts'
import { createTopicIds } from './topic-ids.ts'
import type { Topics } from './topics.ts'

// Records leave Kafka here. Nothing is committed but what an owner says is in Redis, with the owner's metadata, on a timer of
// our own and at close. Each join of the group makes every assigned partition anew: the owners of the join before are revoked
// first, so no partition ever has two owners in this process.

export interface KafkaSourceOptions {
  groupId: string
  /** Consumed. */
  topics: string[]
  isolation: 'read_committed' | 'read_uncommitted'
  sessionTimeoutMs: number
  heartbeatIntervalMs: number
  /** The longest a fetch waits at the broker; a clean stop waits for it. */
  maxWaitMs: number
  maxBytesPerPartition: number
  /** Partitions whose batches are in hand at once. */
  partitionsConcurrently: number
  commitIntervalMs: number
}

export interface KafkaSourceDeps {
  client: KafkaClient
  logger: Logger
  /** Those consumed among them. */
  topics: Topics
}

const PROBE_MS = 1000
const RETRY_MS = 1000
/** Heart-beats missed before the link counts as lost. */
const MISSED_BEATS = 3

export function createKafkaSource(
  options: KafkaSourceOptions,
  { client, logger, topics }: KafkaSourceDeps
): RecordSource {
  const { groupId, heartbeatIntervalMs } = options
  const admin = createAdminLink(client)
  const link = createLinkLog(logger, 'consumer')
  const partitions = new Map<string, Partition>()
  const timers: NodeJS.Timeout[] = []
  let running: { consumer: Consumer; commits: Commits } | undefined
  let consuming: Promise<void> | undefined
  const left = Promise.withResolvers<void>()
  let committing: Promise<void> | undefined
  let closed: Promise<void> | undefined
  let joined = false
  let beatAt = 0

  // kafkajs restarts itself after some failures and stays dead after others ("Failed to find group coordinator" of a broker that
  // stops is one). So none is left to it: each crash ends its consumer, and the next is a new one.
  async function keepConsuming(handler: PartitionHandler): Promise<void> {
    while (!closed) {
      const crash = Promise.withResolvers<never>()
      const made = createConsumer(handler, crash.reject)
      const failure = await Promise.race([crash.promise, consume(made).then(() => left.promise)]).catch(error => error)
      revokeAll()
      running = undefined
      await made.disconnect().catch(() => {})
      if (closed || failure instanceof BatonError) return
      tell(failure)
      topics.forget()
      await delay(RETRY_MS)
    }
  }

  async function consume(made: Consumer): Promise<void> {
    await topics.ensure(admin)
    await made.connect()
    // `fromBeginning: false` would also skip retained records whenever an offset is out of range.
    await made.subscribe({ topics: options.topics, fromBeginning: true })
    running = { consumer: made, commits: createCommits(made) }
    await made.run({
      autoCommit: false,
      eachBatchAutoResolve: false,
      partitionsConsumedConcurrently: options.partitionsConcurrently,
      eachBatch: async payload => partitions.get(keyOf(payload.batch))?.take(payload)
    })
  }

  function tell(error: unknown): void {
    const cause = rootOf(error)
    if (cause instanceof Error && cause.name.startsWith('KafkaJS')) link.lost(error)
    else logger.error({ err: cause }, 'a batch could not be taken, joining the group again')
  }

  function createConsumer(handler: PartitionHandler, crashed: (error: Error) => void): Consumer {
    const made = client.consumer({
      groupId,
      sessionTimeout: options.sessionTimeoutMs,
      rebalanceTimeout: 3 * options.sessionTimeoutMs,
      heartbeatInterval: heartbeatIntervalMs,
      maxWaitTimeInMs: options.maxWaitMs,
      maxBytesPerPartition: options.maxBytesPerPartition,
      readUncommitted: options.isolation === 'read_uncommitted',
      retry: { restartOnFailure: async () => false }
    })
    made.on(made.events.GROUP_JOIN, event => assign(handler, event))
    made.on(made.events.REBALANCING, () => void commitAll())
    made.on(made.events.HEARTBEAT, beaten)
    made.on(made.events.CRASH, ({ payload }) => crashed(payload.error))
    return made
  }

  // kafkajs calls this before the first fetch of a generation, and does not wait.
  function assign(handler: PartitionHandler, { payload }: ConsumerGroupJoinEvent): void {
    revokeAll()
    for (const [topic, numbers] of Object.entries(payload.memberAssignment))
      for (const partition of numbers) {
        const control = createControl(topic, partition, controlDeps)
        const deps = { handler, control, closing: () => closed !== undefined, heartbeatIntervalMs, logger }
        partitions.set(keyOf({ topic, partition }), createPartition(deps))
      }
    joined = true
    beaten()
    logger.info({ groupId, assigned: payload.memberAssignment }, 'joined the group')
  }

  function beaten(): void {
    beatAt = performance.now()
    link.found()
  }

  function revokeAll(): void {
    joined = false
    for (const partition of partitions.values()) partition.revoke()
    partitions.clear()
  }

  const controlDeps: ControlDeps = {
    groupId,
    admin,
    topicIds: createTopicIds(admin),
    store: async (topic, partition, commit) =>
      (await running?.commits.store([{ topic, partition, commit }]))?.length === 1,
    seek(topic, partition, offset) {
      try {
        running?.consumer.seek({ topic, partition, offset: String(offset) })
      } catch (error) {
        // Between a crash and the next join there is nobody to seek; the next owner begins at the commit.
        logger.debug({ err: error, topic, partition, offset }, 'seek came too late')
      }
    }
  }

  function commitAll(): Promise<void> {
    committing ??= commitDue()
      .catch(error => logger.debug({ err: error }, 'commit failed, trying again'))
      .finally(() => {
        committing = undefined
      })
    return committing
  }

  async function commitDue(): Promise<void> {
    const due = [...partitions.values()].flatMap(({ topic, partition, owner }) => {
      const commit = owner?.committable()
      return owner && commit ? [{ topic, partition, owner, commit }] : []
    })
    if (due.length === 0) return
    for (const { owner, commit } of (await running?.commits.store(due)) ?? []) owner.committed(commit)
  }

  async function leave(): Promise<void> {
    for (const timer of timers) clearInterval(timer)
    await Promise.all([...partitions.values()].map(({ idle }) => idle))
    await committing
    await commitAll()
    left.resolve()
    await consuming
    await admin.close()
  }

  return {
    /** Resolves at once: until Kafka is there it is tried again, and `ready` is false. */
    async start(handler) {
      consuming = keepConsuming(handler)
      const probeAll = () => {
        for (const partition of partitions.values()) partition.probe()
      }
      timers.push(setInterval(probeAll, PROBE_MS), setInterval(commitAll, options.commitIntervalMs))
    },
    // Until a partition has its owner it is not settled where a group without commits begins.
    get ready() {
      const owned = [...partitions.values()].every(({ owner }) => owner)
      return joined && owned && performance.now() - beatAt < MISSED_BEATS * heartbeatIntervalMs
    },
    lags: () => [...partitions.values()].map(({ topic, partition, lag }) => ({ topic, partition, lag })),
    close() {
      closed ??= Promise.resolve().then(leave)
      return closed
    }
  }
}

function keyOf({ topic, partition }: { topic: string; partition: number }): string {
  return `${topic}/${partition}`
}
