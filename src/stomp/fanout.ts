import type { Delivery } from '../message.ts'
import type { Metrics } from '../metrics.ts'
import type { Audience, CreateAudience } from '../ports.ts'
import type { AckWindow } from './ack-window.ts'
import { escapeHeader, translateHeaders, type Version } from './frame.ts'
import { messageHeaderLength, opcodeOf, type Transport, writeMessageHeader } from './transport.ts'

// The tick queue belongs to the channel, not to the socket: what comes in one tick reaches a socket in one write. Members
// whose MESSAGE frames are the same to the last byte make a shape and share one buffer; a lone one differs from the others
// of its version by its `subscription` header only, so its frames are that line and a shared tail.

/** One live subscription as the fan-out sees it. */
export interface Member {
  readonly version: Version
  /** Absent: a 1.0 subscription without an id. */
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

interface Shape {
  /** `MESSAGE` and the `subscription` header. */
  prefix: Buffer
  sample: Member
  members: Set<Member>
}

/** All frames of a tick for shapes whose prefixes are equally long, but for the prefixes. */
interface Layout {
  bytes: Buffer
  /** Where the prefixes belong. */
  gaps: number[]
}

const BACKSLASH = 0x5c
/** A replay is written in pieces of about this many bytes. */
const REPLAY_PIECE_BYTES = 65_536

export function createFanout({ flushMs }: FanoutOptions, { metrics }: { metrics: Metrics }): CreateAudience<Member> {
  let dirty: (() => void)[] = []

  function schedule(flush: () => void): void {
    if (dirty.push(flush) > 1) return
    if (flushMs > 0) setTimeout(flushAll, flushMs)
    else setImmediate(flushAll)
  }

  function flushAll(): void {
    const flushes = dirty
    dirty = []
    for (const flush of flushes) flush()
  }

  return destination => createAudience(destination, schedule, metrics)
}

function createAudience(
  destination: string,
  schedule: (flush: () => void) => void,
  metrics: Metrics
): Audience<Member> {
  const shapes = new Map<string, Shape>()
  let size = 0
  let queue: Delivery[] = []

  function flush(): void {
    if (queue.length === 0) return
    const deliveries = queue
    queue = []
    const assemble = createAssembler(destination, deliveries)
    metrics.deliveries.inc(deliveries.length * size)
    for (const { prefix, sample, members } of shapes.values()) {
      const bytes = assemble(prefix, sample)
      for (const member of members) hand(member, bytes, deliveries)
    }
    const now = Date.now()
    for (const { coordinate, timestampMs } of deliveries.map(({ message }) => message)) {
      if (coordinate) metrics.latency.observe(Math.max(0, now - timestampMs) / 1000)
    }
  }

  return {
    get size() {
      return size
    },
    add(member) {
      flush()
      const key = shapeOf(member)
      const shape = shapes.get(key)
      if (shape) shape.members.add(member)
      else shapes.set(key, { prefix: prefixOf(member), sample: member, members: new Set([member]) })
      size++
    },
    remove(member) {
      const key = shapeOf(member)
      const shape = shapes.get(key)
      if (!shape?.members.has(member)) return
      flush()
      if (!shape.members.delete(member)) return
      size--
      if (shape.members.size === 0) shapes.delete(key)
    },
    push(delivery) {
      if (size > 0 && queue.push(delivery) === 1) schedule(flush)
    },
    async replay(member, deliveries, signal) {
      member.window?.widen(deliveries.length)
      const prefix = prefixOf(member)
      signal.throwIfAborted()
      for (let from = 0; from < deliveries.length; ) {
        const to = pieceEnd(deliveries, from)
        const piece = deliveries.slice(from, to)
        await handAndWait(member, createAssembler(destination, piece)(prefix, member), piece, signal)
        metrics.deliveries.inc(piece.length)
        from = to
      }
    }
  }
}

function shapeOf({ version, id, window, transport: { framing } }: Member): string {
  return `${framing} ${version} ${window ? 'ack' : 'auto'} ${id === undefined ? '' : `:${id}`}`
}

function prefixOf({ version, id }: Member): Buffer {
  return Buffer.from(id === undefined ? 'MESSAGE\n' : `MESSAGE\nsubscription:${escapeHeader(id, version)}\n`)
}

/** Makes the frames of some deliveries: all that members have in common is written once, then copied in one go. */
function createAssembler(destination: string, deliveries: Delivery[]): (prefix: Buffer, member: Member) => Buffer {
  const tails = new Map<string, Buffer[]>()
  const layouts = new Map<string, Layout>()
  const opcodes = deliveries.map(({ message }) => opcodeOf(message.content))

  function tailsFor({ version, window }: Member): Buffer[] {
    const acknowledges = window !== undefined
    return remember(tails, `${version} ${acknowledges}`, () =>
      deliveries.map(delivery => tailOf(delivery, destination, version, acknowledges))
    )
  }

  return (prefix, member) => {
    const { version, window, transport } = member
    const key = `${version} ${window !== undefined} ${transport.framing} ${prefix.length}`
    const layout = remember(layouts, key, () =>
      layOut(tailsFor(member), prefix.length, transport.framing === 'websocket' ? opcodes : undefined)
    )
    const bytes = Buffer.allocUnsafe(layout.bytes.length)
    bytes.set(layout.bytes)
    for (const gap of layout.gaps) bytes.set(prefix, gap)
    return bytes
  }
}

function remember<T>(made: Map<string, T>, key: string, make: () => T): T {
  let value = made.get(key)
  if (value === undefined) {
    value = make()
    made.set(key, value)
  }
  return value
}

function tailOf({ message, id, gap }: Delivery, destination: string, version: Version, acknowledges: boolean): Buffer {
  let head = `message-id:${id}\ndestination:${escapeHeader(destination, version)}\n`
  if (acknowledges) head += `ack:${id}\n`
  if (gap !== undefined) head += `gap:${gap}\n`
  let { content } = message
  if (version !== '1.2' && content.subarray(0, message.bodyStart).includes(BACKSLASH)) {
    head += `${translateHeaders(content.toString('utf8', 0, message.bodyStart - 1), version)}\n`
    content = content.subarray(message.bodyStart)
  }
  const headLength = Buffer.byteLength(head)
  const bytes = Buffer.allocUnsafe(headLength + content.length + 1)
  bytes.write(head)
  content.copy(bytes, headLength)
  bytes[bytes.length - 1] = 0
  return bytes
}

/** @param opcodes of the WebSocket messages that the frames are wrapped in; absent: they are not. */
function layOut(tails: Buffer[], prefixLength: number, opcodes: number[] | undefined): Layout {
  let length = 0
  for (const tail of tails) {
    const frameLength = prefixLength + tail.length
    length += frameLength + (opcodes ? messageHeaderLength(frameLength) : 0)
  }
  const bytes = Buffer.allocUnsafe(length)
  const gaps: number[] = []
  let at = 0
  for (const [i, tail] of tails.entries()) {
    const opcode = opcodes?.[i]
    if (opcode !== undefined) at = writeMessageHeader(bytes, at, opcode, prefixLength + tail.length)
    gaps.push(at)
    bytes.set(tail, at + prefixLength)
    at += prefixLength + tail.length
  }
  return { bytes, gaps }
}

function hand(member: Member, bytes: Buffer, deliveries: Delivery[], flushed?: () => void): void {
  const { transport, window } = member
  transport.writeFramed(bytes, flushed)
  if (!window) return
  for (const { id } of deliveries) window.add(id)
  if (window.exceeded) member.exceeded()
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
    bytes += deliveries[to]?.message.content.length ?? 0
  }
  return to
}
