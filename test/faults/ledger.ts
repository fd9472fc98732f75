/** What was produced to each room, and when it was acknowledged. Every producer of a scenario takes its numbers here. */
export interface Ledger {
  readonly rooms: string[]
  /** Milliseconds since 1970. */
  readonly startMs: number
  /** The next number of a room. It is used once, whether or not its record gets written. */
  next(room: string): number
  /** The highest number of a room that was taken by then; 0: none. */
  takenBy(room: string, ms: number): number
  acknowledge(room: string, n: number): void
  /** Acknowledged so far. */
  readonly count: number
  /** Of each room the highest number that was acknowledged by then; 0: none. */
  highest(byMs: number): Map<string, number>
  /** Number → when. */
  acknowledged(room: string): ReadonlyMap<number, number>
}

export function createLedger(rooms: string[]): Ledger {
  /** Of each number, from 1 on, when it was taken. */
  const taken = new Map(rooms.map(room => [room, [] as number[]]))
  const acknowledged = new Map(rooms.map(room => [room, new Map<number, number>()]))
  let entries: { room: string; n: number; atMs: number }[] = []
  const settled = new Map(rooms.map(room => [room, 0]))
  let count = 0
  const takenOf = (room: string) => taken.get(room) as number[]

  return {
    rooms,
    startMs: Date.now(),
    next: room => takenOf(room).push(Date.now()),
    takenBy: (room, ms) => takenOf(room).findLastIndex(atMs => atMs <= ms) + 1,
    acknowledge(room, n) {
      const atMs = Date.now()
      acknowledged.get(room)?.set(n, atMs)
      entries.push({ room, n, atMs })
      count++
    },
    get count() {
      return count
    },
    highest(byMs) {
      const later = entries.findIndex(({ atMs }) => atMs > byMs)
      const due = later < 0 ? entries : entries.slice(0, later)
      for (const { room, n } of due) settled.set(room, Math.max(n, settled.get(room) ?? 0))
      entries = later < 0 ? [] : entries.slice(later)
      return settled
    },
    acknowledged: room => acknowledged.get(room) ?? new Map()
  }
}
