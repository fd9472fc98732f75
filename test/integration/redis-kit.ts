import assert from 'node:assert/strict'
import { Redis } from 'ioredis'
import pino from 'pino'
import { BatonError, type ErrorCode } from '../../src/errors.ts'
import type { ChannelFeed, ChannelLog } from '../../src/ports.ts'
import type { RedisOptions } from '../../src/redis/client.ts'
import { createRedisLog, type RedisLog } from '../../src/redis/log.ts'
import { createRedisFeed, type RedisFeedOptions } from '../../src/redis/subscriber.ts'
import { type RedisServer, startRedis } from '../support/redis.ts'
import { waitFor } from '../support/wait.ts'

export const silent = pino({ level: 'silent' })

export function optionsFor({ url }: { url: string }, more: Partial<RedisOptions> = {}): RedisOptions {
  return { url, prefix: '', readTimeoutMs: 2000, ...more }
}

/** Ends with the test, last made first. */
export class Ends implements AsyncDisposable {
  #stack = new AsyncDisposableStack()

  async redis(...args: Parameters<typeof startRedis>): Promise<RedisServer> {
    return this.#stack.use(await startRedis(...args))
  }

  admin(server: { url: string }): Redis {
    return this.#stack.adopt(new Redis(server.url), client => client.disconnect())
  }

  log(options: RedisOptions, logger = silent): RedisLog {
    return this.#stack.adopt(createRedisLog(options, { logger }), log => log.close())
  }

  async started(options: RedisOptions): Promise<RedisLog> {
    const log = this.log(options)
    await log.start()
    return log
  }

  feed(options: RedisFeedOptions): ChannelFeed {
    return this.#stack.adopt(createRedisFeed(options, { logger: silent }), feed => feed.close())
  }

  defer(end: () => unknown): void {
    this.#stack.defer(async () => void (await end()))
  }

  [Symbol.asyncDispose]() {
    return this.#stack.disposeAsync()
  }
}

/** An error check: the code, and a detail like this. */
const refusal =
  (code: ErrorCode) =>
  (what: RegExp) =>
  (error: unknown): boolean => {
    assert.ok(error instanceof BatonError, String(error))
    assert.equal(error.code, code)
    assert.match(error.detail, what)
    return true
  }

export const unavailable = refusal('REDIS_UNAVAILABLE')
export const unfit = refusal('MISCONFIGURED')

export const isReady = (log: ChannelLog) => waitFor(() => log.ready, { what: 'the log to be ready' })
export const isAway = (log: ChannelLog) => waitFor(() => !log.ready, { what: 'the log to notice' })
