import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { onFreePorts } from './ports.ts'
import { launch, type Running, temporaryFolder } from './processes.ts'
import { type RedisServer, startRedis } from './redis.ts'
import { dockerImage, redisServer } from './toolchain.ts'
import { waitFor } from './wait.ts'

/** Two Redis servers of which one replicates the other, watched by a Sentinel. */
export interface RedisPair extends AsyncDisposable {
  readonly primary: RedisServer
  readonly replica: RedisServer
  /** For `redis.sentinel`. */
  readonly sentinel: { name: string; nodes: string[] }
  /** Has Sentinel promote the replica although the primary lives. */
  failover(): Promise<void>
  /** Port of the primary as Sentinel knows it. */
  primaryPort(): Promise<number>
}

const NAME = 'baton'
/** A machine that is busy answers late; none of that may look like a primary that is gone. */
const DOWN_AFTER_MS = 3000
const START_DEADLINE_MS = 20_000

/** @param way the port at which the replica reaches the primary; default: the primary's own. */
export async function startRedisPair(way: (primaryPort: number) => number = port => port): Promise<RedisPair> {
  await using starting = new AsyncDisposableStack()
  const primary = starting.use(await startRedis({ args: ['--repl-diskless-sync-delay', '0'] }))
  const replica = starting.use(await startRedis({ args: ['--replicaof', '127.0.0.1', `${way(primary.port)}`] }))
  const { port, running } = await onFreePorts(1, ([free = 0]) => startSentinel(free, primary.port))
  starting.defer(async () => void (await running.stop()))
  const client = new Redis(port, { lazyConnect: true })
  starting.defer(() => client.disconnect())
  await client.connect()
  const ready = async () => `${await client.call('SENTINEL', 'replicas', NAME)}`.includes('master-link-status,ok')
  await waitFor(ready, { deadlineMs: START_DEADLINE_MS, what: 'Sentinel to know the replica' })
  const stack = starting.move()
  return {
    primary,
    replica,
    sentinel: { name: NAME, nodes: [`127.0.0.1:${port}`] },
    async failover() {
      await client.call('SENTINEL', 'failover', NAME)
    },
    async primaryPort() {
      const [, of] = (await client.call('SENTINEL', 'get-master-addr-by-name', NAME)) as string[]
      return Number(of)
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync()
  }
}

async function startSentinel(port: number, primaryPort: number): Promise<{ port: number; running: Running }> {
  const folder = temporaryFolder('baton-sentinel')
  const file = join(folder, 'sentinel.conf')
  const settings = [`monitor ${NAME} 127.0.0.1 ${primaryPort} 1`, `down-after-milliseconds ${NAME} ${DOWN_AFTER_MS}`]
  const lines = [`port ${port}`, 'bind 127.0.0.1', `dir ${folder}`, ...settings.map(setting => `sentinel ${setting}`)]
  writeFileSync(file, `${lines.join('\n')}\n`)
  const image = await dockerImage('redis:7')
  const command = image ? 'redis-server' : await redisServer()
  const running = launch({ command, args: [file, '--sentinel'], ...(image && { container: { image, folder } }) })
  await running.match(/Sentinel ID is/, START_DEADLINE_MS)
  return { port, running }
}
