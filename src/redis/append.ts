import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { Redis } from 'ioredis'
import type { Appended, Chunk } from '../ports.ts'

/** How long a channel keeps its position after its last message; at least as long as its log. */
const META_TTL_MS = 7 * 24 * 3600 * 1000

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
  const script = readFileSync(new URL('append.lua', import.meta.url), 'utf8')
  const sha = createHash('sha1').update(script).digest('hex')

  return async (client, chunk) => {
    const names = [keys.fence]
    const buses: string[] = []
    /** Of each channel, then of each append. */
    const numbers = {
      metaTtl: META_TTL_MS,
      sizes: [] as number[],
      ttls: [] as number[],
      channels: [] as number[],
      offsets: [] as number[],
      /** Whether the log gets bytes of its own. */
      logged: [] as boolean[]
    }
    const bytes: Buffer[] = []
    const index = new Map<string, number>()
    for (const { channel, offset, published, logged, logSize, logTtlMs } of chunk.appends) {
      let at = index.get(channel)
      if (at === undefined) {
        at = index.size + 1
        index.set(channel, at)
        names.push(keys.log(channel), keys.meta(channel))
        buses.push(keys.bus(channel))
        numbers.sizes.push(logSize)
        numbers.ttls.push(logTtlMs)
      }
      numbers.channels.push(at)
      numbers.offsets.push(offset)
      numbers.logged.push(logged !== undefined)
      bytes.push(published)
      if (logged) bytes.push(logged)
    }
    const { source, expect, upTo, again, token } = chunk
    const args = [...names, source, expect, upTo, again, token, JSON.stringify(numbers), ...buses, ...bytes]
    const reply = await client.evalsha(sha, names.length, ...args).catch((error: Error) => {
      if (!error.message.startsWith('NOSCRIPT')) throw error
      return client.eval(script, names.length, ...args)
    })
    const [written, fence, skipped] = reply as [number, string | null, number]
    if (written === 1) return { behind: false, fence: Number(fence), skipped }
    return { behind: true, fence: fence === null ? undefined : Number(fence) }
  }
}
