/** What one subscription was sent and has not acknowledged: its ids in the order of sending, and nothing else. */
export interface AckWindow {
  /** Unacknowledged now. */
  readonly size: number
  /** More is unacknowledged than the window allows. */
  readonly exceeded: boolean
  /** How many more it allows. */
  readonly room: number
  /** No more than half of what it allows is used. */
  readonly halfFree: boolean
  /** Calls once it is half free; one call at a time. */
  whenHalfFree(call: () => void): void
  add(id: string): void
  /** The next `count` were asked for (a replay): the window is wider by so many until they are acknowledged. */
  widen(count: number): void
  has(id: string): boolean
  /** `client` takes all before it along, `client-individual` touches no other. @returns false when `id` does not wait. */
  acknowledge(id: string): boolean
}

export type AckMode = 'client' | 'client-individual'

/** Acknowledged ids are kept until they outnumber the waiting ones by this many. */
const SLACK = 64

export function createAckWindow(mode: AckMode, limit: number): AckWindow {
  let ids: (string | undefined)[] = []
  /** Before it, everything is acknowledged. */
  let head = 0
  let size = 0
  let extra = 0
  /** Where each id is: made for who acknowledges another than the oldest, so that it costs nobody else. */
  let places: Map<string | undefined, number> | undefined
  let onHalfFree: (() => void) | undefined

  const room = () => limit + extra - size

  /** Where an id waits; −1: nowhere. A session asks all its windows in turn. */
  function placeOf(id: string): number {
    if (ids[head] === id) return head
    places ??= new Map(ids.map((waiting, at) => [waiting, at]))
    const at = places.get(id) ?? -1
    return at >= head && ids[at] === id ? at : -1
  }

  return {
    get size() {
      return size
    },
    get exceeded() {
      return room() < 0
    },
    get room() {
      return room()
    },
    get halfFree() {
      return room() >= limit / 2
    },
    whenHalfFree(call) {
      onHalfFree = call
    },
    add(id) {
      places?.set(id, ids.length)
      ids.push(id)
      size++
    },
    widen(count) {
      extra += count
    },
    has: id => placeOf(id) >= 0,
    acknowledge(id) {
      const at = placeOf(id)
      if (at < 0) return false
      if (mode === 'client') {
        size -= at + 1 - head
        head = at + 1
      } else {
        ids[at] = undefined
        size--
        while (head < ids.length && ids[head] === undefined) head++
      }
      extra = Math.min(extra, size)
      if (ids.length > 2 * size + SLACK) {
        ids = ids.slice(head).filter(waiting => waiting !== undefined)
        head = 0
        places = undefined
      }
      if (onHalfFree && room() >= limit / 2) {
        const call = onHalfFree
        onHalfFree = undefined
        call()
      }
      return true
    }
  }
}
