import type { Ledger } from './ledger.ts'
import { type Resuming, roomOf, type Seated } from './seats.ts'

/** Looks at who lacks what, and how long that lasts. */
export interface Watch {
  /** Clients that lack what was acknowledged, up to shortly before, and have not gone away. */
  lagging(): string[]
  /** Forgets the marks of before. */
  reset(): void
  mark(): void
  /** See `Stage.recoveryMs`. */
  readonly recoveryMs: number
  close(): void
}

/** What was acknowledged so shortly ago may still be on its way. */
const ON_ITS_WAY_MS = 200
const LOOK_MS = 50

export function createWatch(ledger: Ledger, seated: Seated<Resuming>[], away: ReadonlySet<Resuming>): Watch {
  const seats = seated.map((seat, index) => ({ ...seat, index, rooms: seat.client.destinations.map(roomOf) }))
  let markedMs: number | undefined
  let recoveryMs = 0

  function lagging(): string[] {
    const due = ledger.highest(Date.now() - ON_ITS_WAY_MS)
    return seats.flatMap(({ client, highest, index, rooms }) =>
      rooms
        .filter(room => !away.has(client) && (highest.get(room) ?? 0) < (due.get(room) ?? 0))
        .map(room => `client ${index} in ${room}: ${highest.get(room)} of ${due.get(room)}`)
    )
  }

  const look = setInterval(() => {
    if (markedMs === undefined || lagging().length === 0) return
    recoveryMs = Math.max(recoveryMs, performance.now() - markedMs)
  }, LOOK_MS)

  return {
    lagging,
    reset() {
      markedMs = undefined
      recoveryMs = 0
    },
    mark() {
      markedMs = performance.now()
    },
    get recoveryMs() {
      return Math.round(recoveryMs)
    },
    close: () => clearInterval(look)
  }
}
