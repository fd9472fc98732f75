import { type ResumePoint, sourceTag } from './message/id.ts'
import { type Coordinate, type Coverage, type Gap, isBeyond, type Message, type Position, topicOf } from './message.ts'
import type { Head, Snapshot } from './ports.ts'

// What a log can show to be complete. Where it cannot, the hole is told: unknown is said, never guessed (I7).

function sameCoordinate(one: Coordinate | undefined, other: Coordinate | undefined): boolean {
  return one?.source === other?.source && one?.offset === other?.offset
}

export function sameHead(one: Head, other: Head): boolean {
  const { position: a } = one
  const { position: b } = other
  return a?.epoch === b?.epoch && a?.seq === b?.seq && sameCoordinate(one.coordinate, other.coordinate)
}

/** The very entry that the client saw last. */
export function isAt({ position, coordinate }: Message, { position: at, own }: ResumePoint): boolean {
  return (
    position?.epoch === at?.epoch &&
    position?.seq === at?.seq &&
    coordinate !== undefined &&
    coordinate.offset === own?.offset &&
    sourceTag(coordinate.source) === own.tag
  )
}

/** Two holes before the same message are one. */
export function addGap(one: Gap, other: Gap | undefined): Gap
export function addGap(one: Gap | undefined, other: Gap | undefined): Gap | undefined
export function addGap(one: Gap | undefined, other: Gap | undefined): Gap | undefined {
  if (one === undefined || other === undefined) return one ?? other
  return one === 'unknown' || other === 'unknown' ? 'unknown' : one + other
}

/** The log goes back to the first message of all. */
export function isWhole({ entries: [oldest] }: Snapshot): boolean {
  return oldest?.position?.seq === 1
}

/** Of every source that fed the log, the entry after what is known is there, or there is none. */
export function reaches({ head, entries }: Snapshot, known: ReadonlyMap<string, number>): boolean {
  const reached = new Set(entries.map(({ coordinate: c }) => (c && !isBeyond(c, known) ? c.source : '')))
  return [...(head.vector ?? [])].every(
    ([source, offset]) => !isBeyond({ source, offset }, known) || reached.has(source)
  )
}

/** Tells which sources Redis was wiped of and does not fill again yet (I9), unless they gave way to a later incarnation. */
export function unfilled({ fences }: Coverage): (source: string) => boolean {
  let partitions: Set<string> | undefined
  return source => {
    if (fences.has(source)) return false
    partitions ??= new Set([...fences.keys()].map(partitionOf))
    return !partitions.has(partitionOf(source))
  }
}

/** A source without its incarnation. */
export function partitionOf(source: string): string {
  return source.slice(0, source.lastIndexOf('~'))
}

/**
 * Redis was wiped (I9), and its refill began after what is known of a source of these topics: what lay between is lost for good, and
 * so are the earlier incarnations of one that is not known at all.
 */
export function isBelowFloor(
  { floors }: Coverage,
  known: ReadonlyMap<string, number>,
  topics: ReadonlySet<string>,
  concerns: (source: string) => boolean = () => true
): boolean {
  return [...floors].some(
    ([source, floor]) =>
      isBeyond({ source, offset: floor - 1 }, known) && topics.has(topicOf(source)) && concerns(source)
  )
}

/** Positions count messages only where none was written twice: a rewind opens an epoch that is no `n` (I5). */
function countsSince(epoch: string | undefined, { head, entries }: Snapshot): boolean {
  return epoch?.startsWith('n') === true && [head, ...entries].every(each => each.position?.epoch === epoch)
}

/**
 * Healing: what is missing between a position and the log.
 * @param ours where the channel stood.
 * @param known what it has, by source.
 * @param lost true where Redis may have lost for good what came after that.
 */
export function missingSince(
  ours: Head,
  snapshot: Snapshot,
  known: ReadonlyMap<string, number>,
  lost: boolean
): Gap | undefined {
  const { head, entries } = snapshot
  const { position, coordinate } = ours
  if (position && [head, ...entries].some(each => sameHead(ours, each))) return undefined
  if (!(lost && endedSince(position, head)) && (isWhole(snapshot) || reaches(snapshot, known))) return undefined
  const isThere = coordinate && coordinate.offset <= (head.vector?.get(coordinate.source) ?? -1)
  if (!position || !isThere || !countsSince(position.epoch, snapshot)) return 'unknown'
  const missing = (entries[0]?.position?.seq ?? (head.position?.seq ?? 0) + 1) - position.seq - 1
  return missing > 0 ? missing : 'unknown'
}

/** A wipe ends every epoch. */
function endedSince(position: Position | undefined, { position: now }: Head): boolean {
  return !position || position.epoch !== now?.epoch
}

/**
 * Resuming: what is missing between a client's position and the log.
 * @param at index of the entry the client's position names, −1 where the log has it no more.
 * @param known what the client has, by source.
 * @param lost true where Redis may have lost for good what came after that.
 */
export function missingFor(
  point: ResumePoint,
  snapshot: Snapshot,
  at: number,
  known: ReadonlyMap<string, number>,
  lost: boolean
): Gap | undefined {
  const { head, entries } = snapshot
  const theirs = point.position
  const ours = head.position
  if (at >= 0) {
    // What was written again is no news, and of the sources that the id leaves out that cannot be told.
    const rewound = entries.slice(at).some(({ position }) => position?.epoch !== theirs?.epoch)
    return rewound && !point.complete ? 'unknown' : undefined
  }
  if (
    theirs &&
    ours?.epoch === theirs.epoch &&
    ours.seq === theirs.seq &&
    head.coordinate?.offset === point.own?.offset
  ) {
    return undefined
  }
  if (lost && endedSince(theirs, head)) return 'unknown'
  if (!ours) return theirs ? 'unknown' : undefined
  if (!theirs && isWhole(snapshot)) return undefined
  // Of the sources that the id leaves out nothing is replayed either.
  if (!point.complete) return 'unknown'
  if (reaches(snapshot, known)) return undefined
  const oldest = entries[0]?.position
  if (!oldest || !theirs || !countsSince(theirs.epoch, snapshot)) return 'unknown'
  const missing = oldest.seq - theirs.seq - 1
  return missing > 0 ? missing : 'unknown'
}
