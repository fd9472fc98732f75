import { startEdge } from '../edges.ts'
import { driven, interleave, residentKib } from '../measure.ts'
import type { Scenario } from '../world.ts'

const CLIENTS = 1000
const WINDOW = 32
/** Until the kernel takes no more for the stalled ones. */
const WARM_MS = 2000
const MEASURED_MS = 6000
const SLOW_BYTES = 65_536
/** They pass it while the others are measured. */
const SEND_QUEUE_BYTES = 1_048_576

export const SLOW = ['close', 'conflate', 'drop'] as const
export const ALONE = 'none stalled'

/** What readers notice of those who do not read, in the same room. Ids are unique: what waits for one waits for it alone. */
export const slowReadersScenario: Scenario = {
  name: 'slow-readers',
  about:
    'One room of 1,000 readers with 32 messages in flight, and 1,000 more clients that read nothing: latency of the readers.',
  async run(world) {
    const members = world.size(CLIENTS)
    await interleave(world.rounds, [...SLOW], [startEdge], async (start, slow) => {
      await using edge = await start(world, {
        route: { slow, slowBytes: SLOW_BYTES },
        stomp: { sendQueueBytes: SEND_QUEUE_BYTES }
      })
      const room = { rooms: 1, members, id: 'unique', window: WINDOW, warmMs: world.size(WARM_MS) }
      const before = { kib: 0 }
      for (const [contender, stalled] of [
        [ALONE, 0],
        [edge.name, members]
      ] as const) {
        const { p50Ms, p99Ms } = await driven(world, edge, { ...room, stalled, ms: world.size(MEASURED_MS) })
        const name = { scenario: 'slow-readers', work: slow, contender }
        world.take({ ...name, unit: 'p50 ms' }, p50Ms)
        world.take({ ...name, unit: 'p99 ms' }, p99Ms)
        const { most } = residentKib(edge.pid)
        if (stalled > 0) world.take({ ...name, unit: 'KiB/stalled client' }, (most - before.kib) / stalled)
        before.kib = most
      }
    })
  }
}
