import { setTimeout as delay } from 'node:timers/promises'
import type { Channel } from './channel.ts'
import { BatonError } from './errors.ts'
import { encodeMessageId, parseMessageId, type ResumePoint, sourceTag } from './message/id.ts'
import {
  type Delivery,
  followsLoss,
  type Gap,
  isBeyond,
  type Message,
  type Position,
  raise,
  type Vector
} from './message.ts'
import type { Metrics } from './metrics.ts'
import type { Snapshot } from './ports.ts'
import { addGap, isAt, isBelowFloor, isWhole, missingFor, partitionOf, reaches } from './proof.ts'
import { type CoveringContext, readCovering } from './refill.ts'
import type { Place } from './routes.ts'

// One subscription from its start point to live (I7): hold what is delivered, read the log, replay what was asked for,
// then what was held and not replayed, then live. The last step happens in one tick, so nothing falls between.

/** How the bus is waited for that is behind the log; after so many polls it has lost something, and the channel heals. */
const BUS_POLL_MS = 5
const BUS_WAITS = 20
const MAX_BUS_WAITS = 400

/** Where a new subscription begins. Neither: with the next message. */
export interface Start {
  /** A message-id: replay what came after it (I7). */
  after?: string
  /** Replay the last n of what people may read, then go on live. Ignored when `after` is given. */
  history?: number
}

interface ReplayContext extends CoveringContext {
  metrics: Metrics
}

/** Resolves when `member` is live in the channel's audience. @throws BatonError INVALID_RESUME; the signal's reason. */
export async function replayInto<Member>(
  channel: Channel<Member>,
  member: Member,
  start: Start,
  context: ReplayContext
): Promise<{ resumed: boolean; gap?: Gap }> {
  const { signal, metrics } = context
  if (start.after === undefined && !start.history) {
    signal.throwIfAborted()
    channel.enter(member)
    return { resumed: false }
  }
  const point = start.after === undefined ? undefined : parseMessageId(start.after)
  if (start.after !== undefined && !point) {
    throw new BatonError('INVALID_RESUME', 'last-message-id must be a message-id that this gateway sent, unchanged')
  }
  const hold = channel.hold()
  try {
    const { snapshot, covered } = await readCovering(channel, point, context)
    const replay = point
      ? resumeFrom(snapshot, point, covered, channel)
      : lastOf(snapshot, start.history ?? 0, channel.place)
    await channel.audience.replay(member, replay.deliveries, signal)
    let latest = snapshot
    for (let waits = 0; ; ) {
      const fresh = hold.deliveries.splice(0).filter(({ message }) => isFresh(message, replay.known))
      const held = fresh.map(delivery => withoutFilled(delivery, latest.head.position))
      if (hold.overflowed) {
        // More came than may be held: the log has it, or shows that it has not.
        hold.overflowed = false
        latest = await context.read(channel.name)
        const more = following(latest, replay.known, channel.place)
        replay.gap = addGap(replay.gap, more.gap)
        await channel.audience.replay(member, more.deliveries, signal)
      } else if (held.length > 0) {
        for (const { message, gap } of held) {
          // The answer counts each hole that a message of the replay tells: rather one twice, than one not at all.
          replay.gap = addGap(replay.gap, gap)
          if (message.coordinate) raise(replay.known, message.coordinate.source, message.coordinate.offset)
        }
        await channel.audience.replay(member, held, signal)
      } else if (isBehind(channel, latest) && waits++ < MAX_BUS_WAITS) {
        // The log was ahead of the bus: live now, the member would get again what it was replayed.
        if (waits === BUS_WAITS) channel.check(latest.head, latest)
        await delay(BUS_POLL_MS, undefined, { signal })
      } else break
    }
    signal.throwIfAborted()
    channel.enter(member)
    for (const source of channel.vector.keys()) if (point?.vector.has(sourceTag(source))) channel.nameSource(source)
    if (point) metrics.resumes.inc({ resumed: String(replay.gap === undefined) })
    if (replay.gap === undefined) return { resumed: point !== undefined }
    metrics.gaps.inc({ where: 'resume' })
    return { resumed: false, gap: replay.gap }
  } finally {
    channel.letGo(hold)
  }
}

/** The log held, when it was read, what the bus has not brought yet. */
function isBehind<Member>({ vector }: Channel<Member>, { head }: Snapshot): boolean {
  return [...(head.vector ?? [])].some(([source, offset]) => isBeyond({ source, offset }, vector))
}

interface Replay {
  deliveries: Delivery[]
  /** What the client has, or needs no more, once these are delivered. */
  known: Vector
  gap: Gap | undefined
}

