import { startGateway } from '../gateways.ts'
import type { Loaded } from '../load.ts'
import { interleave, listening, untilQuiet } from '../measure.ts'
import { startSpring } from '../peers.ts'
import { flood } from '../records.ts'
import type { Server } from '../servers.ts'
import type { Scenario } from '../world.ts'

const RECORDS = 100_000
const ROOMS = 100
const MEMBERS = 10
const PARTITIONS = 4
const WARM_UP = 0.2

interface Contender {
  topic: string
  server: Server
}

/** Kafka to clients, all in one process. */
export const pipelineScenario: Scenario = {
  name: 'pipeline',
  about: 'A flood of 300-byte records from Kafka through Redis to 100 rooms × 10 subscribers.',
  async run(world) {
    const kafka = await world.kafka()
    await using stack = new AsyncDisposableStack()
    const records = world.size(RECORDS)
    const expect = records * MEMBERS
    const settings = { rooms: ROOMS, members: MEMBERS, skip: Math.ceil(expect * WARM_UP), expect }

    async function through({ topic, server }: Contender): Promise<Loaded> {
      const load = await listening(server, settings)
      await flood(kafka, topic, records, ROOMS)
      const loaded = await load.result()
      world.heard(server.name, loaded)
      await untilQuiet(server.pid)
      return loaded
    }

    const contenders: Contender[] = []
    for (const start of [startGateway, startSpring]) {
      const topic = await kafka.createTopic(PARTITIONS)
      const server = await start(world, topic)
      if (!server) continue
      const contender = { topic, server: stack.use(server) }
      contenders.push(contender)
      await through(contender)
    }
    await interleave(world.rounds, ['100 rooms × 10'], contenders, async (contender, work) => {
      const { deliveries, cpuMs } = await through(contender)
      const name = { scenario: 'pipeline', work, contender: contender.server.name, unit: 'records/CPU-s' }
      world.take(name, (deliveries * 1000) / MEMBERS / cpuMs)
    })
  }
}
