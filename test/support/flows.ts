import { setImmediate as nextTurn } from 'node:timers/promises'
import pino from 'pino'
import type { Counter, Gauge } from 'prom-client'
import { BatonError } from '../../src/errors.ts'
import { createHub, type HubOptions, type Subscribed } from '../../src/hub.ts'
import { createMemoryLog } from '../../src/memory/log.ts'
import { bodyOf, type Delivery, encodeEntry, type Gap } from '../../src/message.ts'
import { createMetrics } from '../../src/metrics.ts'
import type { Append, Appended, Audience, ChannelFeed, ChannelLog, Chunk, FeedListener } from '../../src/ports.ts'
import type { Start } from '../../src/replay.ts'
import type { Place } from '../../src/routes.ts'

// The flows on the memory log, with what a server and its links may do besides: go back to an earlier state, be slow or
// away, go deaf. Everything in memory happens in microtasks, so after one turn of the event loop every hub has handled what
// was published before.

export const SOURCE = 'g/t/0~i1'

export const silent = pino({ level: 'silent' })

/** Refused as by a Redis that does not answer. */
export const away = () => new BatonError('REDIS_UNAVAILABLE', 'no answer')

export type Server = ReturnType<typeof createServer>

/** A log and its bus. A test may put its own methods into `log`, to fail or to wait. */
export function createServer() {
  let memory = createMemoryLog()
  /** Those written, in order. */
  const chunks: Chunk[] = []
  /** What else was done to the log, and after how many chunks. */
  let others: { after: number; act: (log: ChannelLog) => Promise<void> }[] = []
  const links: ReturnType<typeof createLink>[] = []

  async function append(chunk: Chunk): Promise<Appended> {
    const appended = await memory.log.append(chunk)
    if (!appended.behind) chunks.push(chunk)
    return appended
  }

  function act(act: (log: ChannelLog) => Promise<void>): Promise<void> {
    others.push({ after: chunks.length, act })
    return act(memory.log)
  }

  const log: ChannelLog = {
    append,
    restart: (source, start, end) => act(log => log.restart(source, start, end)),
    forget: sources => act(log => log.forget(sources)),
    fences: () => memory.log.fences(),
    claim: group => memory.log.claim(group),
    read: (channel, last) => memory.log.read(channel, last),
    heads: channels => memory.log.heads(channels),
    ready: true,
    start: async () => undefined,
    close: async () => undefined
  }
  return {
    log,
    chunks,

    createFeed() {
      const link = createLink(memory.createFeed())
      links.push(link)
      return link
    },

    /** The state before the next chunk after so many; 0: wiped. Links are connected again, and nobody is told. */
    async goBack(count: number): Promise<void> {
      const earlier = createMemoryLog()
      chunks.splice(count)
      others = count === 0 ? [] : others.filter(({ after }) => after <= count)
      for (let index = 0; index <= chunks.length; index++) {
        for (const { after, act } of others) if (after === index) await act(earlier.log)
        const chunk = chunks[index]
        if (chunk) await earlier.log.append(chunk)
      }
      memory = earlier
      await nextTurn()
      for (const link of links) await link.connect(memory.createFeed())
    }
  }
}

function createLink(feed: ChannelFeed) {
  let listener: FeedListener | undefined
  const followed = new Set<string>()
  const link = {
    /** True: what comes is lost. */
    deaf: false,
    /** `follow` waits for it. */
    up: Promise.resolve(),
    /** Every call of `follow` and `unfollow`. */
    calls: [] as string[],
    /** As another program's PUBLISH. */
    bring(channel: string, payload: Buffer): void {
      if (!link.deaf) listener?.message(channel, payload)
    },
    /** Hears again, and says so. */
    restore(): void {
      link.deaf = false
      listener?.restored([...followed])
    },
    async connect(to: ChannelFeed): Promise<void> {
      await feed.close()
      feed = to
      await feed.start({
        restored: () => undefined,
        message: link.bring
      })
      for (const channel of followed) await feed.follow(channel)
    },
    start(to: FeedListener): Promise<void> {
      listener = to
      return link.connect(feed)
    },
    async follow(channel: string): Promise<void> {
      link.calls.push(`follow ${channel}`)
      await link.up
      followed.add(channel)
      await feed.follow(channel)
    },
    unfollow(channel: string): void {
      link.calls.push(`unfollow ${channel}`)
      followed.delete(channel)
      feed.unfollow(channel)
    },
    ready: true,
    close: () => feed.close()
  }
  return link
}

