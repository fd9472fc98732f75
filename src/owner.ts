import { setTimeout as delay } from 'node:timers/promises'
import type { Logger } from 'pino'
import { takeInChunks } from './chunks.ts'
import { BatonError } from './errors.ts'
import { fromMetadata, isOfAnother, markOf, token, toMetadata } from './incarnation.ts'
import { AFTER_LOSS } from './message.ts'
import type { Metrics } from './metrics.ts'
import type { Append, Beat, ChannelLog, Chunk, Commit, KafkaRecord, PartitionControl, PartitionOwner } from './ports.ts'

// One partition for as long as this process owns it: which source it writes as, what it knows to be acknowledged, and what it
// does when Redis says otherwise. Chunks are appended in order (I2), compared with what was acknowledged before (I3).

const RETRY_MS = 250

export interface OwnerContext {
  startFrom: 'earliest' | 'latest'
  refill: { maxAgeMs: number; maxRecords: number }
  /** What a record adds to channels. A function, where that must be waited for: it @throws BatonError that is retryable, while Redis or Kafka is away. */
  route(source: string, control: PartitionControl, record: KafkaRecord): Append[] | (() => Promise<Append[]>)
  log: ChannelLog
  metrics: Metrics
  logger: Logger
}

/** Adopts the incarnation that the group's commit names, or mints one (I8). @throws when Kafka or Redis is away: try again. */
export async function createOwner(control: PartitionControl, context: OwnerContext): Promise<PartitionOwner> {
  const { log, metrics, refill: bounds } = context
  const { topic, partition } = control
  const logger = context.logger.child({ topic, partition })
  const prefix = `${encodeURIComponent(control.group)}/${topic}/${partition}~`

  let source = ''
  let metadata = ''
  /** The last offset Redis acknowledged, or that the commit says it did. */
  let acknowledged = -1
  /** The highest offset acknowledged before a rewind (I5), and the epoch its loss opens. */
  let again = -1
  let rewindToken = ''
  /** The next offset to come, unless we sought elsewhere. */
  let next = 0
  let committed = -1
  /** The first offset that the partition did not have yet, as the last batch said. */
  let end: number | undefined
  /** Of the topic that we consume. */
  let mark = ''
  let revoked = false
  let probing: Promise<unknown> | undefined

  await adopt()

  /** The commit decides who we are and what we expect; without its metadata everything flows anew (I8). */
  async function adopt(): Promise<void> {
    const fences = await log.fences()
    const [commit, topicId] = await Promise.all([control.readCommit(), control.topicId()])
    mark = markOf(topicId)
    const inc = commit && fromMetadata(commit.metadata)
    if (!commit) return begin()
    if (!inc) return mint(commit.offset)
    if (isOfAnother(inc, mark)) return beginAnew()
    metadata = commit.metadata
    source = prefix + inc
    acknowledged = commit.offset - 1
    committed = next = commit.offset
    await forgetOthers(fences)
  }

  /**
   * Only this incarnation counts: a failover brings back the fence of an earlier one, and readers would wait for it to catch up.
   * @param fences from before the commit was read or written: what another owner mints after that is not ours to forget.
   */
  async function forgetOthers(fences: ReadonlyMap<string, number>): Promise<string[]> {
    const others = [...fences.keys()].filter(name => name.startsWith(prefix) && name !== source)
    if (others.length > 0) await log.forget(others)
    return others
  }

  /**
   * No commit, or the one that kafkajs leaves when an offset is out of range: by now the fence knows better how far the partition
   * was consumed. Kafka may have deleted beyond that; and where it does not reach that far, the topic was made anew.
   */
  async function begin(): Promise<void> {
    const [{ earliest, latest }, fences] = await Promise.all([control.bounds(), log.fences()])
    const own = [...fences].filter(([name]) => name.startsWith(prefix))
    if (own.length > 0 && own.every(([name]) => isOfAnother(name, mark))) return beginAnew()
    const known = own.map(([, fence]) => fence + 1)
    next = known.length > 0 ? Math.max(...known) : latest
    if (earliest > next) await mintAfterLoss(earliest)
    else await mint(context.startFrom === 'earliest' || next > latest ? earliest : next, 'i', own.length === 0)
  }

  /** The topic was deleted and made anew: all of it is news. What the old one still had is lost, unless it is known to have had no more. */
  async function beginAnew(): Promise<void> {
    const [{ earliest }, topicId] = await Promise.all([control.bounds(), control.topicId()])
    mark = markOf(topicId)
    if (end !== undefined && acknowledged + 1 >= end) return mint(earliest)
    logger.warn({ from: acknowledged + 1 }, 'the topic was made anew, perhaps not consumed to its end: a gap is told')
    await mint(earliest, AFTER_LOSS)
  }

  /**
   * Fence at start − 1, then the commit that names it, then records, so an absent fence always means a wipe (I8).
   * @param isFirst false: should Redis be wiped, an earlier incarnation is not brought again.
   */
  async function mint(start: number, kind: 'i' | typeof AFTER_LOSS = 'i', isFirst = false): Promise<void> {
    const inc = token(kind) + mark
    source = prefix + inc
    metadata = toMetadata(inc)
    const fences = await log.fences()
    if (isFirst) await log.append({ source, expect: -1, upTo: start - 1, again: -1, token: inc, appends: [] })
    else await log.restart(source, start)
    await control.commit({ offset: start, metadata })
    acknowledged = start - 1
    again = -1
    committed = start
    seek(start)
    const old = await forgetOthers(fences)
    logger[old.length > 0 ? 'warn' : 'debug'](
      { offset: start, source, old },
      'consumes the partition as a new incarnation'
    )
  }

  /** Readers take the first message of this incarnation for what comes after a gap. */
  async function mintAfterLoss(start: number): Promise<void> {
    logger.warn({ from: next, to: start }, 'Kafka deleted records before they were consumed: a gap is told')
    await mint(start, AFTER_LOSS)
  }

  function seek(offset: number): void {
    next = offset
    control.seek(offset)
  }

  /** @returns as `append`. */
  async function write(offsets: number[], appends: Append[], beat: Beat): Promise<boolean> {
    // All its records (I4), but no control records after them: a refill is not shown those, so the fence would stay behind.
    const upTo = offsets.at(-1) as number
    const epochToken = (offsets[0] as number) <= again ? rewindToken : token('n')
    const written = await append({ source, expect: acknowledged, upTo, again, token: epochToken, appends }, beat)
    if (!written) return false
    metrics.records.inc({ topic }, offsets.length)
    await beat.heartbeat()
    return true
  }

  /** @returns false when the chunk was not written and the batch is over. */
  async function append(chunk: Chunk, beat?: Beat): Promise<boolean> {
    const result = await whenUp(() => log.append(chunk), beat)
    if (!result) return false
    if (result.behind) {
      await catchUp(result.fence, chunk.expect)
      return false
    }
    if (result.skipped > 0) metrics.suppressed.inc({ topic }, result.skipped)
    metrics.appended.inc({ topic }, chunk.appends.length - result.skipped)
    acknowledged = Math.max(acknowledged, chunk.upTo)
    next = acknowledged + 1
    return true
  }

  /** Redis or Kafka away: the chunk is held, the group is kept alive, nothing is committed. Undefined: the partition is no longer ours. */
  async function whenUp<T>(attempt: () => Promise<T>, beat?: Beat): Promise<T | undefined> {
    for (;;) {
      if (revoked || beat?.stale()) return undefined
      try {
        return await attempt()
      } catch (error) {
        if (!beat || !(error instanceof BatonError) || !error.row.retryable) throw error
        await delay(RETRY_MS)
        await beat.heartbeat()
      }
    }
  }

  /** Redis lost what it had acknowledged (I3), or all of it. */
  async function catchUp(fence: number | undefined, expect: number): Promise<void> {
    const fences = await log.fences()
    const commit = await control.readCommit()
    const isOurs = commit?.metadata === metadata
    if (fence !== undefined) rewind(fence, expect, 'rolled-back')
    else if (isOurs) await refill(commit.offset, expect)
    else {
      logger.warn('another owner has the partition: this one stops')
      revoked = true
    }
    if (isOurs) await forgetOthers(fences)
  }

  /** Consume again from its fence; readers know duplicates by their coordinate (I1). */
  function rewind(fence: number, expect: number, cause: 'rolled-back' | 'wiped'): void {
    again = Math.max(again, expect)
    rewindToken = token('r')
    acknowledged = fence
    seek(fence + 1)
    metrics.rewinds.inc({ cause })
    logger.warn({ cause, fence, expected: expect }, 'Redis is behind what it had acknowledged: consuming again')
  }

  /** No fence at all, and the commit still names our incarnation: Redis was wiped. Refill it, within bounds (I9). */
  async function refill(committedTo: number, expect: number): Promise<void> {
    const { maxAgeMs, maxRecords } = bounds
    const [{ earliest }, byAge] = await Promise.all([control.bounds(), control.offsetAt(Date.now() - maxAgeMs)])
    if (earliest > committedTo) return mintAfterLoss(earliest)
    const start = Math.max(earliest, Math.min(byAge, committedTo), committedTo - maxRecords)
    await log.restart(source, start, expect)
    await log.claim(control.group)
    rewind(start - 1, expect, 'wiped')
  }

  return {
    async batch({ records, highWatermark, lastOffset, after }, beat) {
      await probing
      const first = records.at(0)?.offset ?? lastOffset
      // Truncated below the fence, or gone back and not by us: recreated, reset, or taken over (I8).
      if (after === 'anew') await beginAnew()
      else if (acknowledged >= highWatermark) await mint(first)
      else if (after === 'loss') await mintAfterLoss(first)
      else if (first < next) await adopt()
      end = highWatermark
      await takeInChunks(records, {
        isOver: () => revoked || beat.stale(),
        route(record) {
          const routed = context.route(source, control, record)
          return typeof routed === 'function' ? whenUp(routed, beat) : routed
        },
        write: (offsets, appends) => write(offsets, appends, beat)
      })
    },

    async probe() {
      if (revoked || probing) return
      const chunk = { source, expect: acknowledged, upTo: acknowledged, again, token: token('n'), appends: [] }
      probing = append(chunk).catch(error => logger.debug({ err: error }, 'probe failed'))
      await probing
      probing = undefined
    },

    committable(): Commit | null {
      return acknowledged + 1 > committed ? { offset: acknowledged + 1, metadata } : null
    },

    committed({ offset }) {
      committed = Math.max(committed, offset)
    },

    revoked() {
      revoked = true
    }
  }
}
