import { Redis } from 'ioredis'
import pino from 'pino'
import type { ChannelFeed, ChannelLog } from '../../../src/ports.ts'
import { keysOf } from '../../../src/redis/append.ts'
import { createRedisLog } from '../../../src/redis/log.ts'
import { createRedisFeed } from '../../../src/redis/subscriber.ts'
import { createServer } from '../../support/flows.ts'

/** A log and its bus, with what the server may do besides. */
export interface Server {
  log: ChannelLog
  /** A feed of its own link: each edge has one. */
  createFeed(): ChannelFeed
  /** What a replica had when the primary died. */
  remember(): Promise<void>
  /** Failover: back to what was remembered, once. */
  goBack(): Promise<void>
  wipe(): Promise<void>
  /** The channel's log and position end with their time to live. */
  expire(channel: string): Promise<void>
}

/** The log of a process lives as long as the process; here it fails as a server does, by being written anew. */
export function memoryServer(): Server {
  const { log, createFeed, chunks, goBack } = createServer()
  let remembered = 0
  return {
    log,
    createFeed,
    async remember() {
      remembered = chunks.length
    },
    goBack: () => goBack(remembered),
    wipe: () => goBack(0),
    async expire(channel) {
      for (const chunk of chunks) chunk.appends = chunk.appends.filter(append => append.channel !== channel)
      await goBack(chunks.length)
    }
  }
}

/** A real Redis that is all ours. */
export async function redisServer(url: string) {
  const admin = new Redis(url)
  const logger = pino({ level: 'silent' })
  const options = { url, prefix: '', readTimeoutMs: 2000 }
  const log = createRedisLog(options, { logger })
  await log.start()
  const server: Server = {
    log,
    createFeed: () => createRedisFeed(options, { logger }),
    async remember() {
      const keys = await admin.keys('*')
      const copying = admin.multi().select(1).flushdb().select(0)
      for (const key of keys) copying.call('COPY', key, key, 'DB', 1)
      await copying.exec()
    },
    goBack: async () => void (await admin.swapdb(0, 1)),
    wipe: async () => void (await admin.flushall()),
    async expire(channel) {
      const { log, meta } = keysOf('')
      await admin.del(log(channel), meta(channel))
    }
  }
  const close = async () => {
    admin.disconnect()
    await log.close()
  }
  return { ...server, [Symbol.asyncDispose]: close }
}
