import type { Delivery, Slow } from '../message.ts'
import type { Metrics } from '../metrics.ts'
import type { Audience, CreateAudience } from '../ports.ts'
import { Family, familyOf, hand, kindOf, type Member } from './family.ts'
import { createLaggards } from './laggards.ts'
import { layOut } from './layout.ts'

// The tick queue belongs to the channel, not to the socket: what comes in one tick reaches a socket in one write.
// A message is laid out as it comes, so that all else that was made of it dies young: laid out when flushed, the messages of
// 100 rooms of ten take an edge a tenth more.

export interface FanoutOptions {
  /** How long deliveries may wait for more, 0–5. 0: until the end of the tick. Milliseconds. */
  flushMs: number
}

interface AudienceParts {
  destination: string
  slow: Slow
  schedule(flush: () => void): void
  /** So many frames were handed to sockets; the oldest has this timestamp. Undefined: none was a record. */
  handed(frames: number, timestampMs: number | undefined): void
  metrics: Metrics
}

/** A replay is written in pieces of about this many bytes. */
const REPLAY_PIECE_BYTES = 65_536

export function createFanout({ flushMs }: FanoutOptions, { metrics }: { metrics: Metrics }): CreateAudience<Member> {
  let dirty: (() => void)[] = []
  /** What was handed to sockets and is not counted yet: to do so for each room takes a twentieth of what an edge does for a message to ten. */
  let frames = 0
  let oldestMs = Number.POSITIVE_INFINITY

  function schedule(flush: () => void): void {
    if (dirty.push(flush) > 1) return
    if (flushMs > 0) setTimeout(flushAll, flushMs)
    else setImmediate(flushAll)
  }

  function flushAll(): void {
    const flushes = dirty
    dirty = []
    for (const flush of flushes) flush()
    metrics.deliveries.inc(frames)
    if (oldestMs < Number.POSITIVE_INFINITY) metrics.latency.observe((Date.now() - oldestMs) / 1000)
    frames = 0
    oldestMs = Number.POSITIVE_INFINITY
  }

  function handed(more: number, timestampMs = Number.POSITIVE_INFINITY): void {
    frames += more
    oldestMs = Math.min(oldestMs, timestampMs)
  }

  return (destination, slow) => createAudience({ destination, slow, schedule, handed, metrics })
}

function createAudience({ destination, slow, schedule, handed, metrics }: AudienceParts): Audience<Member> {
  const families = new Map<string, Family>()
  const laggards = slow.policy === 'close' ? undefined : createLaggards(slow, { handAlone, rejoin: join, metrics })
  let size = 0
  /** How many came since the last flush, and the timestamp of the first record among them. */
  let count = 0
  let firstMs: number | undefined
  /** They themselves, where somebody needs more of them than their bytes. */
  let queue: Delivery[] = []

  function flush(): void {
    if (count === 0) return
    const [deliveries, came, timestampMs] = [queue, count, firstMs]
    queue = []
    count = 0
    firstMs = undefined
    const caughtUp = laggards?.pass(deliveries) ?? []
    for (const [name, family] of families) {
      family.flush(deliveries, laggards)
      if (family.size === 0) families.delete(name)
    }
    for (const member of caughtUp) join(member)
    handed(came * (size - (laggards?.size ?? 0)), timestampMs)
  }

  function join(member: Member): void {
    const name = familyOf(member)
    const family = families.get(name) ?? new Family(kindOf(member, destination), queue)
    family.add(member)
    families.set(name, family)
  }

  function leave(member: Member): boolean {
    const name = familyOf(member)
    const family = families.get(name)
    if (!family?.delete(member)) return false
    if (family.size === 0) families.delete(name)
    return true
  }

  function handAlone(member: Member, deliveries: Delivery[]): void {
    hand(member, layOut(kindOf(member, destination), deliveries).bytes, deliveries)
  }

  return {
    get size() {
      return size
    },
    add(member) {
      flush()
      join(member)
      size++
    },
    remove(member) {
      flush()
      if (leave(member) || laggards?.delete(member)) size--
    },
    push(delivery) {
      if (size === 0) return
      let isNeeded = laggards !== undefined
      for (const { kind, layout } of families.values()) {
        layout.add(delivery)
        isNeeded ||= kind.acknowledges
      }
      if (isNeeded) queue.push(delivery)
      const { coordinate, timestampMs } = delivery.message
      if (coordinate) firstMs ??= timestampMs
      if (++count === 1) schedule(flush)
    },
    async replay(member, deliveries, signal) {
      member.window?.widen(deliveries.length)
      const kind = kindOf(member, destination)
      signal.throwIfAborted()
      for (let from = 0; from < deliveries.length; ) {
        const to = pieceEnd(deliveries, from)
        const piece = deliveries.slice(from, to)
        await handAndWait(member, layOut(kind, piece).bytes, piece, signal)
        metrics.deliveries.inc(piece.length)
        from = to
      }
    }
  }
}

/** Waits for the client to read only when half of its send queue is full. @throws the signal's reason. */
async function handAndWait(member: Member, bytes: Buffer, deliveries: Delivery[], signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  const abort = () => resolve()
  signal.addEventListener('abort', abort)
  hand(member, bytes, deliveries, resolve)
  if (member.transport.halfFull) await promise
  signal.removeEventListener('abort', abort)
  signal.throwIfAborted()
}

/** Where the piece that begins at `from` ends; it holds one delivery at least. */
function pieceEnd(deliveries: Delivery[], from: number): number {
  let to = from
  for (let bytes = 0; to < deliveries.length && bytes < REPLAY_PIECE_BYTES; to++) {
    bytes += deliveries[to]?.message.bytes.length ?? 0
  }
  return to
}
