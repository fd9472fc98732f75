import { startEdge } from '../edges.ts'
import { driven, residentKib } from '../measure.ts'
import type { Scenario, World } from '../world.ts'
import { IDS } from './fan-out.ts'

const CLIENTS = 1000
const WINDOW = 32
/** Until the kernel takes no more for the stalled ones. */
const WARM_MS = 2000
const MEASURED_MS = 6000
const SLOW_BYTES = 65_536
/** They pass it while the others are measured. */
const SEND_QUEUE_BYTES = 524_288

const POLICIES = ['close', 'conflate', 'drop'] as const
const WORKS = POLICIES.flatMap(slow => IDS.map(id => ({ slow, id, work: `${slow}, ${id} ids` })))

export const SLOW = WORKS.map(({ work }) => work)
export const ALONE = 'none stalled'

/** What readers notice of those who do not read, in the same room. Each round has a fresh process for each work. */
export const slowReadersScenario: Scenario = {
  name: 'slow-readers',
  about:
    'One room of 1,000 readers with 32 messages in flight, and 1,000 more clients that read nothing: latency of the readers.',
  async run(world) {
    for (let round = 0; round < world.rounds; round++) for (const work of WORKS) await measure(world, work)
  }
}

async function measure(world: World, { slow, id, work }: (typeof WORKS)[number]): Promise<void> {
  const members = world.size(CLIENTS)
  const options = { route: { slow, slowBytes: SLOW_BYTES }, stomp: { sendQueueBytes: SEND_QUEUE_BYTES } }
  await using edge = await startEdge(world, options)
  const room = { rooms: 1, members, id, window: WINDOW, warmMs: world.size(WARM_MS), ms: world.size(MEASURED_MS) }
  const take = async (contender: string, stalled: number) => {
    const { p50Ms, p99Ms } = await driven(world, edge, { ...room, stalled })
    world.take({ scenario: 'slow-readers', work, contender, unit: 'p50 ms' }, p50Ms)
    world.take({ scenario: 'slow-readers', work, contender, unit: 'p99 ms' }, p99Ms)
    return residentKib(edge.pid).most
  }
  const before = await take(ALONE, 0)
  const grownKib = (await take(edge.name, members)) - before
  const name = { scenario: 'slow-readers', work, contender: edge.name, unit: 'KiB/stalled client' }
  world.take(name, grownKib / members)
}
