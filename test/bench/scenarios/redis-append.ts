import pino from 'pino'
import { encodeEntry } from '../../../src/message.ts'
import type { Append } from '../../../src/ports.ts'
import { createRedisLog } from '../../../src/redis/log.ts'
import { unique } from '../../support/ids.ts'
import { interleave } from '../measure.ts'
import { bodyOf } from '../records.ts'
import { probeRedis } from '../redis.ts'
import type { Scenario } from '../world.ts'

const CHUNKS = 1000
const WARM_UP_CHUNKS = 50
const RECORDS = 100
const CHANNELS = [1, 20, 100]
const LOG = { logSize: 1000, logTtlMs: 3_600_000 }

/** What Redis pays for the promise against loss, beside the same messages without it. */
export const redisAppendScenario: Scenario = {
  name: 'redis-append',
  about:
    'Chunks of 100 records over 1, 20 and 100 channels in Redis: the append script, and bare PUBLISH, RPUSH, LTRIM.',
  async run(world) {
    const url = await world.redisUrl()
    await using redis = probeRedis(url)
    await using stack = new AsyncDisposableStack()
    const chunks = world.size(CHUNKS)

    async function startScript() {
      const prefix = unique('bench')
      const source = `bench/${prefix}/0~i1`
      const log = createRedisLog({ url, prefix, readTimeoutMs: 5000 }, { logger: pino({ level: 'silent' }) })
      stack.defer(() => log.close())
      await log.start()
      let next = 0
      return async (channels: number) => {
        const appends = Array.from({ length: RECORDS }, (_, i): Append => {
          const coordinate = { source, offset: next++ }
          const body = Buffer.from(bodyOf(i % channels, next))
          const entry = { coordinate, timestampMs: Date.now(), hidden: false, headers: '', body }
          return { channel: `room:r${i % channels}`, offset: coordinate.offset, published: encodeEntry(entry), ...LOG }
        })
        await log.append({ source, expect: -1, upTo: next - 1, again: -1, token: 'n1', appends })
      }
    }

    async function bare(channels: number) {
      const multi = redis.client.multi()
      for (let i = 0; i < RECORDS; i++) {
        const channel = `bare:r${i % channels}`
        const body = bodyOf(i % channels, i)
        multi.publish(channel, body).rpush(channel, body)
      }
      for (let i = 0; i < channels; i++) multi.ltrim(`bare:r${i}`, -LOG.logSize, -1)
      await multi.exec()
    }

    const contenders = [
      { contender: 'append.lua', append: await startScript() },
      { contender: 'PUBLISH + RPUSH', append: bare }
    ]
    await interleave(world.rounds, CHANNELS, contenders, async ({ contender, append }, channels) => {
      for (let i = 0; i < WARM_UP_CHUNKS; i++) await append(channels)
      const from = await redis.cpuMs()
      for (let i = 0; i < chunks; i++) await append(channels)
      const us = ((await redis.cpuMs()) - from) * 1000
      const work = `100 records over ${channels} channels`
      world.take({ scenario: 'redis-append', work, contender, unit: 'µs of Redis/record' }, us / (chunks * RECORDS))
    })
  }
}
