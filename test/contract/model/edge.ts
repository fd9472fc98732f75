import { setImmediate as nextTurn } from 'node:timers/promises'
import pino from 'pino'
import { createHub, type Hub } from '../../../src/hub.ts'
import { bodyOf, type Delivery, decodeMessage, encodeEntry } from '../../../src/message.ts'
import { createMetrics } from '../../../src/metrics.ts'
import type { Audience, ChannelFeed, ChannelLog, Snapshot } from '../../../src/ports.ts'
import type { Place } from '../../../src/routes.ts'
import type { Client } from './client.ts'
import type { Server } from './servers.ts'

export const TOPICS = ['p0', 'p1']
/** The last one has few messages: clients join and leave it before its first. */
export const CHANNELS = ['x', 'y', 'z', 'quiet']
const MARKER = 'marker'
const SETTLE_MS = 10_000

export const placeOf = (channel: string): Place =>
  ({
    channel,
    destination: channel,
    names: {},
    topics: new Set(TOPICS),
    route: { history: {} }
  }) as unknown as Place

/** A message of a source of its own, on a channel of its own: what was published before it has come when it has. */
export async function mark(log: ChannelLog, offset: number, marker: string): Promise<void> {
  const source = `g/marker/0~${marker}`
  const entry = { coordinate: { source, offset }, timestampMs: 0, hidden: true, headers: '', body: Buffer.from(marker) }
  const append = { channel: MARKER, offset, published: encodeEntry(entry), logSize: 1, logTtlMs: 60_000 }
  await log.append({ source, expect: -1, upTo: offset, again: -1, token: 'm', appends: [append] })
  await log.forget([source])
}

export type Edge = Awaited<ReturnType<typeof createEdge>>
type Heard = 'live' | 'late' | 'nothing'

/** One replica's hub, on a link that may go deaf (messages are lost) or lag (they come later); two of them differ. */
export async function createEdge({ log, createFeed }: Server) {
  const feed = createFeed()
  /** Every log that a channel's decisions were made from. */
  const evidence = new Map(CHANNELS.map((channel): [string, Snapshot[]] => [channel, []]))
  const awaited = new Map<string, number>()
  let waiting: [channel: string, payload: Buffer][] = []
  let hears: Heard = 'live'
  let losesNext = false
  /** Nothing came since its link broke: lost without a word, the first message would be a second loss at once (docs/guarantees.md). */
  let isNew = false
  /** It lost one since it was last compared. */
  let hasHole = false
  let compared = Promise.resolve()
  let arrived = ''
  let arrival: (() => void) | undefined

  const hub: Hub<Client> = createHub<Client>(
    { joinTimeoutMs: SETTLE_MS, resumeTimeoutMs: 0, sweepIntervalMs: 3_600_000 },
    {
      feed: { ...feed, start: () => Promise.resolve() } satisfies ChannelFeed,
      log: {
        ...log,
        async read(channel, last) {
          const snapshot = await log.read(channel, last)
          if (last !== 0) evidence.get(channel)?.push(snapshot)
          return snapshot
        },
        async heads(channels) {
          await compared
          return log.heads(channels)
        }
      },
      createAudience: channel => createRoom(evidence.get(channel) ?? []),
      metrics: createMetrics(),
      logger: pino({ level: 'silent' })
    }
  )

  function take(channel: string, payload: Buffer): void {
    if (losesNext && !isNew) {
      losesNext = false
      hasHole = true
      return
    }
    isNew = false
    if (hears === 'live') hub.listener.message(channel, payload)
    else if (hears === 'late') waiting.push([channel, payload])
  }

  await feed.start({
    message(channel, payload) {
      if (channel !== MARKER) take(channel, payload)
      else {
        arrived = bodyOf(decodeMessage(payload)).toString()
        arrival?.()
      }
    },
    restored: channels => hub.listener.restored(channels)
  })
  await feed.follow(MARKER)

  const edge = {
    hub,
    /** How many writes had come to it when it was last seen to be through. */
    settledAt: 0,
    evidence: (channel: string): readonly Snapshot[] => evidence.get(channel) ?? [],
    /** As another program's PUBLISH. */
    take,
    get hears(): Heard {
      return hears
    },
    /** Nothing that was published before has still to come. */
    get isThrough(): boolean {
      return hears === 'live' && !hasHole
    },
    /** One message does not come, and no link says so. */
    loseNext(): void {
      losesNext = true
    },
    goDeaf(): void {
      hears = 'nothing'
      waiting = []
    },
    lag(): void {
      if (hears === 'live') hears = 'late'
    },
    /** What waited comes, in order. After deafness the link says that it may have lost messages (I6). */
    hear(): void {
      const wasDeaf = hears === 'nothing'
      hears = 'live'
      for (const [channel, payload] of waiting.splice(0)) hub.listener.message(channel, payload)
      if (wasDeaf) edge.compare()
    },
    /** Its link broke. What the old one still held came before that, or is lost. */
    reconnect(isLost: boolean): void {
      if (isLost) waiting = []
      edge.hear()
      isNew = true
      edge.compare()
    },
    compare(): void {
      hasHole = false
      hub.listener.restored(CHANNELS)
    },
    /** Redis answers the next comparison only after `released`: messages come before its answer. */
    delayCompare(released: Promise<void>): void {
      compared = released
    },
    /** The channel has somebody there or leaving; only those are waited for. */
    count(channel: string, more: number): void {
      awaited.set(channel, (awaited.get(channel) ?? 0) + more)
    },
    isFree: (channel: string): boolean => !awaited.get(channel),
    /** Resolves when the marker has come, and so all that was published before it, and every channel is live again. */
    async settled(marker: string): Promise<void> {
      const late = setTimeout(() => arrival?.(), SETTLE_MS)
      const until = performance.now() + SETTLE_MS
      while (arrived !== marker) {
        if (performance.now() > until) throw new Error('a message of the bus did not come')
        await new Promise<void>(resolve => (arrival = resolve))
      }
      clearTimeout(late)
      for (const [channel, users] of awaited) {
        if (users === 0) continue
        const visit = await hub.subscribe(placeOf(channel), { visitor: true } as unknown as Client, {}, forever)
        visit.unsubscribe()
      }
    },
    async close(): Promise<void> {
      hub.close()
      await feed.close()
    }
  }
  return edge
}

export const forever = new AbortController().signal

function createRoom(evidence: readonly Snapshot[]): Audience<Client> {
  const members = new Set<Client>()
  return {
    get size() {
      return members.size
    },
    add: member => void members.add(member),
    remove: member => void members.delete(member),
    push(delivery: Delivery) {
      for (const member of members) if (!('visitor' in member)) member.got(delivery, 'live', evidence)
    },
    async replay(member, deliveries, signal) {
      for (const delivery of deliveries) {
        if (member.slow) await nextTurn()
        signal.throwIfAborted()
        member.got(delivery, 'replay', evidence)
      }
    }
  }
}
