import { startGateway } from '../gateways.ts'
import type { Loaded } from '../load.ts'
import { interleave, listening } from '../measure.ts'
import type { Measuring } from '../measuring.ts'
import { type Consumed, startConsumer, startSpring } from '../peers.ts'
import { stream } from '../records.ts'
import type { Scenario } from '../world.ts'

const ROOMS = 100
const PARTITIONS = 4
const WARM_UP_S = 2
const SECONDS = 8
const CALM = { perSecond: 200, members: 1 }
const BUSY = { perSecond: 2000, members: 10 }
type Work = typeof BUSY

interface Contender {
  contender: string
  listen(members: number, skip: number, count: number): Promise<{ topic: string; load: Measuring<Loaded | Consumed> }>
}

/** From the call that produces a record to the client that has it. */
export const latencyScenario: Scenario = {
  name: 'latency',
  about:
    'Records at 200/s to 100 clients, and at 2,000/s to 1,000 clients (20,000 deliveries/s): their age on arrival.',
  async run(world) {
    const kafka = await world.kafka()
    await using stack = new AsyncDisposableStack()

    const contenders: Contender[] = []
    for (const start of [startGateway, startSpring]) {
      const topic = await kafka.createTopic(PARTITIONS)
      const server = await start(world, topic)
      if (!server) continue
      stack.use(server)
      contenders.push({
        contender: server.name,
        async listen(members, skip, count) {
          const settings = { rooms: ROOMS, members, skip: skip * members, expect: count * members }
          return { topic, load: await listening(server, settings) }
        }
      })
    }
    contenders.push({
      contender: 'kafkajs',
      async listen(_, skip, count) {
        const topic = await kafka.createTopic(PARTITIONS)
        const load = startConsumer(kafka.brokers, topic, skip, count)
        await load.live()
        return { topic, load }
      }
    })

    async function through({ contender, listen }: Contender, { perSecond, members }: Work) {
      const skip = world.size(perSecond * WARM_UP_S)
      const count = skip + world.size(perSecond * SECONDS)
      const { topic, load } = await listen(members, skip, count)
      await stream(kafka, topic, { count, rooms: ROOMS, perSecond })
      const loaded = await load.result()
      if ('orderFaults' in loaded) world.heard(contender, loaded)
      return loaded
    }

    // What a process does in its first seconds takes it twice as long.
    for (const contender of contenders) await through(contender, BUSY)
    await interleave(world.rounds, [CALM, BUSY], contenders, async (of, work) => {
      const loaded = await through(of, work)
      const name = {
        scenario: 'latency',
        work: `${work.perSecond} records/s × ${work.members}`,
        contender: of.contender
      }
      world.take({ ...name, unit: 'p50 ms' }, loaded.p50Ms)
      world.take({ ...name, unit: 'p99 ms' }, loaded.p99Ms)
    })
  }
}
