import { unique } from '../../support/ids.ts'
import { waitFor } from '../../support/wait.ts'
import { startGateway } from '../gateways.ts'
import { cpuMs } from '../measure.ts'
import { flood } from '../records.ts'
import { probeRedis } from '../redis.ts'
import type { Scenario } from '../world.ts'

const RECORDS = 100_000
const ROOMS = 100
const PARTITIONS = 4
const DEADLINE_MS = 120_000

/** Redis loses everything: how long until it is as it was. */
export const refillScenario: Scenario = {
  name: 'refill',
  about: 'FLUSHALL, and 100,000 records that are appended again; a second of it may be the wait for the next append.',
  async run(world) {
    const kafka = await world.kafka()
    const count = world.size(RECORDS)
    const prefix = unique('bench')
    await using redis = probeRedis(await world.redisUrl())
    const topic = await kafka.createTopic(PARTITIONS)
    await flood(kafka, topic, count, ROOMS)
    await using baton = await startGateway(world, topic, { roles: ['relay'], prefix })
    const all = async () => (await redis.covered(prefix)) >= count
    const filled = () => waitFor(all, { deadlineMs: DEADLINE_MS, what: `${count} records in Redis` })
    await filled()
    for (let round = 0; round < world.rounds; round++) {
      const began = performance.now()
      const from = cpuMs(baton.pid)
      await redis.client.flushall()
      await filled()
      const name = { scenario: 'refill', work: `${count} records`, contender: baton.name }
      world.take({ ...name, unit: 's until filled' }, (performance.now() - began) / 1000)
      world.take({ ...name, unit: 'records/CPU-s' }, (count * 1000) / (cpuMs(baton.pid) - from))
    }
  }
}
