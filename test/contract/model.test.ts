import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { Redis } from 'ioredis'
import pino from 'pino'
import { createMemoryLog } from '../../src/memory/log.ts'
import { createRedisLog } from '../../src/redis/log.ts'
import { createRedisFeed } from '../../src/redis/subscriber.ts'
import { startRedis } from '../support/redis.ts'
import { type Faults, type LogUnderTest, runModel } from './model.ts'

const RUNS = Number(process.env['BATON_TEST_MODEL_RUNS'] ?? 20)
const SEED = Number(process.env['BATON_TEST_MODEL_SEED'] ?? 1)
const STEPS = 150

async function runAll(fresh: () => Promise<LogUnderTest>): Promise<Faults> {
  const faults: Faults = { crashes: 0, zombies: 0, deaf: 0, resumes: 0, failovers: 0, wipes: 0, recreated: 0 }
  for (let run = 0; run < RUNS; run++) await runModel(await fresh(), SEED * 100_000 + run, STEPS, faults)
  return faults
}

describe('The randomized model of fence, log, hub and resume', () => {
  test('loses, doubles and reorders nothing in memory', async t => {
    const { failovers, wipes, ...faults } = await runAll(async () => {
      const memory = createMemoryLog()
      t.after(() => memory.log.close())
      await memory.log.start()
      return memory
    })
    t.diagnostic(`${RUNS} runs from seed ${SEED}: ${JSON.stringify(faults)}`)
    for (const [kind, count] of Object.entries(faults)) assert.ok(count > 0, `no ${kind} in these runs`)
    assert.equal(failovers + wipes, 0, 'the log of a process lives as long as the process')
  })

  test('loses, doubles and reorders nothing on a real Redis', async t => {
    const redis = await startRedis()
    t.after(() => redis.stop())
    const admin = new Redis(redis.url)
    t.after(() => admin.disconnect())
    const logger = pino({ level: 'silent' })
    const options = { url: redis.url, prefix: '', readTimeoutMs: 2000 }
    const log = createRedisLog(options, { logger })
    t.after(() => log.close())
    await log.start()
    const under: LogUnderTest = {
      log,
      createFeed: () => createRedisFeed(options, { logger }),
      failover: {
        async remember() {
          await admin.select(1)
          await admin.flushdb()
          await admin.select(0)
          for (const key of await admin.keys('*')) await admin.call('COPY', key, key, 'DB', 1)
        },
        async goBack() {
          await admin.call('SWAPDB', 0, 1)
        }
      },
      wipe: async () => void (await admin.flushall())
    }
    const faults = await runAll(async () => under)
    t.diagnostic(`${RUNS} runs from seed ${SEED}: ${JSON.stringify(faults)}`)
    for (const [kind, count] of Object.entries(faults)) assert.ok(count > 0, `no ${kind} in these runs`)
  })
})
