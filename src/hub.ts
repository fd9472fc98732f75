import { setTimeout as delay } from 'node:timers/promises'
import type { Logger } from 'pino'
import { type Channel, createChannel } from './channel.ts'
import { BatonError } from './errors.ts'
import { type Gap, topicOf } from './message.ts'
import type { Metrics } from './metrics.ts'
import type { ChannelFeed, ChannelLog, CreateAudience, FeedListener, Snapshot } from './ports.ts'
import { unfilled } from './proof.ts'
import { REFILL_POLL_MS } from './refill.ts'
import { replayInto, type Start } from './replay.ts'
import type { Place } from './routes.ts'

export interface Subscribed {
  /** True when every message after `start.after` was or will be delivered. False for a plain subscription, and where it cannot be proved: then `gap` is set. */
  resumed: boolean
  gap?: Gap
  /** Resume from here to miss nothing from now on. */
  lastMessageId: string
  /** Idempotent; no delivery happens after it returns. */
  unsubscribe(): void
}

/** The local end of the bus: one bus subscription and one state machine per channel, however many members. */
export interface Hub<Member> {
  /**
   * Resolves when the subscription is live: what was to be replayed is handed to the audience, and every later message will be.
   * The first delivery may come before it resolves.
   * @param signal aborted when the client is gone: lets go of the hold, rejects with its reason.
   * @throws BatonError INVALID_RESUME, REDIS_UNAVAILABLE (not within `joinTimeoutMs`).
   */
  subscribe(place: Place, member: Member, start: Start, signal: AbortSignal): Promise<Subscribed>
  /** What the bus is to call. */
  listener: FeedListener
  close(): void
}

export interface HubOptions {
  /** How long a SUBSCRIBE may wait for Redis before it is refused. Milliseconds. */
  joinTimeoutMs: number
  /** How long a resume may wait for Redis to be refilled up to what was seen, before it is refused. Milliseconds. */
  resumeTimeoutMs: number
  /** Every followed channel is compared with Redis this often, whatever the links say. Milliseconds. */
  sweepIntervalMs: number
}

export interface HubDeps<Member> {
  log: ChannelLog
  feed: ChannelFeed
  createAudience: CreateAudience<Member>
  metrics: Metrics
  logger: Logger
}

/** Heals and joins that read at one time: a slow edge that Redis cut off must not read everything again at once. */
const READS_IN_FLIGHT = 32
/** Positions compared in one round trip. */
const COMPARE_BATCH = 500
const COMPARE_RETRY_MS = 250

export function createHub<Member>(options: HubOptions, deps: HubDeps<Member>): Hub<Member> {
  const { log, feed, metrics, logger } = deps
  const channels = new Map<string, { channel: Channel<Member>; users: number }>()
  const read = bounded(READS_IN_FLIGHT, (channel: string, last?: number) => log.read(channel, last))
  const channelDeps = { feed, metrics, logger, read, readToJoin }
  /** Sources that had a fence when a channel was joined. */
  const seen = new Set<string>()
  const sweep = setInterval(() => void compare([...channels.keys()]), options.sweepIntervalMs)
  sweep.unref()
  let closed = false

  function enter(place: Place): Channel<Member> {
    let entry = channels.get(place.channel)
    if (!entry) {
      const channel = createChannel(place, deps.createAudience(place.destination, place.route.slow), channelDeps)
      entry = { channel, users: 0 }
      channels.set(place.channel, entry)
      metrics.channels.set(channels.size)
    }
    entry.users++
    return entry.channel
  }

  /** A source whose fence is not there was wiped: until its refill begins (I9) a newcomer would take that for news (I6). */
  async function readToJoin({ channel, topics }: Place): Promise<Snapshot> {
    for (const until = Date.now() + options.resumeTimeoutMs; ; ) {
      const snapshot = await read(channel, 0)
      const isUnfilled = unfilled(snapshot)
      const isDue = [...seen].some(source => topics.has(topicOf(source)) && isUnfilled(source))
      if (isDue && Date.now() < until) await delay(REFILL_POLL_MS)
      else {
        if (isDue) seen.clear()
        for (const source of snapshot.fences.keys()) seen.add(source)
        return snapshot
      }
    }
  }

  function leave(channel: Channel<Member>): void {
    const entry = channels.get(channel.name)
    if (!entry || --entry.users > 0) return
    channels.delete(channel.name)
    metrics.channels.set(channels.size)
    channel.close()
  }

  /**
   * Compare first, read only what differs (I6). Redis being away is waited out: a link event must not be forgotten. A wiped one that
   * is not being filled again yet is waited for as long as a resume waits for it.
   */
  async function compare(names: string[], until = Date.now() + options.resumeTimeoutMs): Promise<void> {
    const later: string[] = []
    for (let from = 0; from < names.length && !closed; ) {
      const batch = names.slice(from, from + COMPARE_BATCH)
      try {
        const { heads, ...coverage } = await log.heads(batch)
        for (const [i, head] of heads.entries()) {
          const { channel } = channels.get(batch[i] as string) ?? {}
          if (channel?.awaitsRefill(coverage) && Date.now() < until) later.push(channel.name)
          else channel?.check(head, coverage)
        }
        from += COMPARE_BATCH
      } catch {
        await delay(COMPARE_RETRY_MS)
      }
    }
    if (later.length === 0) return
    await delay(REFILL_POLL_MS)
    await compare(later, until)
  }

  return {
    listener: {
      message(name, payload) {
        channels.get(name)?.channel.take(payload)
      },
      restored(names) {
        for (const name of names) channels.get(name)?.channel.doubt()
        void compare(names)
      }
    },

    async subscribe(place, member, start, signal) {
      signal.throwIfAborted()
      const channel = enter(place)
      let live = true
      const unsubscribe = () => {
        if (!live) return
        live = false
        channel.audience.remove(member)
        leave(channel)
      }
      try {
        await within(channel.settled(), options.joinTimeoutMs, signal)
        const replayed = await replayInto(channel, member, start, { ...options, read, signal, metrics })
        return { ...replayed, lastMessageId: channel.lastMessageId(), unsubscribe }
      } catch (error) {
        unsubscribe()
        throw error
      }
    },

    close() {
      closed = true
      clearInterval(sweep)
      for (const { channel } of channels.values()) channel.close()
      channels.clear()
    }
  }
}

/** At most `limit` calls at one time; the others wait in order. */
function bounded<A extends unknown[], R>(limit: number, call: (...args: A) => Promise<R>): (...args: A) => Promise<R> {
  const waiting: (() => void)[] = []
  let running = 0
  return async (...args) => {
    if (running >= limit) await new Promise<void>(resolve => waiting.push(resolve))
    else running++
    try {
      return await call(...args)
    } finally {
      const next = waiting.shift()
      if (next) next()
      else running--
    }
  }
}

/** Rejects with the signal's reason, or with REDIS_UNAVAILABLE when the time is over. */
async function within(work: Promise<void>, ms: number, signal: AbortSignal): Promise<void> {
  const { promise: over, reject } = Promise.withResolvers<never>()
  const refuse = () => reject(signal.reason)
  const timer = setTimeout(() => {
    reject(new BatonError('REDIS_UNAVAILABLE', `the channel could not be followed within ${ms} ms; subscribe again`))
  }, ms)
  signal.addEventListener('abort', refuse)
  try {
    await Promise.race([work, over])
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', refuse)
  }
}
