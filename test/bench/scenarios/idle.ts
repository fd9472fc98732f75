import { setTimeout as delay } from 'node:timers/promises'
import { startCeiling, startEdge } from '../edges.ts'
import { cpuMs, interleave, listening, residentKib, untilQuiet } from '../measure.ts'
import type { Scenario } from '../world.ts'

const CONNECTIONS = 5000
const MEMBERS = 10
const WARM_UP = 100
const HEART_BEAT_MS = 10_000
const WATCH_MS = 20_000

/** What a connection costs that only waits, and what it costs to make. Each round has fresh processes. */
export const idleScenario: Scenario = {
  name: 'idle',
  about:
    '5,000 connections come at once and stay, ten to a room, with heart-beats of 10 s (a bare ws server has none).',
  async run(world) {
    const watchMs = world.size(WATCH_MS)
    const works = [world.size(CONNECTIONS)]
    await interleave(world.rounds, works, [startEdge, startCeiling], async (start, connections) => {
      await using server = await start(world)
      const listen = (rooms: number) => listening(server, { rooms, members: MEMBERS, heartBeatMs: HEART_BEAT_MS })
      await (await listen(WARM_UP / MEMBERS)).stop()
      await untilQuiet(server.pid)
      const before = residentKib(server.pid).now
      const load = await listen(connections / MEMBERS)
      await delay(world.size(HEART_BEAT_MS))
      const from = cpuMs(server.pid)
      await delay(watchMs)
      const watchedMs = cpuMs(server.pid) - from
      const grown = residentKib(server.pid).now - before
      const loaded = await load.stop()

      const contender = server.name === 'Baton' ? server.name : 'bare ws'
      const name = { scenario: 'idle', work: `${connections} connections`, contender }
      world.take({ ...name, unit: 'KiB/connection' }, grown / connections)
      world.take({ ...name, unit: '% of a core' }, (watchedMs * 100) / watchMs)
      world.take({ ...name, unit: 'connections/CPU-s' }, (connections * 1000) / loaded.setupCpuMs)
      world.take({ ...name, unit: 's until all are subscribed' }, loaded.setupMs / 1000)
    })
  }
}
