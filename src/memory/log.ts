import { type Coordinate, type Coverage, decodeMessage, envelopeHead, type Vector } from '../message.ts'
import type { RevocationStore } from '../ports/revocations.ts'
import type { Append, Appended, ChannelFeed, ChannelLog, Chunk, Claims, Snapshot } from '../ports.ts'
import { createBus } from './bus.ts'
import { createMemoryClaims } from './claims.ts'
import { createMemoryRevocations } from './revocations.ts'

// The log and the bus inside one process, by the rules of redis/append.lua. What it keeps is bounded: entries by the size
// and ttl of their route and by all their bytes, positions by their ttl and their number.

const META_TTL_MS = 7 * 24 * 3600 * 1000
const SWEEP_MS = 30_000
/** Past it the channels written longest ago lose their entries. */
const MAX_BYTES = 256 * 1024 * 1024
/** Past it the channels written longest ago lose their position too. */
const MAX_CHANNELS = 100_000

export interface MemoryLogOptions {
  /** How long a channel keeps its position after its last message, at least as long as its log. Milliseconds, default 7 days. */
  metaTtlMs?: number
}

export interface MemoryLog {
  log: ChannelLog
  claims: Claims
  revocations: RevocationStore
  /** One for each edge. */
  createFeed(): ChannelFeed
}

interface Logged {
  epoch: string
  seq: number
  /** Of the last entry. */
  coordinate: Coordinate
  vector: Vector
  entries: Buffer[]
  bytes: number
  entriesEndMs: number
  endMs: number
}

/** A log that lives as long as the process, and its bus. */
export function createMemoryLog({ metaTtlMs = META_TTL_MS }: MemoryLogOptions = {}): MemoryLog {
  const fences: Vector = new Map()
  const floors: Vector = new Map()
  const ceilings: Vector = new Map()
  /** The channel written longest ago comes first; `full` are those with entries. */
  const channels = new Map<string, Logged>()
  const full = new Set<Logged>()
  const bus = createBus()
  let bytes = 0
  let forgotten = false
  let ready = false
  let sweep: NodeJS.Timeout | undefined

  function append(chunk: Chunk): Appended {
    const { source, expect, upTo, again, appends } = chunk
    const fence = fences.get(source)
    const last = fence ?? -1
    // Lost: nothing is written (I3).
    if (last < expect) return { behind: true, fence }
    // Redelivered ones are skipped (I2).
    const fresh = appends.filter(({ offset, logSize }) => offset > (logSize === 0 ? Math.max(last, again) : last))
    for (const each of fresh) {
      if (each.logSize === 0) bus.publish(each.channel, each.published)
      else write(chunk, each)
    }
    // Covered, whatever of it was written (I4).
    fences.set(source, Math.max(last, upTo))
    return { behind: false, fence: Math.max(last, upTo), skipped: appends.length - fresh.length }
  }

  function write({ source, again, token }: Chunk, append: Append): void {
    const { channel: name, offset, published, logged, logSize, logTtlMs } = append
    const channel = find(name) ?? open(token)
    // Acknowledged before, then lost (I5).
    if (offset <= again) channel.epoch = token
    channel.seq++
    channel.coordinate = { source, offset }
    channel.vector.set(source, offset)
    channel.entriesEndMs = performance.now() + logTtlMs
    channel.endMs = performance.now() + Math.max(logTtlMs, metaTtlMs)
    channels.delete(name)
    channels.set(name, channel)
    const head = Buffer.from(envelopeHead(channel))
    const envelope = Buffer.concat([head, published])
    keep(channel, logged ? Buffer.concat([head, logged]) : envelope, logSize)
    bus.publish(name, envelope)
    bound()
  }

  function open(token: string): Logged {
    // Once positions were given up early, no first message can be taken for the first of all.
    const seq = forgotten ? 1 : 0
    const coordinate = { source: '', offset: -1 }
    return { epoch: token, seq, coordinate, vector: new Map(), entries: [], bytes: 0, entriesEndMs: 0, endMs: 0 }
  }

  function keep(channel: Logged, envelope: Buffer, size: number): void {
    channel.entries.push(envelope)
    count(channel, envelope.length)
    while (channel.entries.length > size) count(channel, -(channel.entries.shift() as Buffer).length)
    full.delete(channel)
    full.add(channel)
  }

  function count(channel: Logged, more: number): void {
    channel.bytes += more
    bytes += more
  }

  function clear(channel: Logged): void {
    count(channel, -channel.bytes)
    channel.entries = []
    full.delete(channel)
  }

  function bound(): void {
    for (const channel of full) {
      if (bytes <= MAX_BYTES) break
      clear(channel)
    }
    for (const [name, channel] of channels) {
      if (channels.size <= MAX_CHANNELS) break
      clear(channel)
      channels.delete(name)
      forgotten = true
    }
  }

  /** The channel as its ttls have left it. */
  function find(name: string): Logged | undefined {
    const channel = channels.get(name)
    const now = performance.now()
    if (channel && channel.entriesEndMs <= now) clear(channel)
    if (!channel || channel.endMs > now) return channel
    channels.delete(name)
    return undefined
  }

  function read(name: string, last?: number): Snapshot {
    const channel = find(name)
    const entries = last === 0 || !channel ? [] : channel.entries.slice(last === undefined ? 0 : -last)
    return {
      head: channel ? { ...headOf(channel), vector: new Map(channel.vector) } : {},
      entries: entries.map(envelope => decodeMessage(envelope)),
      ...coverage()
    }
  }

  function coverage(): Coverage {
    return { fences: new Map(fences), floors: new Map(floors), ceilings: new Map(ceilings) }
  }

  const log: ChannelLog = {
    get ready() {
      return ready
    },
    async start() {
      ready = true
      sweep ??= setInterval(() => [...channels.keys()].forEach(find), SWEEP_MS).unref()
    },
    async close() {
      ready = false
      clearInterval(sweep)
    },
    append: async chunk => append(chunk),
    async restart(source, start, end = start - 1) {
      if (fences.has(source)) return
      floors.set(source, start)
      ceilings.set(source, end)
      fences.set(source, start - 1)
    },
    async forget(sources) {
      for (const source of sources) {
        fences.delete(source)
        floors.delete(source)
        ceilings.delete(source)
      }
    },
    fences: async () => new Map(fences),
    claim: async group => group,
    read: async (channel, last) => read(channel, last),
    async heads(names) {
      const heads = names.map(name => {
        const channel = find(name)
        return channel ? headOf(channel) : {}
      })
      return { heads, ...coverage() }
    }
  }
  const revocations = createMemoryRevocations(bus.publish)
  return { log, claims: createMemoryClaims(), revocations, createFeed: bus.createFeed }
}

function headOf({ epoch, seq, coordinate }: Logged) {
  return { position: { epoch, seq }, coordinate }
}
