import assert from 'node:assert/strict'
import { setTimeout as delay } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { keysOf } from '../../../src/redis/append.ts'
import type { RedisServer } from '../../support/redis.ts'
import { waitFor } from '../../support/wait.ts'
import type { Scenario } from '../scenario.ts'
import type { Stage } from '../stage.ts'

// Sentinel makes another Redis the primary.

const ALL =
  'Every client has every record, once and in order, and is told of no gap: what the new primary lacks is consumed again.'

export const sentinelScenarios: Scenario[] = [
  {
    name: 'failover',
    about: 'Sentinel is told to fail over while the old primary lives and writes are in flight to it.',
    expects: ALL,
    stage: { redis: 'pair' },
    async run(stage) {
      await stage.pair.failover()
      await promoted(stage)
    }
  },
  {
    name: 'failover-lagging',
    about: 'The replica lags behind (its link to the primary is frozen), then the primary is killed and it takes over.',
    expects: ALL,
    stage: { redis: 'pair' },
    async run(stage) {
      await lag(stage)
      await stage.pair.primary.kill()
      for (const link of stage.links) link.cut()
      await promoted(stage)
    }
  },
  {
    name: 'failover-asleep',
    about:
      'The primary sleeps (SIGSTOP), the replica, which lags behind, takes over, and the old primary wakes with writes still in flight to it.',
    expects: ALL,
    stage: { redis: 'pair' },
    async run(stage) {
      await lag(stage)
      await stage.pair.primary.pause()
      for (const link of stage.links) link.cut()
      await promoted(stage)
      await delay(stage.random.between(0, 2000))
      await stage.pair.primary.resume()
    }
  }
]

/** From now on the replica gets nothing of what is written; resolves once it lacks something. */
async function lag({ links, pair, goesOn, random }: Stage): Promise<void> {
  for (const link of links) link.freeze()
  await goesOn(random.between(100, 500))
  const [held, behind] = await Promise.all([pair.primary, pair.replica].map(fences))
  assert.notDeepEqual(behind, held, 'the replica lacks nothing')
}

async function fences({ url }: RedisServer): Promise<Record<string, string>> {
  const client = new Redis(url)
  try {
    return await client.hgetall(keysOf('').fence)
  } finally {
    client.disconnect()
  }
}

async function promoted({ pair }: Stage): Promise<void> {
  const over = async () => (await pair.primaryPort()) === pair.replica.port
  await waitFor(over, { deadlineMs: 30_000, what: 'Sentinel to promote the replica' })
}
