import { unique } from '../../support/ids.ts'
import { waitFor } from '../../support/wait.ts'
import { startGateway } from '../gateways.ts'
import { cpuMs, interleave } from '../measure.ts'
import { startConsumer } from '../peers.ts'
import { flood } from '../records.ts'
import { probeRedis } from '../redis.ts'
import type { Scenario, World } from '../world.ts'

const RECORDS = 400_000
const WORKS = [
  { work: '1 channel', channels: 1, partitions: 4 },
  { work: '1 channel, 1 partition', channels: 1, partitions: 1 },
  { work: '10000 channels', channels: 10_000, partitions: 4 }
]
const WARM_UP = 0.25
const DEADLINE_MS = 120_000

/** Kafka to Redis, out of a backlog, in a process that does nothing else. */
export const relayScenario: Scenario = {
  name: 'relay',
  about: 'A backlog of 300-byte records from Kafka into Redis, over 1 and 10,000 channels, and of one hot partition.',
  async run(world) {
    const kafka = await world.kafka()
    const count = world.size(RECORDS)
    const skip = Math.ceil(count * WARM_UP)
    const works: { work: string; topic: string }[] = []
    for (const { work, channels, partitions } of WORKS) {
      const topic = await kafka.createTopic(partitions)
      await flood(kafka, topic, count, channels)
      works.push({ work, topic })
    }
    await interleave(world.rounds, works, ['Baton', 'kafkajs + JSON.parse'], async (contender, { work, topic }) => {
      const name = { scenario: 'relay', work, contender }
      const unit = 'records/CPU-s'
      if (contender === 'Baton') {
        const measured = await relay(world, topic, skip, count)
        world.take({ ...name, unit }, (measured.records * 1000) / measured.cpuMs)
        world.take({ ...name, unit: 'records/s' }, (measured.records * 1000) / measured.ms)
        world.take({ ...name, unit: 'µs of Redis/record' }, (measured.redisMs * 1000) / measured.records)
      } else {
        const { records, cpuMs } = await startConsumer(kafka.brokers, topic, skip, count).result()
        world.take({ ...name, unit }, (records * 1000) / cpuMs)
      }
    })
  }
}

async function relay(world: World, topic: string, skip: number, count: number) {
  await using redis = probeRedis(await world.redisUrl())
  await redis.client.flushall()
  const prefix = unique('bench')
  await using baton = await startGateway(world, topic, { roles: ['relay'], prefix })
  const reach = async (wanted: number) => {
    const covered = async () => {
      const records = await redis.covered(prefix)
      if (records < wanted) return undefined
      return { records, ms: performance.now(), cpuMs: cpuMs(baton.pid), redisMs: await redis.cpuMs() }
    }
    return waitFor(covered, { deadlineMs: DEADLINE_MS, what: `${wanted} records in Redis` })
  }
  const from = await reach(skip)
  const to = await reach(count)
  return {
    records: to.records - from.records,
    ms: to.ms - from.ms,
    cpuMs: to.cpuMs - from.cpuMs,
    redisMs: to.redisMs - from.redisMs
  }
}
