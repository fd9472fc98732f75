import { type Coordinate, type Gap, isBeyond, type Message, type ResumePoint, sourceTag } from './message.ts'
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
export function addGap(one: Gap | undefined, other: Gap | undefined): Gap | undefined {
  if (one === undefined || other === undefined) return one ?? other
  return one === 'unknown' || other === 'unknown' ? 'unknown' : one + other
}

/** A channel that was born with this entry and not by a refill: nothing of it can have been missed. */
export function bornWhole({ position }: Message): boolean {
  return position?.seq === 1 && !position.epoch.startsWith('w')
}

/** What is delivered or was there before, by source, and the part of it that fed this very channel. */
interface Known {
  vector: ReadonlyMap<string, number>
  fed: ReadonlyMap<string, number>
}

/** Nothing is missing: of every source that fed the log, the entry after what is known is there, or there is none. */
function holdsAll({ head, entries, fences }: Snapshot, { vector, fed }: Known): boolean {
  const sources = head.vector ?? new Map<string, number>()
  const reached = new Set(entries.map(({ coordinate: c }) => (c && !isBeyond(c, vector) ? c.source : '')))
  for (const [source, offset] of sources) {
    if (isBeyond({ source, offset }, vector) && !reached.has(source)) return false
  }
  if (!head.position?.epoch.startsWith('w')) return true
  // A refill (I9) that came past what is known, and brought nothing of it, began after it.
  return [...fed].every(([source, offset]) => sources.has(source) || (fences.get(source) ?? -1) < offset)
}

/** Positions count messages only where none was written twice: a rewind opens an epoch that is no `n` (I5). */
function countsSince(epoch: string | undefined, { head, entries }: Snapshot): boolean {
  return epoch?.startsWith('n') === true && [head, ...entries].every(each => each.position?.epoch === epoch)
}

/**
 * Healing: what is missing between a position and the log.
 * @param ours where the channel stood.
 */
export function missingSince(ours: Head, snapshot: Snapshot, known: Known): Gap | undefined {
  const { head, entries } = snapshot
  const { position, coordinate } = ours
  const [oldest] = entries
  if (sameHead(ours, head) || entries.some(entry => sameHead(ours, entry))) return undefined
  if ((oldest && bornWhole(oldest)) || holdsAll(snapshot, known)) return undefined
  const isThere = coordinate && coordinate.offset <= (head.vector?.get(coordinate.source) ?? -1)
  if (!position || !isThere || !countsSince(position.epoch, snapshot)) return 'unknown'
  const missing = (oldest?.position?.seq ?? (head.position?.seq ?? 0) + 1) - position.seq - 1
  return missing > 0 ? missing : 'unknown'
}

/**
 * Resuming: what is missing between a client's position and the log.
 * @param at index of the entry the client's position names, −1 where the log has it no more.
 * @param known what the client has, by source.
 */
export function missingFor(
  point: ResumePoint,
  snapshot: Snapshot,
  at: number,
  known: ReadonlyMap<string, number>
): Gap | undefined {
  const { head, entries } = snapshot
  const theirs = point.position
  const ours = head.position
  const [oldest] = entries
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
  if (!ours) return theirs ? 'unknown' : undefined
  if (!theirs && oldest && bornWhole(oldest)) return undefined
  // Of the sources that the id leaves out nothing is replayed either.
  if (!point.complete) return 'unknown'
  if (holdsAll(snapshot, { vector: known, fed: theirs ? known : new Map() })) return undefined
  if (!oldest?.position || !theirs || !countsSince(theirs.epoch, snapshot)) return 'unknown'
  const missing = oldest.position.seq - theirs.seq - 1
  return missing > 0 ? missing : 'unknown'
}
