import type { Coordinate, Gap, Message, ResumePoint } from './message.ts'
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

/** Two holes before the same message are one. */
export function addGap(one: Gap | undefined, other: Gap | undefined): Gap | undefined {
  if (one === undefined || other === undefined) return one ?? other
  return one === 'unknown' || other === 'unknown' ? 'unknown' : one + other
}

/** A channel that was born with this entry and not by a refill: nothing of it can have been missed. */
export function bornWhole({ position }: Message): boolean {
  return position?.seq === 1 && !position.epoch.startsWith('w')
}

/**
 * Healing: what is missing between a position and the log.
 * @param ours where the channel stood.
 * @param first the first entry of the log, if it is news.
 */
export function missingSince(ours: Head, { head, entries }: Snapshot, first: Message | undefined): Gap | undefined {
  if (ours.position && head.position?.epoch === ours.position.epoch) {
    const from = entries[0]?.position?.seq ?? head.position.seq + 1
    const missing = from - ours.position.seq - 1
    return missing > 0 ? missing : undefined
  }
  // Another epoch: an entry that is known proves all after it.
  return first === undefined || bornWhole(first) ? undefined : 'unknown'
}

/**
 * Resuming: what is missing between a client's position and the log.
 * @param at index of the entry the client's position names, −1 where the log has it no more.
 * @param first the first entry of the log, if it is news to the client.
 */
export function missingFor(
  point: ResumePoint,
  { head, entries }: Snapshot,
  at: number,
  first: Message | undefined
): Gap | undefined {
  if (at >= 0) return undefined
  const theirs = point.position
  const ours = head.position
  const sameEpoch = theirs !== undefined && ours?.epoch === theirs.epoch
  if (sameEpoch && ours.seq === theirs.seq && head.coordinate?.offset === point.own?.offset) return undefined
  if (!ours && !theirs) return undefined
  const oldest = entries[0]
  if (!oldest) return 'unknown'
  if (!theirs && bornWhole(oldest)) return undefined
  // Of the sources that the id leaves out nothing is replayed either.
  if (!point.complete) return 'unknown'
  if (!first) return undefined
  if (sameEpoch && oldest.position?.epoch === theirs.epoch && oldest.position.seq > theirs.seq + 1) {
    return oldest.position.seq - theirs.seq - 1
  }
  return 'unknown'
}
