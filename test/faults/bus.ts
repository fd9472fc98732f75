import { type RedisServer, startRedis } from '../support/redis.ts'
import { type RedisPair, startRedisPair } from '../support/redis-pair.ts'
import { createLink, type Link } from './proxy.ts'

export interface Bus extends AsyncDisposable {
  readonly redis: RedisServer
  readonly pair?: RedisPair
  /** Over which the one of a pair follows the other. */
  readonly links: Link[]
}

/** @param kind one that keeps its data over a restart; a pair, where one follows the other; or one that keeps nothing. */
export async function startBus(kind: 'kept' | 'pair' | undefined): Promise<Bus> {
  await using opening = new AsyncDisposableStack()
  if (kind !== 'pair') {
    const redis = opening.use(await startRedis({ appendonly: kind === 'kept' }))
    const stack = opening.move()
    return { redis, links: [], [Symbol.asyncDispose]: () => stack.disposeAsync() }
  }
  const link = opening.use(await createLink())
  const pair = opening.use(
    await startRedisPair(port => {
      link.target = port
      return link.port
    })
  )
  const stack = opening.move()
  return { redis: pair.primary, pair, links: [link], [Symbol.asyncDispose]: () => stack.disposeAsync() }
}
