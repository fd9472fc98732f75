import type { Redis } from 'ioredis'
import type { Logger } from 'pino'
import { BatonError } from '../errors.ts'
import { keysOf } from './append.ts'
import type { Answer } from './client.ts'
import { holdsElse, type Link } from './link.ts'

// Another program, or a mistake, may have left something else under a key of ours. Redis then refuses whatever is asked of it until
// somebody deletes it, and whoever waits for that must be told which.

export const HOLDS_ELSE = 'the key holds what Baton did not write: delete it'
const INTEGER = /^-?\d{1,16}$/
const EPOCH = /^[A-Za-z0-9]{1,24}$/

/** As `link.ask`. Where Redis refuses, the keys of these channels are looked at, and each is logged once that holds something else. */
export type AskOf = <T>(channels: readonly string[], command: (client: Redis) => Promise<T>) => Promise<T>

export function createAskOf(prefix: string, link: Link, { logger }: { logger: Logger }): AskOf {
  const { log, meta } = keysOf(prefix)
  const told = new Set<string>()

  async function look(channels: readonly string[]): Promise<void> {
    for (const key of await foreignOf(link.client, prefix, [...new Set(channels)])) {
      if (told.has(key)) continue
      told.add(key)
      logger.error({ key }, `${HOLDS_ELSE}: what is for its channel waits`)
    }
  }

  return async (channels, command) => {
    try {
      const answer = await link.ask(command)
      if (told.size > 0)
        for (const channel of channels) for (const key of [log(channel), meta(channel)]) told.delete(key)
      return answer
    } catch (error) {
      if (error instanceof BatonError && holdsElse(error.detail)) await look(channels).catch(() => undefined)
      throw error
    }
  }
}

/** Which of the keys that all channels share hold something else. */
export async function foreignShared(client: Redis, prefix: string): Promise<string[]> {
  const { fence, group, revocations } = keysOf(prefix)
  const answers = await client.pipeline().hgetall(fence).get(group).zrange(revocations, 0, '0').exec()
  const isOffsets = (fields: unknown) => Object.values(fields as object).every(value => INTEGER.test(value))
  return foreign([fence, group, revocations], answers, [isOffsets])
}

/** Which keys of these channels do. */
async function foreignOf(client: Redis, prefix: string, channels: string[]): Promise<string[]> {
  const { log, meta } = keysOf(prefix)
  const pipeline = client.pipeline()
  for (const channel of channels) pipeline.llen(log(channel)).hmget(meta(channel), 'e', 's', 'x')
  const isPosition = (fields: unknown) => {
    const [epoch, ...numbers] = fields as (string | null)[]
    return EPOCH.test(epoch ?? 'none') && numbers.every(number => INTEGER.test(number ?? '0'))
  }
  const keys = channels.flatMap(channel => [log(channel), meta(channel)])
  return foreign(
    keys,
    await pipeline.exec(),
    channels.flatMap(() => [() => true, isPosition])
  )
}

/** @param holds says of an answer whether it is Baton's; absent: it is, but for its type. */
function foreign(keys: string[], answers: Answer[] | null, holds: ((reply: unknown) => boolean)[]): string[] {
  return keys.filter((_, i) => {
    const [error, reply] = answers?.[i] ?? [null, null]
    if (error) return error.message.startsWith('WRONGTYPE')
    return reply !== null && holds[i]?.(reply) === false
  })
}
