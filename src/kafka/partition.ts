import { setTimeout as delay } from 'node:timers/promises'
import type { Batch, EachBatchPayload } from 'kafkajs'
import type { Logger } from 'pino'
import type { Beat, PartitionControl, PartitionHandler, PartitionOwner, RecordBatch } from '../ports.ts'
import type { KafkaControl } from './control.ts'
import { toRecord } from './fetched.ts'

// One partition for one generation of the group: gets its owner, hands it the batches in order, and drops what was fetched
// before a seek. kafkajs may take the same batch for fresh when the leader moved meanwhile (another fetcher has then used up
// the seek), so each batch is also held against the offset that must come next.

export interface Partition {
  readonly topic: string
  readonly partition: number
  /** Undefined until the handler gave one, and once it is revoked. */
  readonly owner: PartitionOwner | undefined
  /** Records known to be there and not consumed yet. */
  readonly lag: number
  /** Resolves or rejects as eachBatch should. */
  take(payload: EachBatchPayload): Promise<void>
  /** Calls the owner's `probe` unless a batch is in hand. */
  probe(): void
  revoke(): void
  /** Settles when no batch is in hand. */
  readonly idle: Promise<void>
}

export interface PartitionDeps {
  handler: PartitionHandler
  /** All but `seek` as the owner gets it. */
  control: KafkaControl
  /** True: the consumer is closing, nothing more is taken. */
  closing: () => boolean
  heartbeatIntervalMs: number
  logger: Logger
}

const RETRY_MS = 100
const MAX_RETRY_MS = 2000

/** Begins at once to ask the handler for the owner, and goes on until it gives one or the partition is revoked. */
export function createPartition(deps: PartitionDeps): Partition {
  const { topic, partition } = deps.control
  const logger = deps.logger.child({ topic, partition })
  let owner: PartitionOwner | undefined
  let revoked = false
  let seeks = 0
  /** The offset at which the next batch must have been fetched; undefined: not known. */
  let next: number | undefined
  /** A `next` that a batch did not begin at: asked for once more, then taken as it comes (kafkajs skips control records). */
  let doubted: number | undefined
  let highWatermark: number | undefined
  /** The topic that batches come from. */
  let topicId: string | undefined
  let inHand: Promise<void> | undefined
  let probing: Promise<void> | undefined

  const control: PartitionControl = {
    ...deps.control,
    async readCommit() {
      const commit = await deps.control.readCommit()
      if (!owner && seeks === 0) next = commit?.offset
      return commit
    },
    async commit(commit) {
      // An owner still in the making must not speak for the generation after its own.
      if (revoked) throw new Error(`${topic}/${partition} was taken away`)
      await deps.control.commit(commit)
    },
    seek(offset) {
      if (revoked) return
      seeks++
      next = offset
      doubted = undefined
      deps.control.seek(offset)
    }
  }
  const owned = own()

  async function own(): Promise<void> {
    for (let waitMs = RETRY_MS; !revoked; waitMs = Math.min(2 * waitMs, MAX_RETRY_MS)) {
      try {
        topicId = await control.topicId()
        const assigned = await deps.handler.assigned(control)
        if (revoked) assigned.revoked()
        else owner = assigned
        return
      } catch (error) {
        if (waitMs === RETRY_MS && !revoked)
          logger.warn({ err: error }, 'cannot begin with the partition yet, trying again')
        await delay(waitMs)
      }
    }
  }

  async function learnTopic(): Promise<string | undefined> {
    for (;;) {
      try {
        return await control.topicId()
      } catch {
        // Gone, or Kafka is away: what was fetched waits until it can be told whose it is.
        await delay(RETRY_MS)
        if (revoked || deps.closing()) return undefined
      }
    }
  }

  async function take(payload: EachBatchPayload): Promise<void> {
    if (!owner) await alive(owned, payload)
    if (probing) await alive(probing, payload)
    const seeksBefore = seeks
    const stale = () => revoked || deps.closing() || seeks !== seeksBefore || !payload.isRunning() || payload.isStale()
    if (!owner || stale()) return
    const { batch } = payload
    // Asked after the fetch: where the id is still the same, the records are of the same topic.
    let now = deps.control.knownTopicId()
    if (!now) {
      const learned = learnTopic().then(id => {
        now = { id }
      })
      await alive(learned, payload)
      if (stale()) return
    }
    let after: RecordBatch['after'] = now?.id === topicId ? undefined : 'anew'
    if (!after && next !== undefined && fetchedOffset(batch) !== next) {
      if (doubted !== next) {
        doubted = next
        deps.control.seek(next)
        return
      }
      if ((await control.bounds()).earliest > next) after = 'loss'
    }
    highWatermark = Number(batch.highWatermark)
    const lastOffset = Number(batch.lastOffset())
    const { messages } = batch
    const records = {
      length: messages.length,
      at(index: number) {
        const message = messages.at(index)
        return message && toRecord(message)
      }
    }
    // Only what the owner is told of counts as known: a stale batch has told it nothing.
    topicId = now?.id
    const beat: Beat = { heartbeat: () => payload.heartbeat(), stale }
    await owner.batch({ records, highWatermark, lastOffset, ...(after && { after }) }, beat)
    // A stale batch may have been left half-way: kafkajs must fetch it again, or what was sought.
    if (stale()) return
    next = lastOffset + 1
    payload.resolveOffset(batch.lastOffset())
  }

  /** Waits for a promise while the group is kept informed; ends early where the batch is no longer ours. */
  async function alive(promise: Promise<void>, payload: EachBatchPayload): Promise<void> {
    const over = new AbortController()
    const done = promise.finally(() => over.abort())
    while (!over.signal.aborted && !revoked && !deps.closing() && payload.isRunning()) {
      const beat = delay(deps.heartbeatIntervalMs, undefined, { ref: false, signal: over.signal }).catch(
        () => undefined
      )
      await Promise.race([done, beat])
      await payload.heartbeat()
    }
  }

  return {
    topic,
    partition,
    get owner() {
      return revoked ? undefined : owner
    },
    get lag() {
      return Math.max(0, (highWatermark ?? 0) - (next ?? 0))
    },
    take(payload) {
      const taken = take(payload).finally(() => {
        inHand = undefined
      })
      inHand = taken.catch(() => {})
      return taken
    },
    probe() {
      if (!owner || revoked || inHand || probing) return
      probing = owner
        .probe()
        .catch(error => logger.debug({ err: error }, 'probe failed'))
        .finally(() => {
          probing = undefined
        })
    },
    revoke() {
      revoked = true
      owner?.revoked()
    },
    get idle() {
      return inHand ?? Promise.resolve()
    }
  }
}

/** Not in kafkajs's types: the offset that the fetch asked for. */
function fetchedOffset(batch: Batch): number {
  return Number((batch as Batch & { fetchedOffset: string }).fetchedOffset)
}