interface Writing {
  hidden?: boolean
  timestampMs?: number
  logSize?: number
  logTtlMs?: number
  /** The body is over the log's limit. */
  omit?: boolean
  /** Where the first record stands; absent: after the last one. */
  offset?: number
  /** Of the chunk. */
  again?: number
  token?: string
}

/** Appends bodies to a channel, one record each and all in one chunk, as the owner of a source would. */
export function createWriter({ log }: Server, source = SOURCE) {
  let next = 0
  return async (channel: string, bodies: string[], more: Writing = {}): Promise<void> => {
    const { hidden = false, timestampMs = Date.now(), omit = false, again = -1, token = 'n1' } = more
    const { logSize = 1000, logTtlMs = 60_000 } = more
    next = more.offset ?? next
    const appends = bodies.map((body): Append => {
      const coordinate = { source, offset: next++ }
      const entry = { coordinate, timestampMs, hidden, headers: '', body: Buffer.from(body) }
      const logged = omit && { logged: encodeEntry(entry, true) }
      return { channel, offset: coordinate.offset, published: encodeEntry(entry), ...logged, logSize, logTtlMs }
    })
    await log.append({ source, expect: -1, upTo: next - 1, again, token, appends })
    await nextTurn()
  }
}

/** One that subscribes: what it was given, and where it may resume. */
export class Reader {
  readonly deliveries: Delivery[] = []
  /** A replay waits for it before each delivery. */
  ready: Promise<void> | undefined

  get bodies(): string[] {
    return this.deliveries.map(({ message }) => bodyOf(message).toString())
  }
  get ids(): string[] {
    return this.deliveries.map(({ id }) => id)
  }
  /** Of each delivery that tells one. */
  get gaps(): [body: string, gap: Gap][] {
    return this.deliveries.flatMap(({ message, gap }) => (gap === undefined ? [] : [[bodyOf(message).toString(), gap]]))
  }
}

export function createRoom(): Audience<Reader> {
  const members = new Set<Reader>()
  return {
    add: member => void members.add(member),
    remove: member => void members.delete(member),
    get size() {
      return members.size
    },
    push(delivery) {
      for (const { deliveries } of members) deliveries.push(delivery)
    },
    async replay(member, deliveries, signal) {
      for (const delivery of deliveries) {
        await member.ready
        signal.throwIfAborted()
        member.deliveries.push(delivery)
      }
    }
  }
}

export function placeOf(channel: string, maxAgeMs?: number): Place {
  const allow = { send: 'anyone', subscribe: 'anyone', history: 'anyone' } as const
  const log = { size: 1000, ttlMs: 60_000, maxBodyBytes: 1000 }
  const slow = { policy: 'close' } as const
  const route = { name: 'r', log, history: { size: 100, maxAgeMs }, slow, send: undefined, allow }
  return { route, channel, destination: `/sub/${channel}`, names: {}, topics: new Set(['t']) }
}

/** A hub on a link of its own, as one replica has it. */
export async function createEdge(server: Server, options: Partial<HubOptions> = {}) {
  const feed = server.createFeed()
  const metrics = createMetrics()
  const hub = createHub<Reader>(
    { joinTimeoutMs: 5000, resumeTimeoutMs: 0, sweepIntervalMs: 3_600_000, ...options },
    { log: server.log, feed, createAudience: createRoom, metrics, logger: silent }
  )
  await feed.start(hub.listener)

  /** A new reader of a channel, live. */
  async function read(channel: string, start: Start = {}): Promise<Reader & Subscribed> {
    const reader = new Reader()
    return Object.assign(reader, await subscribe(reader, channel, start))
  }

  function subscribe(reader: Reader, channel: string, start: Start = {}, signal = new AbortController().signal) {
    return hub.subscribe(placeOf(channel), reader, start, signal)
  }
  return { hub, feed, metrics, read, subscribe }
}

/** What a metric stands at, with these labels. */
export async function countOf(metric: Counter | Gauge, labels: Record<string, string> = {}): Promise<number> {
  const { values } = await metric.get()
  const matching = values.filter(value => Object.entries(labels).every(([name, label]) => value.labels[name] === label))
  return matching.reduce((sum, { value }) => sum + value, 0)
}
