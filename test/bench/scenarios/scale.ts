import { startCeiling, startEdge } from '../edges.ts'
import { driven, interleave } from '../measure.ts'
import type { Scenario } from '../world.ts'
import { DELIVERIES } from './fan-out.ts'

const MEMBERS = 10
const ACTIVE = 10
const WARM_UP_MS = 8000
export const ROOMS = [10, 1000, 10_000]
/** All of them are written to, however many rooms there are: else it is their number that is measured. */
const ROOM_CONNECTIONS = 100
export const CONNECTIONS = [100, 1000, 5000]

/** Whether a delivery costs the same however much there is besides: ten messages are in flight, each to ten subscribers. */
export const scaleScenario: Scenario = {
  name: 'scale',
  about: 'Cost of a delivery with 10 to 10,000 rooms on 100 connections, and with 100 to 5,000 connections.',
  async run(world) {
    await using baton = await startEdge(world)
    await using ceiling = await startCeiling(world)
    const works = [
      ...ROOMS.map(rooms => ({ work: `${rooms} rooms`, rooms, connections: ROOM_CONNECTIONS })),
      ...CONNECTIONS.map(connections => ({
        work: `${connections} connections`,
        rooms: connections / MEMBERS,
        connections
      }))
    ]
    for (const server of [baton, ceiling])
      await driven(world, server, { rooms: 10, members: MEMBERS, warmMs: world.size(WARM_UP_MS) })
    await interleave(world.rounds, works, [baton, ceiling], async (server, { work, rooms, connections }) => {
      const shape = {
        rooms: world.size(rooms),
        members: MEMBERS,
        connections: Math.max(world.size(connections), MEMBERS)
      }
      const settings = { ...shape, active: Math.min(ACTIVE, shape.rooms), id: 'unique' }
      const { deliveries, cpuMs } = await driven(world, server, settings)
      world.take({ scenario: 'scale', work, contender: server.name, unit: DELIVERIES }, (deliveries * 1000) / cpuMs)
    })
  }
}
