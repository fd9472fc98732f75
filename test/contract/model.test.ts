import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { startRedis } from '../support/redis.ts'
import { createTally, runModel } from './model/run.ts'
import { memoryServer, redisServer, type Server } from './model/servers.ts'

/** Thousands are possible: `BATON_TEST_MODEL_RUNS=5000`. `BATON_TEST_MODEL_SEED` is the first run's; each later one has the next. */
const RUNS = Number(process.env['BATON_TEST_MODEL_RUNS'] ?? 50)
const SEED = Number(process.env['BATON_TEST_MODEL_SEED'] ?? 1)
/** So few may lack a kind. */
const RUNS_FOR_ALL_KINDS = 50

async function runAll(t: TestContext, createServer: () => Server): Promise<void> {
  const tally = createTally()
  const startedMs = performance.now()
  for (let run = 0; run < RUNS; run++) await runModel(createServer(), SEED + run, tally)
  const seconds = Math.round((performance.now() - startedMs) / 1000)
  t.diagnostic(`${RUNS} runs from seed ${SEED} in ${seconds} s: ${JSON.stringify(tally)}`)
  if (RUNS < RUNS_FOR_ALL_KINDS) return
  for (const [kind, count] of Object.entries({ ...tally.happened, ...tally.told })) assert.ok(count > 0, `no ${kind}`)
}

describe('Nothing is lost in silence, doubled or reordered, and no gap is told where the log shows that nothing was missed,', () => {
  test('in memory', t => runAll(t, memoryServer))

  test('on a real Redis', async t => {
    const redis = await startRedis()
    t.after(() => redis.stop())
    await using server = await redisServer(redis.url)
    await runAll(t, () => server)
  })
})
