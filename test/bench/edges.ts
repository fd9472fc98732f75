import { Redis } from 'ioredis'
import { keysOf } from '../../src/redis/append.ts'
import { unique } from '../support/ids.ts'
import { type Server, startBatonServer, startPeer } from './servers.ts'
import type { World } from './world.ts'

// Those that get their messages from Redis, where the load generator publishes them as a relay does: each contender on
// channels of its own.

const MOST_ROOMS = 10_000
/** What Baton finds in Redis of a room, so that the generator's first message follows it. */
const HEAD = { e: 'bench', s: 0, c: 'bench/rooms/0~1 0' }

interface EdgeOptions {
  route?: { slow: 'close' | 'conflate' | 'drop'; slowBytes: number }
  stomp?: { sendQueueBytes?: number }
}

/** A Baton with Redis; no record ever comes to its relay. */
export async function startEdge(world: World, { route, stomp = {} }: EdgeOptions = {}): Promise<Server> {
  const { url, prefix, load } = await bus(world)
  await using client = { redis: new Redis(url), [Symbol.asyncDispose]: async () => client.redis.disconnect() }
  const pipeline = client.redis.pipeline()
  for (let room = 0; room < MOST_ROOMS; room++) pipeline.hset(keysOf(prefix).meta(`r${room}`), HEAD)
  await pipeline.exec()
  const routes = { rooms: { topic: 'rooms', channel: '{room}', destination: '/topic/{room}', ...route } }
  return startBatonServer({ config: { redis: { url, prefix }, stomp, routes } }, load)
}

/** Writes one buffer for each room and tick to every socket, and does nothing else. */
export const startCeiling = (world: World): Promise<Server> => startBare(world, 'ceiling', 'ceiling.ts')
export const startPerClient = (world: World): Promise<Server> => startBare(world, 'ws.send', 'per-client.ts')

async function startBare(world: World, name: string, file: string): Promise<Server> {
  const { url, prefix, load } = await bus(world)
  return startPeer(name, [file, url, prefix], { load })
}

async function bus(world: World): Promise<{ url: string; prefix: string; load: Partial<Server['load']> }> {
  const url = await world.redisUrl()
  const prefix = unique('bench')
  return { url, prefix, load: { redisPort: Number(new URL(url).port), publish: `${prefix}r{}` } }
}
