/** A whole number from 0 to below `below`. */
export type Random = (below: number) => number

/** Mulberry32: small, seedable, good enough to choose faults. */
export function randomOf(seed: number): Random {
  let state = seed | 0
  return below => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 4294967296) * below)
  }
}

/** What stays the same for one run; the seed chooses it. */
export interface Shape {
  /** Two, or more than a message-id can name (I7). */
  partitions: number
  /** Large: nothing is ever trimmed. Small: heals and resumes meet a trimmed log. */
  logSize: number
  /** Wide: a wipe loses nothing for good. Narrow: it does (I9). */
  refill: { maxAgeMs: number; maxRecords: number }
}

export const WIDE = 50_000

export function shapeOf(random: Random): Shape {
  return {
    partitions: [2, 2, 11][random(3)] as number,
    logSize: [500, 500, 12, 4, 2][random(5)] as number,
    refill: { maxAgeMs: 600_000, maxRecords: random(3) === 0 ? 1 + random(8) : WIDE }
  }
}