/** What is fresh by the client's V, and whether it is all there is (I7). */
function resumeFrom<Member>(
  snapshot: Snapshot,
  point: ResumePoint,
  covered: boolean,
  { place: { topics }, vector }: Channel<Member>
): Replay {
  const { entries, head, fences } = snapshot
  const known: Vector = new Map()
  for (const source of [...fences.keys(), ...(head.vector?.keys() ?? []), ...vector.keys()]) {
    const offset = point.vector.get(sourceTag(source))
    if (offset !== undefined) known.set(source, offset)
  }
  const at = entries.findIndex(entry => isAt(entry, point))
  // The id of a room with messages names only sources that fed it.
  const partitions = new Set([...known.keys(), ...(head.vector?.keys() ?? [])].map(partitionOf))
  const concerns = (source: string) => !point.position || !point.complete || partitions.has(partitionOf(source))
  const missing = missingFor(point, snapshot, at, known, isBelowFloor(snapshot, known, topics, concerns))
  // An id that names not all its sources tells news by itself only where its entry is found, or the channel had none.
  const hadNone = !point.position && isWhole(snapshot)
  let news = entries
  if (!point.complete) {
    if (at >= 0) news = entries.slice(at + 1)
    else if (!hadNone) news = entries.filter(({ coordinate }) => known.has(coordinate?.source ?? ''))
  }
  return collect(news, known, fences, covered ? missing : 'unknown', point.complete)
}

/** What came since `known`, when more came than was held. */
function following(snapshot: Snapshot, known: Vector, { topics }: Place): Replay {
  const lost = isBelowFloor(snapshot, known, topics)
  const isWholeSince = !lost && (isWhole(snapshot) || reaches(snapshot, known))
  return collect(snapshot.entries, known, snapshot.fences, isWholeSince ? undefined : 'unknown')
}

/**
 * Deliveries of the entries that `known` does not have; each tells the hole just before it. `known` then covers the whole snapshot.
 * @param complete false: the client's id left out sources, and so do those it is given.
 */
function collect(entries: Message[], known: Vector, fences: Vector, missing: Gap | undefined, complete = true): Replay {
  const deliveries: Delivery[] = []
  let gap = missing
  let untold = missing
  for (const message of entries) {
    const { coordinate, position } = message
    if (!coordinate || !isFresh(message, known)) continue
    const hole = addGap(message.omitted ? 1 : undefined, followsLoss(coordinate, known) ? 'unknown' : undefined)
    gap = addGap(gap, hole)
    untold = addGap(untold, hole)
    raise(known, coordinate.source, coordinate.offset)
    if (message.omitted) continue
    const id = encodeMessageId(position, coordinate, known, complete)
    deliveries.push(untold === undefined ? { message, id } : { message, id, gap: untold })
    untold = undefined
  }
  for (const [source, offset] of fences) raise(known, source, offset)
  return { deliveries, known, gap }
}

/** What was read from the log up to `head` fills, or told, so much of the hole that a message tells which came meanwhile. */
function withoutFilled({ gap, ...delivery }: Delivery, head: Position | undefined): Delivery {
  const { position } = delivery.message
  if (gap === undefined) return delivery
  if (gap === 'unknown' || !position || position.epoch !== head?.epoch) return { ...delivery, gap }
  const left = Math.min(gap, position.seq - 1 - head.seq)
  return left > 0 ? { ...delivery, gap: left } : delivery
}

/** The last n of what people may read. */
function lastOf({ entries, fences, head }: Snapshot, count: number, { route }: Place): Replay {
  const { maxAgeMs } = route.history
  const oldestMs = maxAgeMs === undefined ? 0 : Date.now() - maxAgeMs
  const known: Vector = new Map()
  const deliveries: Delivery[] = []
  for (const message of entries) {
    const { coordinate, position, hidden, omitted, timestampMs } = message
    if (!coordinate) continue
    raise(known, coordinate.source, coordinate.offset)
    if (hidden || omitted || timestampMs < oldestMs) continue
    const complete = known.size >= (head.vector?.size ?? 0)
    deliveries.push({ message, id: encodeMessageId(position, coordinate, known, complete) })
  }
  for (const [source, offset] of fences) raise(known, source, offset)
  return { deliveries: deliveries.slice(-count), known, gap: undefined }
}

/** A message without a position has no identity: a held one is always news. */
function isFresh({ coordinate }: Message, known: Vector): boolean {
  return !coordinate || isBeyond(coordinate, known)
}
