import { startCeiling, startEdge } from '../edges.ts'
import { driven, interleave } from '../measure.ts'
import type { Scenario } from '../world.ts'
import { DELIVERIES } from './fan-out.ts'

const SHAPE = { rooms: 1, members: 100, window: 4 }
const BYTES = [200, 2000, 20_000, 60_000]
const WARM_UP_MS = 8000

export const sizesScenario: Scenario = {
  name: 'sizes',
  about: 'One room of 100 subscribers, 4 messages in flight, bodies of 200 to 60,000 bytes.',
  async run(world) {
    await using baton = await startEdge(world)
    await using ceiling = await startCeiling(world)
    const contenders = [baton, ceiling]
    for (const server of contenders) await driven(world, server, { ...SHAPE, warmMs: world.size(WARM_UP_MS) })
    await interleave(world.rounds, BYTES, contenders, async (server, bytes) => {
      const { deliveries, cpuMs } = await driven(world, server, { ...SHAPE, bytes })
      const name = { scenario: 'sizes', work: `${bytes} bytes`, contender: server.name, unit: DELIVERIES }
      world.take(name, (deliveries * 1000) / cpuMs)
    })
  }
}
