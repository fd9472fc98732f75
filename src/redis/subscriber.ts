import { setTimeout as delay } from 'node:timers/promises'
import type { Logger } from 'pino'
import type { ChannelFeed, FeedListener } from '../ports.ts'
import { keysOf } from './append.ts'
import { faultsOfFeed } from './check.ts'
import { type RedisOptions, reasonOf } from './client.ts'
import { createLink } from './link.ts'

// One connection for all channels of this process. A channel counts as followed only once the bus has confirmed it; after
// the link was lost all are subscribed again, a batch at a time, and each batch is told to the listener when confirmed.
// The connection keeps the order of SUBSCRIBE and UNSUBSCRIBE; an entry of the table is one generation of a channel, so
// a confirmation that comes late cannot vouch for a later generation.

/** One SUBSCRIBE of very many channels never comes back. */
const BATCH = 500
const RETRY_MS = 1000

export interface RedisFeedOptions extends RedisOptions {
  /** The bus is told this long after the last follower left, in case another comes. Milliseconds, default 5000. */
  lingerMs?: number
  /** A link that does not answer for this long and `readTimeoutMs` is made again. Milliseconds, default 3000. */
  pingIntervalMs?: number
}

interface Followed {
  channel: string
  confirmed: PromiseWithResolvers<void>
  state: 'new' | 'live' | 'lost'
  /** When it is to be let go of, while nobody wants it. */
  leavesAtMs: number
}

/** The bus of Redis. */
export function createRedisFeed(options: RedisFeedOptions, deps: { logger: Logger }): ChannelFeed {
  const { lingerMs = 5000, pingIntervalMs = 3000, prefix } = options
  const { bus } = keysOf(prefix)
  /** By name on the bus, as messages come with it. */
  const table = new Map<string, Followed>()
  const unconfirmed = new Set<Followed>()
  const leaving = new Set<Followed>()
  let listener: FeedListener | undefined
  let subscribing = false
  let caughtUp = false
  let ping: NodeJS.Timeout | undefined
  let sweep: NodeJS.Timeout | undefined

  const link = createLink(options, {
    ...deps,
    name: 'feed',
    faults: client => faultsOfFeed(client, prefix),
    wentUp() {
      ping = setInterval(() => void link.ask(client => client.ping()).catch(ignored), pingIntervalMs)
      void subscribe()
    },
    wentDown() {
      clearInterval(ping)
      caughtUp = false
      for (const followed of leaving) drop(followed)
      for (const followed of table.values()) {
        unconfirmed.add(followed)
        if (followed.state !== 'live') continue
        followed.state = 'lost'
        followed.confirmed = Promise.withResolvers()
      }
    }
  })

  link.client.on('messageBuffer', (name: Buffer, payload: Buffer) => {
    const followed = table.get(name.toString())
    // What comes before the confirmation is in the log by the time that is compared.
    if (followed?.state !== 'live' || leaving.has(followed)) return
    listener?.message(followed.channel, payload)
  })

  /** Subscribes what is not confirmed, batch after batch; another link goes on where this one ended. */
  async function subscribe(): Promise<void> {
    if (subscribing) return
    subscribing = true
    // What is followed in one tick shares a batch.
    await undefined
    while (link.up && unconfirmed.size > 0) {
      const batch = [...unconfirmed.values().take(BATCH)]
      for (const followed of batch) unconfirmed.delete(followed)
      try {
        await link.ask(client => client.subscribe(...batch.map(({ channel }) => bus(channel))))
        confirm(batch)
      } catch (error) {
        for (const followed of batch) if (table.get(bus(followed.channel)) === followed) unconfirmed.add(followed)
        if (!link.up) break
        deps.logger.error({ reason: reasonOf(error) }, 'Redis refuses to subscribe: trying again')
        await delay(RETRY_MS)
      }
    }
    subscribing = false
    caughtUp = link.up
  }

  function confirm(batch: Followed[]): void {
    const restored: string[] = []
    for (const followed of batch) {
      if (table.get(bus(followed.channel)) !== followed) continue
      if (followed.state === 'lost') restored.push(followed.channel)
      followed.state = 'live'
      followed.confirmed.resolve()
    }
    if (restored.length > 0) listener?.restored(restored)
  }

  function drop(followed: Followed): void {
    table.delete(bus(followed.channel))
    unconfirmed.delete(followed)
    leaving.delete(followed)
  }

  /** Tells the bus of all whose time is over. */
  function leave(): void {
    sweep = undefined
    const due: string[] = []
    for (const followed of leaving) {
      const waitMs = followed.leavesAtMs - performance.now()
      if (waitMs > 0) {
        sweep = setTimeout(leave, waitMs)
        break
      }
      drop(followed)
      due.push(bus(followed.channel))
    }
    for (let from = 0; from < due.length; from += BATCH) {
      void link.ask(client => client.unsubscribe(...due.slice(from, from + BATCH))).catch(ignored)
    }
  }

  return {
    get ready() {
      return link.up && caughtUp
    },

    async start(to) {
      listener = to
      await link.start()
    },

    follow(channel) {
      let followed = table.get(bus(channel))
      if (!followed) {
        followed = { channel, confirmed: Promise.withResolvers(), state: 'new', leavesAtMs: 0 }
        table.set(bus(channel), followed)
        unconfirmed.add(followed)
        void subscribe()
      }
      leaving.delete(followed)
      return followed.confirmed.promise
    },

    unfollow(channel) {
      const followed = table.get(bus(channel))
      if (!followed) return
      if (!link.up) return drop(followed)
      followed.leavesAtMs = performance.now() + lingerMs
      leaving.add(followed)
      sweep ??= setTimeout(leave, lingerMs)
    },

    async close() {
      clearTimeout(sweep)
      await link.close()
    }
  }
}

/** The link itself knows of a failure and acts on it. */
function ignored(): void {}
