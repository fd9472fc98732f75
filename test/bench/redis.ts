import { Redis } from 'ioredis'
import { keysOf } from '../../src/redis/append.ts'

export interface RedisProbe extends AsyncDisposable {
  readonly client: Redis
  /** CPU time of the server so far. */
  cpuMs(): Promise<number>
  /** Calls of a command so far. */
  calls(command: string): Promise<number>
  /** How many offsets the fence of a prefix covers: as many records are in Redis. */
  covered(prefix: string): Promise<number>
}

/** A look at the Redis of the bench. */
export function probeRedis(url: string): RedisProbe {
  const client = new Redis(url)
  return {
    client,
    async cpuMs() {
      const info = await client.info('cpu')
      const seconds = (name: string) => Number(new RegExp(`^${name}:([\\d.]+)`, 'm').exec(info)?.[1])
      return (seconds('used_cpu_user') + seconds('used_cpu_sys')) * 1000
    },
    async calls(command) {
      const info = await client.info('commandstats')
      return Number(new RegExp(`^cmdstat_${command}:calls=(\\d+)`, 'm').exec(info)?.[1] ?? 0)
    },
    async covered(prefix) {
      const fields = Object.entries(await client.hgetall(keysOf(prefix).fence))
      // Not where a refill began, and what it is up to.
      const fences = fields.filter(([name]) => !/^(floor|ceiling):/.test(name))
      return fences.reduce((sum, [, offset]) => sum + Number(offset) + 1, 0)
    },
    async [Symbol.asyncDispose]() {
      client.disconnect()
    }
  }
}
