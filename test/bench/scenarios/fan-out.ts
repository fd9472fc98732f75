import { startCeiling, startEdge, startPerClient } from '../edges.ts'
import { driven } from '../measure.ts'
import { startSpring, startStompBroker } from '../peers.ts'
import type { Server } from '../servers.ts'
import type { Scenario, World } from '../world.ts'

// An edge's work: a message's way from Redis to its subscribers. The brokers that know no Redis get it by SEND.

/** Of each process, before the first round: as long as a JVM takes. */
const WARM_UP_MS = 8000

export const WINDOWS = [1, 4, 32, 256]
export const IDS = ['shared', 'unique']
export const SHAPES = { 'fan-out-1x100': [1, 100], 'fan-out-1x1000': [1, 1000], 'fan-out-100x10': [100, 10] } as const
export const DELIVERIES = 'deliveries/CPU-s'

export const workOf = (window: number, id: string): string => `window ${window}, ${id} ids`

export const fanOutScenarios: Scenario[] = Object.entries(SHAPES).map(([name, [rooms, members]]) => ({
  name,
  about: `${rooms} × ${members} subscribers of 200-byte messages, with 1 to 256 messages in flight in each room.`,
  async run(world) {
    const works = IDS.flatMap(id => WINDOWS.map(window => ({ id, window })))
    // Two processes of one program differ by a tenth, whatever they do: so each round starts them anew.
    for (let round = 0; round < world.rounds; round++) {
      await using stack = new AsyncDisposableStack()
      const contenders = []
      for (const start of [startEdge, startCeiling, startPerClient, startStompBroker, startSpring]) {
        const server = await start(world)
        if (!server) continue
        contenders.push(stack.use(server))
        await driven(world, server, { rooms, members, window: 32, warmMs: world.size(WARM_UP_MS) })
      }
      const [baton, ceiling, ...others] = contenders as [Server, Server, ...Server[]]
      for (const { id, window } of works) {
        // There and back: who comes first finds the machine as the one before left it.
        const turns = [baton, ceiling, ceiling, baton]
        // To the others all ids are alike.
        if (id === 'shared') turns.push(...others)
        const work = workOf(window, id)
        for (const [contender, rate] of await ratesOf(world, turns, { rooms, members, id, window })) {
          world.take({ scenario: name, work, contender, unit: DELIVERIES }, rate)
        }
      }
    }
  }
}))

/** Of each contender, over all its turns. */
async function ratesOf(
  world: World,
  turns: Server[],
  settings: Parameters<typeof driven>[2]
): Promise<Map<string, number>> {
  const sums = new Map<string, { deliveries: number; cpuMs: number }>()
  for (const server of turns) {
    const { deliveries, cpuMs } = await driven(world, server, settings)
    const sum = sums.get(server.name) ?? { deliveries: 0, cpuMs: 0 }
    sums.set(server.name, { deliveries: sum.deliveries + deliveries, cpuMs: sum.cpuMs + cpuMs })
  }
  return new Map([...sums].map(([name, { deliveries, cpuMs }]) => [name, (deliveries * 1000) / cpuMs]))
}
