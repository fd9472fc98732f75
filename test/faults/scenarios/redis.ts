import assert from 'node:assert/strict'
import { setTimeout as delay } from 'node:timers/promises'
import { waitFor } from '../../support/wait.ts'
import { raisesInRedis, rewinds } from '../effects.ts'
import type { Scenario } from '../scenario.ts'
import { PARTITIONS } from '../settings.ts'

// The one Redis restarts, forgets, stops answering, or refuses.

const ALL = 'Every client has every record, once and in order, and is told of no gap.'
const REFILLED = `${ALL} The relay finds out and consumes again what Redis lost.`

const AWAY = 10
const REFILLED_RECORDS = 20

export const redisScenarios: Scenario[] = [
  {
    name: 'redis-restart-kept',
    about: 'Redis is killed and started again with its append-only file.',
    expects: `${ALL} Nothing is consumed again, for nothing was lost.`,
    stage: { redis: 'kept' },
    async run(stage) {
      const before = await stage.metric('baton_relay_rewinds_total')
      await stage.redis.kill()
      await stage.falters()
      await stage.redis.restart()
      await stage.goesOn()
      assert.equal(await stage.metric('baton_relay_rewinds_total'), before)
    }
  },
  {
    name: 'redis-restart-empty',
    about: 'Redis is killed and started again without persistence.',
    expects: REFILLED,
    run: stage =>
      rewinds(stage, async () => {
        await stage.redis.kill()
        await stage.redis.restart()
      })
  },
  {
    name: 'flushall',
    about: 'FLUSHALL empties Redis while records flow, more than once.',
    expects: REFILLED,
    async run(stage) {
      const rounds = stage.pick(5, 2)
      for (let round = 0; round < rounds; round++) {
        await rewinds(stage, async () => {
          await stage.admin.flushall()
          stage.mark()
          await stage.goesOn(stage.random.between(50, 300))
        })
      }
    }
  },
  {
    name: 'script-flush',
    about: 'SCRIPT FLUSH makes Redis forget its scripts, again and again.',
    expects: ALL,
    async run(stage) {
      for (let round = 0; round < 10; round++) {
        await raisesInRedis(stage, 'errorstats', 'errorstat_NOSCRIPT', () => stage.admin.script('FLUSH', 'SYNC'))
        await stage.goesOn(30)
      }
    }
  },
  {
    name: 'pubsub-killed',
    about: 'CLIENT KILL TYPE pubsub cuts every subscriber, again and again.',
    expects: ALL,
    async run(stage) {
      for (let round = 0; round < stage.pick(20, 5); round++) {
        const killed = () => stage.admin.call('CLIENT', 'KILL', 'TYPE', 'pubsub')
        await waitFor(killed, { what: 'subscribers to be cut' })
        stage.mark()
        await stage.goesOn(stage.random.between(1, 100))
      }
    }
  },
  {
    name: 'redis-away',
    about: 'Redis is killed and away for 30 seconds (short: 5), then back with its append-only file.',
    expects: ALL,
    stage: { redis: 'kept' },
    async run({ redis, pick, falters }) {
      await redis.kill()
      await falters()
      await delay(pick(30_000, 5000))
      await redis.restart()
    }
  },
  {
    name: 'redis-hangs',
    about: 'Redis answers nothing for 20 seconds (short: 5) while its connections stay open (SIGSTOP).',
    expects: ALL,
    async run({ redis, pick, falters }) {
      await redis.pause()
      await falters()
      await delay(pick(20_000, 5000))
      await redis.resume()
    }
  },
  {
    name: 'output-buffer-overrun',
    about: 'Bursts overrun client-output-buffer-limit of pubsub, and Redis cuts the edges off.',
    expects: ALL,
    async run(stage) {
      // A chunk of long records of one partition is published at once; of those that flow steadily, six make less than that.
      await stage.admin.config('SET', 'client-output-buffer-limit', 'pubsub 250000 0 0')
      await raisesInRedis(stage, 'stats', 'total_connections_received', async () => {
        for (let round = 0; round < stage.pick(10, 3); round++) {
          stage.production.burst(200, { textBytes: 10_000, room: stage.ledger.rooms[0] as string })
          await stage.goesOn(300)
        }
      })
      await stage.admin.config('SET', 'client-output-buffer-limit', 'pubsub 33554432 8388608 60')
    }
  },
  {
    name: 'maxmemory',
    about: 'Redis reaches maxmemory (noeviction) and refuses every write, until it is given more.',
    expects: ALL,
    async run(stage) {
      const { admin, pick, falters } = stage
      const used = Number(/^used_memory:(\d+)/m.exec(await admin.info('memory'))?.[1])
      const tighten = () => admin.config('SET', 'maxmemory', used + 50_000)
      await raisesInRedis(stage, 'errorstats', 'errorstat_OOM', tighten)
      await falters()
      await delay(pick(10_000, 2000))
      await admin.config('SET', 'maxmemory', 0)
    }
  },
  {
    name: 'refill-beyond-bounds',
    about: `FLUSHALL empties Redis while ${AWAY} clients are away, after more records than kafka.refill.maxRecords (${REFILLED_RECORDS}) brings back.`,
    expects:
      'Those who were away are told of a gap where records are missing, and get all others, once and in order; those who stayed have all and are told of none.',
    mayBeTold: client => client >= 0 && client < AWAY,
    misses: true,
    stage: { config: { kafka: { refill: { maxRecords: REFILLED_RECORDS } } } },
    run: stage =>
      stage.without(stage.clients.slice(0, AWAY), () =>
        rewinds(stage, async () => {
          await stage.goesOn(PARTITIONS * REFILLED_RECORDS * 4)
          await stage.admin.flushall()
          await stage.goesOn()
        })
      )
  }
]
