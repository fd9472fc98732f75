import { setTimeout as delay } from 'node:timers/promises'
import type { Channel } from './channel.ts'
import { BatonError } from './errors.ts'
import { type ResumePoint, sourceTag } from './message/id.ts'
import { topicOf, type Vector } from './message.ts'
import type { Snapshot } from './ports.ts'
import { isAt, unfilled } from './proof.ts'

// A Redis that lost what it held is filled again from Kafka (I9). Until it holds what was seen before, nobody is resumed from it.

export const REFILL_POLL_MS = 200
/** Entries read beyond, for what this replica has not got yet. */
const READ_AHEAD = 64

export interface CoveringContext {
  read(channel: string, last?: number): Promise<Snapshot>
  /** How long a resume waits for it. Milliseconds. */
  resumeTimeoutMs: number
  signal: AbortSignal
}

/**
 * Reads the log, no more of it than the client needs where that is known, again and again while Redis holds less than the client or
 * this channel has seen: then it was wiped or rolled back and is being filled again, and a replay now would bring messages twice or
 * out of order.
 * @returns covered: false where the client's position names a source that is known nowhere any more.
 * @throws BatonError REDIS_UNAVAILABLE when Redis is still behind after `resumeTimeoutMs`.
 */
export async function readCovering<Member>(
  channel: Channel<Member>,
  point: ResumePoint | undefined,
  { read, resumeTimeoutMs, signal }: CoveringContext
): Promise<{ snapshot: Snapshot; covered: boolean }> {
  const { name, vector, place } = channel
  const until = Date.now() + resumeTimeoutMs
  let last = point && missedAtMost(channel, point)
  for (;;) {
    const seen = new Map(vector)
    const snapshot = await read(name, last)
    if (last !== undefined && point && !snapshot.entries.some(entry => isAt(entry, point))) {
      last = undefined
      continue
    }
    const state = compare(snapshot, seen, point, place.topics)
    if (state === 'covered') return { snapshot, covered: true }
    if (Date.now() >= until) {
      if (state === 'unknown') return { snapshot, covered: false }
      const detail = 'Redis is being filled again and does not hold yet what was seen before; subscribe again later'
      throw new BatonError('REDIS_UNAVAILABLE', detail)
    }
    await delay(Math.min(REFILL_POLL_MS, until - Date.now()), undefined, { signal })
  }
}

/** How many entries hold the client's last one and all after it, by what this replica knows. Undefined: only the whole log may. */
function missedAtMost<Member>(channel: Channel<Member>, { position }: ResumePoint): number | undefined {
  const head = channel.position()
  if (!position || head?.epoch !== position.epoch) return undefined
  return Math.max(0, head.seq - position.seq) + 1 + READ_AHEAD
}

/** Covered: Redis is as far in every source as it was seen, or the source gave way to a later incarnation. */
function compare(
  snapshot: Snapshot,
  seen: Vector,
  point: ResumePoint | undefined,
  topics: ReadonlySet<string>
): 'covered' | 'behind' | 'unknown' {
  const { fences, head } = snapshot
  const isUnfilled = unfilled(snapshot)
  const reached = (source: string, offset: number) => !isUnfilled(source) && (fences.get(source) ?? offset) >= offset
  for (const [source, offset] of seen) if (!reached(source, offset)) return 'behind'
  if (!point) return 'covered'
  const byTag = new Map([...fences.keys(), ...seen.keys(), ...(head.vector?.keys() ?? [])].map(s => [sourceTag(s), s]))
  let state: 'covered' | 'unknown' = 'covered'
  for (const [tag, offset] of point.vector) {
    const source = byTag.get(tag)
    if (source === undefined) state = 'unknown'
    else if (!reached(source, offset)) return 'behind'
  }
  // An unknown source is one of an earlier incarnation, unless nothing of its topic was filled again yet.
  const filled = new Set([...fences.keys()].map(topicOf))
  return state === 'unknown' && !topics.isSubsetOf(filled) ? 'behind' : state
}
