import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { Redis } from 'ioredis'
import type { Append, Appended, Chunk } from '../ports.ts'

/** How long a channel keeps its position after its last message; at least as long as its log. */
const META_TTL_MS = 7 * 24 * 3600 * 1000

const SCRIPT = readFileSync(new URL('append.lua', import.meta.url), 'utf8')
const SHA = createHash('sha1').update(SCRIPT).digest('hex')

/** The names in Redis of one tenant. Other programs may publish plain text to `bus(channel)`. */
export function keysOf(prefix: string) {
  return {
    /** STRING the consumer group that fills this prefix. */
    group: `${prefix}baton:group`,
    /** HASH source → last offset appended, `floor:` and `ceiling:` + source → where its refill began, and what it is up to; never expires. */
    fence: `${prefix}baton:fence`,
    /** LIST of the envelopes published last. */
    log: (channel: string) => `${prefix}baton:log:${channel}`,
    /** HASH `e` epoch, `s` seq, `c` coordinate of the last entry, `x` when the log ends, and source → offset of its last entry here. */
    meta: (channel: string) => `${prefix}baton:meta:${channel}`,
    /** STRING the id that holds a claim; expires. */
    claim: (key: string) => `${prefix}baton:reply:${key}`,
    /** ZSET the principals that were sent away, by when that lapses, milliseconds since 1970; below zero: it was lifted. */
    revocations: `${prefix}baton:revocations`,
    bus: (channel: string) => `${prefix}${channel}`
  }
}

/** Runs `append.lua` on the keys of one tenant. */
export function createAppender(prefix: string): (client: Redis, chunk: Chunk) => Promise<Appended> {
  const keys = keysOf(prefix)

  return async (client, chunk) => {
    const channels = Map.groupBy(chunk.appends, ({ channel }) => channel)
    const appends = [...channels.values()].flat()
    const names = [keys.fence]
    const buses: string[] = []
    const numbers = {
      metaTtl: META_TTL_MS,
      /** No offset is lower. */
      first: chunk.appends[0]?.offset ?? 0,
      /** Of each channel; `lasts` are the offsets of its last append. */
      sizes: [] as number[],
      ttls: [] as number[],
      counts: [] as number[],
      lasts: [] as string[],
      /** Of each append, whether the log gets bytes of its own. Absent: of none. */
      ...(appends.some(({ logged }) => logged) && { logged: appends.map(({ logged }) => logged !== undefined) })
    }
    for (const [channel, those] of channels) {
      const { logSize, logTtlMs, offset } = those.at(-1) as Append
      names.push(keys.log(channel), keys.meta(channel))
      buses.push(keys.bus(channel))
      numbers.sizes.push(logSize)
      numbers.ttls.push(logTtlMs)
      numbers.counts.push(those.length)
      numbers.lasts.push(`${offset}`)
    }
    const offsets = appends.map(({ offset }) => offset)
    const bytes = appends.flatMap(({ published, logged }) => (logged ? [published, logged] : [published]))
    const { source, expect, upTo, again, token } = chunk
    const args = [
      ...names,
      source,
      expect,
      upTo,
      again,
      token,
      JSON.stringify(numbers),
      JSON.stringify(offsets),
      ...buses,
      ...bytes
    ]
    const reply = await client.evalsha(SHA, names.length, ...args).catch((error: Error) => {
      if (!error.message.startsWith('NOSCRIPT')) throw error
      return client.eval(SCRIPT, names.length, ...args)
    })
    const [written, fence, skipped] = reply as [number, string | null, number]
    if (written === 1) return { behind: false, fence: Number(fence), skipped }
    return { behind: true, fence: fence === null ? undefined : Number(fence) }
  }
}
