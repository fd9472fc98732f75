import { unique } from '../../support/ids.ts'
import { startGateway } from '../gateways.ts'
import { interleave, listening, untilQuiet } from '../measure.ts'
import { flood } from '../records.ts'
import { probeRedis } from '../redis.ts'
import type { Server } from '../servers.ts'
import type { Scenario } from '../world.ts'

const RECORDS = 100_000
const ROOMS = 100
/** Of a room, on all replicas together. */
const MEMBERS = 12
const REPLICAS = [1, 2, 3]
const PARTITIONS = 6
const WARM_UP = 0.2

/** What every further replica costs for the same work: each gets all messages of all rooms. */
export const replicasScenario: Scenario = {
  name: 'replicas',
  about: 'The work of pipeline with 12 subscribers in a room, dealt to 1, 2 and 3 replicas.',
  async run(world) {
    const kafka = await world.kafka()
    await using redis = probeRedis(await world.redisUrl())
    const records = world.size(RECORDS)

    async function through(servers: Server[], topic: string) {
      const members = MEMBERS / servers.length
      const expect = records * members
      const settings = { rooms: ROOMS, members, skip: Math.ceil(expect * WARM_UP), expect }
      const loads = await Promise.all(servers.map(server => listening(server, settings)))
      const redisFromMs = await redis.cpuMs()
      await flood(kafka, topic, records, ROOMS)
      const loaded = await Promise.all(loads.map(load => load.result()))
      for (const each of loaded) world.heard('Baton', each)
      await Promise.all(servers.map(({ pid }) => untilQuiet(pid)))
      return { loaded, redisMs: (await redis.cpuMs()) - redisFromMs }
    }

    await interleave(world.rounds, REPLICAS, ['Baton'], async (contender, replicas) => {
      const topic = await kafka.createTopic(PARTITIONS)
      const prefix = unique('bench')
      await using stack = new AsyncDisposableStack()
      const servers: Server[] = []
      for (let i = 0; i < replicas; i++) servers.push(stack.use(await startGateway(world, topic, { prefix })))
      await through(servers, topic)
      const { loaded, redisMs } = await through(servers, topic)
      const sum = (of: 'deliveries' | 'cpuMs') => loaded.reduce((total, each) => total + each[of], 0)
      const name = { scenario: 'replicas', work: `${replicas} replicas`, contender }
      world.take({ ...name, unit: 'records/CPU-s' }, (sum('deliveries') * 1000) / MEMBERS / sum('cpuMs'))
      world.take({ ...name, unit: 'µs of Redis/record' }, (redisMs * 1000) / records)
    })
  }
}
