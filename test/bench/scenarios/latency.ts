import { startGateway } from '../gateways.ts'
import { interleave, listening } from '../measure.ts'
import { startConsumer, startSpring } from '../peers.ts'
import { stream } from '../records.ts'
import type { Scenario } from '../world.ts'

const ROOMS = 100
const PARTITIONS = 4
const WARM_UP_S = 2
const SECONDS = 8
const WORKS = [
  { perSecond: 200, members: 1 },
  { perSecond: 2000, members: 10 }
]

/** From the call that produces a record to the client that has it. */
export const latencyScenario: Scenario = {
  name: 'latency',
  about:
    'Records at 200/s to 100 clients, and at 2,000/s to 1,000 clients (20,000 deliveries/s): their age on arrival.',
  async run(world) {
    const kafka = await world.kafka()
    await using stack = new AsyncDisposableStack()

    const contenders = []
    for (const start of [startGateway, startSpring]) {
      const topic = await kafka.createTopic(PARTITIONS)
      const server = await start(world, topic)
      if (!server) continue
      stack.use(server)
      contenders.push({
        contender: server.name,
        async listen(members: number, skip: number, count: number) {
          const settings = { rooms: ROOMS, members, skip: skip * members, expect: count * members }
          return { topic, load: await listening(server, settings) }
        }
      })
    }
    contenders.push({
      contender: 'kafkajs',
      async listen(_: number, skip: number, count: number) {
        const topic = await kafka.createTopic(PARTITIONS)
        const load = startConsumer(kafka.brokers, topic, skip, count)
        await load.live()
        return { topic, load }
      }
    })

    await interleave(world.rounds, WORKS, contenders, async ({ contender, listen }, { perSecond, members }) => {
      const skip = world.size(perSecond * WARM_UP_S)
      const count = skip + world.size(perSecond * SECONDS)
      const { topic, load } = await listen(members, skip, count)
      await stream(kafka, topic, { count, rooms: ROOMS, perSecond })
      const loaded = await load.result()
      if ('orderFaults' in loaded) world.heard(contender, loaded)
      const name = { scenario: 'latency', work: `${perSecond} records/s × ${members}`, contender }
      world.take({ ...name, unit: 'p50 ms' }, loaded.p50Ms)
      world.take({ ...name, unit: 'p99 ms' }, loaded.p99Ms)
    })
  }
}
