import { unique } from '../support/ids.ts'
import { type Server, startBatonServer } from './servers.ts'
import type { World } from './world.ts'

export type Role = 'relay' | 'edge'

/**
 * A Baton between Kafka and Redis: records of `topic` by their field `room`, SENDs to /send/r1 under that key. Those of one prefix
 * are replicas of each other.
 */
export async function startGateway(
  world: World,
  topic: string,
  { roles = ['relay', 'edge'], prefix = unique('bench') }: { roles?: Role[]; prefix?: string } = {}
): Promise<Server> {
  const { brokers } = await world.kafka()
  const config = {
    roles,
    kafka: { brokers, groupId: prefix, startFrom: 'earliest' },
    redis: { url: await world.redisUrl(), prefix },
    routes: {
      rooms: {
        topic,
        channel: 'room:{room}',
        destination: '/room/{room}',
        send: { destination: '/send/{to}', key: '{to}' }
      }
    }
  }
  return startBatonServer({ config }, { subscribe: '/room/r{}', send: '/send/r{}' })
}
