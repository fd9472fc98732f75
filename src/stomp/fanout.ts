import type { Delivery, Slow } from '../message.ts'
import type { Metrics } from '../metrics.ts'
import type { Audience, CreateAudience } from '../ports.ts'
import type { AckWindow } from './ack-window.ts'
import type { Version } from './frame.ts'
import { createLaggards, type Laggards } from './laggards.ts'
import { bytesOf, type Frames, type Kind, Layout, layOut, stamp, stamped } from './layout.ts'
import type { Transport } from './transport.ts'

// The tick queue belongs to the channel, not to the socket: what comes in one tick reaches a socket in one write. Members
// whose MESSAGE frames differ by the bytes of their ids only make a family: it is laid out once, and shares one buffer.
// A message is laid out as it comes, so that all else that was made of it dies young: laid out when flushed, the messages of
// 100 rooms of ten take an edge a tenth more.

/** One live subscription as the fan-out sees it. */
export interface Member {
  readonly version: Version
  /** As `bytesOf` gives it. Absent: a 1.0 subscription without an id. */
  readonly id: string | undefined
  readonly transport: Transport
  /** Absent with ack mode `auto`. */
  readonly window: AckWindow | undefined
  /** More is unacknowledged than the window allows. The member may be removed from within. */
  exceeded(): void
}

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

interface Family {
  kind: Kind
  members: Set<Member>
  /** What came since the last flush. */
  layout: Layout
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
      flushTo(family, deliveries, laggards)
      if (family.members.size === 0) families.delete(name)
    }
    for (const member of caughtUp) join(member)
    handed(came * (size - (laggards?.size ?? 0)), timestampMs)
  }

  function join(member: Member): void {
    const name = nameOf(member)
    const family = families.get(name)
    if (family) family.members.add(member)
    else {
      const kind = kindOf(member, destination)
      families.set(name, { kind, members: new Set([member]), layout: new Layout(kind, queue) })
    }
  }

  function leave(member: Member): boolean {
    const name = nameOf(member)
    const { members } = families.get(name) ?? {}
    if (!members?.delete(member)) return false
    if (members.size === 0) families.delete(name)
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

function nameOf({ version, id, window, transport: { framing } }: Member): string {
  return `${framing} ${version} ${window ? 'ack' : 'auto'} ${id?.length}`
}

function kindOf({ version, id, window, transport: { framing } }: Member, destination: string): Kind {
  return { framing, version, id, destination: bytesOf(destination, version), acknowledges: window !== undefined }
}

/**
 * One buffer serves all, as long as sockets take it whole. With a copy for each id, a room of a thousand lone ids gets 0.3 of the
 * deliveries per CPU-second at 32 messages a tick, and 0.6 at 4. Those who have yet to read get theirs when they have.
 */
function flushTo({ kind, members, layout }: Family, deliveries: Delivery[], laggards: Laggards | undefined): void {
  const frames = layout.take()
  let { id } = kind
  let isKept = false
  let later: Frames | undefined
  for (const member of members) {
    if (laggards?.catches(member, deliveries)) {
      members.delete(member)
      continue
    }
    if (member.transport.queuedBytes > 0) {
      later ??= { ...frames, bytes: Buffer.from(frames.bytes) }
      handLater(member, later, deliveries)
      continue
    }
    if (member.id !== id) {
      // What a socket still holds must not change.
      if (isKept) frames.bytes = Buffer.from(frames.bytes)
      isKept = false
      stamp(frames, member.id, id)
      id = member.id
    }
    if (hand(member, frames.bytes, deliveries)) isKept = true
  }
}

/** @returns whether the bytes are still to be sent, and must not change. */
function hand(member: Member, bytes: Buffer, deliveries: Delivery[], flushed?: () => void): boolean {
  const isKept = member.transport.writeFramed(bytes, flushed)
  awaitAck(member, deliveries)
  return isKept
}

function handLater(member: Member, frames: Frames, deliveries: Delivery[]): void {
  member.transport.writeLater(frames.bytes.length, () => stamped(frames, member.id))
  awaitAck(member, deliveries)
}

function awaitAck({ window, exceeded }: Member, deliveries: Delivery[]): void {
  if (!window) return
  for (const { id } of deliveries) window.add(id)
  if (window.exceeded) exceeded()
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
