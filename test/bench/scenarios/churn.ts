import { startGateway } from '../gateways.ts'
import { startLoad } from '../load.ts'
import { interleave, untilQuiet } from '../measure.ts'
import { probeRedis } from '../redis.ts'
import type { Scenario } from '../world.ts'

const CLIENTS = 200

/** UNSUBSCRIBE and SUBSCRIBE of a client, again and again. */
export const churnScenario: Scenario = {
  name: 'churn',
  about:
    '200 clients that leave their room and come back, all in one room or each in its own; Redis SUBSCRIBEs they cost.',
  async run(world) {
    const kafka = await world.kafka()
    await using baton = await startGateway(world, await kafka.createTopic())
    await using redis = probeRedis(await world.redisUrl())
    const works = [
      { work: 'one room', rooms: 1, members: CLIENTS },
      { work: 'rooms of their own', rooms: CLIENTS, members: 1 }
    ]
    await interleave(world.rounds, works, [baton], async (server, { work, ...shape }) => {
      const { warmMs, ms } = world
      const load = await startLoad('churn', { ...server.load, pid: server.pid, ...shape, warmMs, ms })
      await load.live()
      const before = await redis.calls('subscribe')
      const loaded = await load.result()
      const subscribes = (await redis.calls('subscribe')) - before
      world.heard(server.name, loaded)
      const name = { scenario: 'churn', work, contender: server.name }
      world.take({ ...name, unit: 'pairs/CPU-s' }, (loaded.messages * 1000) / loaded.cpuMs)
      world.take({ ...name, unit: 'p99 ms' }, loaded.p99Ms)
      world.take({ ...name, unit: 'Redis SUBSCRIBEs/1,000' }, (subscribes * 1000) / loaded.messages)
      await untilQuiet(server.pid)
    })
  }
}
