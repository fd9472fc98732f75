import pino from 'pino'
import { createMemoryLog } from '../../src/memory/log.ts'
import { createRedisLog } from '../../src/redis/log.ts'
import { createRedisFeed } from '../../src/redis/subscriber.ts'
import { unique } from '../support/ids.ts'
import { sharedRedis } from '../support/redis.ts'
import { channelFeedContract } from './channel-feed.ts'
import { channelLogContract } from './channel-log.ts'
import { claimsContract } from './claims.ts'
import type { LogHarness } from './log-kit.ts'
import { revocationsContract } from './revocations.ts'

const logger = pino({ level: 'silent' })

async function inMemory(): Promise<LogHarness> {
  const { log, ...more } = createMemoryLog()
  await log.start()
  return { log, ...more, [Symbol.asyncDispose]: () => log.close() }
}

async function inRedis(): Promise<LogHarness> {
  const options = { url: (await sharedRedis()).url, prefix: `${unique('log')}:`, readTimeoutMs: 5000 }
  const log = createRedisLog(options, { logger })
  await log.start()
  const createFeed = () => createRedisFeed(options, { logger })
  const { claims, revocations } = log
  return { log, claims, revocations, createFeed, [Symbol.asyncDispose]: () => log.close() }
}

for (const contract of [channelLogContract, channelFeedContract, claimsContract, revocationsContract]) {
  contract('memory', inMemory)
  contract('redis', inRedis)
}
