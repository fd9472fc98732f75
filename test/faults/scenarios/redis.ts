import assert from 'node:assert/strict'
import { setTimeout as delay } from 'node:timers/promises'
import { waitFor } from '../../support/wait.ts'
import type { Scenario } from '../scenario.ts'
import type { Stage } from '../stage.ts'

// The one Redis restarts, forgets, stops answering, or refuses.

const ALL = 'Every client has every record, once and in order, and is told of no gap.'
const REFILLED = `${ALL} The relay finds out and consumes again what Redis lost.`

export const redisScenarios: Scenario[] = [
  {
    name: 'redis-restart-kept',
    about: 'Redis is killed and started again with its append-only file.',
    expects: ALL,
    stage: { redis: 'kept' },
    async run({ redis }) {
      await redis.kill()
      await redis.restart()
    }
  },
  {
    name: 'redis-restart-empty',
    about: 'Redis is killed and started again without persistence.',
    expects: REFILLED,
    async run(stage) {
      await stage.redis.kill()
      await stage.redis.restart()
      await rewound(stage)
    }
  },
  {
    name: 'flushall',
    about: 'FLUSHALL empties Redis while records flow, more than once.',
    expects: REFILLED,
    async run(stage) {
      const rounds = stage.pick(5, 2)
      for (let round = 0; round < rounds; round++) {
        await stage.admin.flushall()
        stage.mark()
        await stage.goesOn(stage.random.between(50, 300))
      }
      await rewound(stage)
    }
  },
  {
    name: 'script-flush',
    about: 'SCRIPT FLUSH makes Redis forget its scripts, again and again.',
    expects: ALL,
    async run(stage) {
      for (let round = 0; round < 10; round++) {
        await stage.admin.script('FLUSH', 'SYNC')
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
    async run({ redis, pick }) {
      await redis.kill()
      await delay(pick(30_000, 5000))
      await redis.restart()
    }
  },
  {
    name: 'redis-hangs',
    about: 'Redis answers nothing for 30 seconds (short: 5) while its connections stay open (SIGSTOP).',
    expects: ALL,
    async run({ redis, pick }) {
      await redis.pause()
      await delay(pick(30_000, 5000))
      await redis.resume()
    }
  },
  {
    name: 'output-buffer-overrun',
    about: 'Bursts overrun client-output-buffer-limit of pubsub, and Redis cuts the edges off.',
    expects: ALL,
    async run(stage) {
      await stage.admin.config('SET', 'client-output-buffer-limit', 'pubsub 16384 0 0')
      for (let round = 0; round < stage.pick(10, 3); round++) {
        stage.production.burst(500, { textBytes: 500 })
        await stage.goesOn(500)
      }
      const cut = /client_output_buffer_limit_disconnections:(\d+)/.exec(await stage.admin.info('stats'))?.[1]
      assert.notEqual(cut, '0')
      await stage.admin.config('SET', 'client-output-buffer-limit', 'pubsub 33554432 8388608 60')
    }
  },
  {
    name: 'maxmemory',
    about: 'Redis reaches maxmemory (noeviction) and refuses every write, until it is given more.',
    expects: ALL,
    async run({ admin, pick }) {
      const used = Number(/^used_memory:(\d+)/m.exec(await admin.info('memory'))?.[1])
      await admin.config('SET', 'maxmemory', used + 50_000)
      const refused = async () => /errorstat_OOM/.test(await admin.info('errorstats'))
      await waitFor(refused, { deadlineMs: 20_000, what: 'Redis to refuse a write' })
      await delay(pick(10_000, 2000))
      await admin.config('SET', 'maxmemory', 0)
    }
  }
]

/** A relay went back: Redis was found to have lost what it had acknowledged. */
async function rewound({ metric }: Stage): Promise<void> {
  await waitFor(() => metric('baton_relay_rewinds_total'), { deadlineMs: 20_000, what: 'a relay to go back' })
}
