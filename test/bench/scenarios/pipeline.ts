import { startGateway } from '../gateways.ts'
import { startLoad } from '../load.ts'
import { interleave, untilQuiet } from '../measure.ts'
import { flood } from '../records.ts'
import type { Server } from '../servers.ts'
import type { Scenario } from '../world.ts'

const RECORDS = 100_000
const ROOMS = 100
const MEMBERS = 10
const PARTITIONS = 4
const WARM_UP = 0.2

/** Kafka to clients, all in one process. */
export const pipelineScenario: Scenario = {
  name: 'pipeline',
  about: 'A flood of 300-byte records from Kafka through Redis to 100 rooms × 10 subscribers.',
  async run(world) {
    const kafka = await world.kafka()
    await using stack = new AsyncDisposableStack()
    const contenders: { topic: string; server: Server }[] = []
    for (const start of [startGateway]) {
      const topic = await kafka.createTopic(PARTITIONS)
      contenders.push({ topic, server: stack.use(await start(world, topic)) })
    }
    const records = world.size(RECORDS)
    const expect = records * MEMBERS
    const load = { rooms: ROOMS, members: MEMBERS, skip: Math.ceil(expect * WARM_UP), expect }
    await interleave(world.rounds, ['100 rooms × 10'], contenders, async ({ topic, server }, work) => {
      const listening = await startLoad('listen', { ...server.load, pid: server.pid, ...load })
      await listening.live()
      await flood(kafka, topic, records, ROOMS)
      const loaded = await listening.result()
      world.heard(server.name, loaded)
      const unit = 'records/CPU-s'
      const name = { scenario: 'pipeline', work, contender: server.name, unit }
      world.take(name, (loaded.deliveries * 1000) / MEMBERS / loaded.cpuMs)
      await untilQuiet(server.pid)
    })
  }
}
