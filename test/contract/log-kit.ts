import { test } from 'node:test'
import { bodyOf, encodeEntry, type Message } from '../../src/message.ts'
import type { RevocationStore } from '../../src/ports/revocations.ts'
import type { Append, ChannelFeed, ChannelLog, Chunk, Claims, Snapshot } from '../../src/ports.ts'
import { waitFor } from '../support/wait.ts'

export interface LogHarness extends AsyncDisposable {
  log: ChannelLog
  claims: Claims
  revocations: RevocationStore
  /** Another link to the same bus, not started. */
  createFeed(): ChannelFeed
}

export const SOURCE = 'group/topic/0~i1'
export const OTHER_SOURCE = 'group/other/3~i2'

/** What is read where nothing was ever written. */
export const NOTHING: Snapshot = { head: {}, entries: [], fences: new Map(), floors: new Map(), ceilings: new Map() }

/** An append whose published body is `body`. */
export function append(
  channel: string,
  offset: number,
  body: string | Buffer = `body ${offset}`,
  more: AppendMore = {}
): Append {
  const { source = SOURCE, omit = false, ...log } = more
  const headers = `content-length:${Buffer.byteLength(body)}\n`
  const coordinate = { source, offset }
  const entry = { coordinate, timestampMs: 1700000000000 + offset, hidden: false, headers, body: Buffer.from(body) }
  const logged = omit ? { logged: encodeEntry(entry, true) } : {}
  return { channel, offset, published: encodeEntry(entry), ...logged, logSize: 100, logTtlMs: 60_000, ...log }
}

interface AppendMore {
  source?: string
  omit?: boolean
  logSize?: number
  logTtlMs?: number
}

/** A chunk that expects nothing and covers its appends, unless said otherwise. */
export function chunk(appends: Append[], more: Partial<Chunk> = {}): Chunk {
  return { source: SOURCE, expect: -1, upTo: appends.at(-1)?.offset ?? -1, again: -1, token: 'n1', appends, ...more }
}

/** Follows a channel on a feed of its own and keeps what comes. */
export async function listen(feed: ChannelFeed, ...channels: string[]) {
  const payloads: { channel: string; payload: Buffer }[] = []
  const restored: string[] = []
  await feed.start({
    message: (channel, payload) => void payloads.push({ channel, payload }),
    restored: names => restored.push(...names)
  })
  await Promise.all(channels.map(channel => feed.follow(channel)))
  return {
    feed,
    payloads,
    restored,
    received: (count: number) =>
      waitFor(() => (payloads.length >= count ? payloads : undefined), {
        what: () => `${count} payloads; there are ${payloads.length}`
      })
  }
}

/** Bodies as text. */
export const bodies = (messages: Message[]) => messages.map(message => bodyOf(message).toString())
export const seqs = (messages: Message[]) => messages.map(message => message.position?.seq)

/** Each sentence has a harness of its own; feeds are closed whatever comes. */
export function testing(name: string, make: () => Promise<LogHarness>) {
  return (sentence: string, body: (harness: Omit<LogHarness, typeof Symbol.asyncDispose>) => Promise<void>) =>
    test(`${name}: ${sentence}`, async () => {
      await using harness = await make()
      const feeds: ChannelFeed[] = []
      const createFeed = () => {
        const feed = harness.createFeed()
        feeds.push(feed)
        return feed
      }
      try {
        const { log, claims, revocations } = harness
        await body({ log, claims, revocations, createFeed })
      } finally {
        await Promise.all(feeds.map(feed => feed.close()))
      }
    })
}
