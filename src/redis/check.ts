import { randomBytes } from 'node:crypto'
import type { Redis } from 'ioredis'
import { createAppender, keysOf } from './append.ts'
import { addressOf, connect, type RedisOptions, reasonOf } from './client.ts'
import { foreignShared, HOLDS_ELSE } from './foreign.ts'
import { putRevoked, readRevoked } from './revocations.ts'

// What Redis must be before anything is trusted to it: 7 or later, the primary, never evicting, and open to every command
// that we use, tried with the very credentials and prefix.

const OLDEST_MAJOR = 7

/** @returns what makes it unfit to be written to, each with how to mend it. @throws when it is a replica: a failover may be under way. */
export async function faultsOfLog(client: Redis, prefix: string): Promise<string[]> {
  const faults = await faultsOfServer(client)
  await refusals(faults, 'INFO', async () => {
    const policy = /^maxmemory_policy:(\S+)/m.exec(await client.info('memory'))?.[1]
    if (policy !== 'noeviction') {
      faults.push(`maxmemory-policy is ${policy}, so Redis may evict what was acknowledged: set it to noeviction`)
    }
  })
  await refusals(faults, 'the append script', async () => {
    const scratch = scratchOf(prefix)
    const { fence, log, meta, claim } = keysOf(scratch)
    const append = { channel: 'x', offset: 0, published: Buffer.from('x'), logSize: 1, logTtlMs: 1000 }
    const chunk = { source: 'x', expect: -1, upTo: 0, again: -1, token: 'x', appends: [append] }
    await createAppender(scratch)(client, chunk)
    await client
      .multi()
      .hgetall(fence)
      .hmget(meta('x'), 'e')
      .lrange(log('x'), 0, -1)
      .get(claim('x'))
      .hdel(fence, 'x')
      .exec()
    await client.del(fence, log('x'), meta('x'))
  })
  await refusals(faults, 'revocations', async () => {
    const scratch = scratchOf(prefix)
    await putRevoked(client, scratch, new Map([['x', 1]]))
    // It has lapsed, and with it the key is gone.
    await readRevoked(client, scratch, 2)
  })
  for (const key of await foreignShared(client, prefix)) faults.push(`${key}: ${HOLDS_ELSE}`)
  return faults
}

/** A prefix of a moment's own. */
const scratchOf = (prefix: string): string => `${prefix}baton:selftest:${randomBytes(6).toString('hex')}:`

/** As `faultsOfLog`, for a connection that only subscribes. */
export async function faultsOfFeed(client: Redis, prefix: string): Promise<string[]> {
  const faults = await faultsOfServer(client)
  await refusals(faults, 'SUBSCRIBE', async () => {
    const channel = `${prefix}baton:selftest`
    await client.subscribe(channel)
    await client.unsubscribe(channel)
  })
  return faults
}

async function faultsOfServer(client: Redis): Promise<string[]> {
  // HELLO is open to every user; INFO and ROLE need not be.
  const reply = (await client.call('HELLO')) as unknown[]
  const said = (name: string): string => String(reply[reply.indexOf(name) + 1])
  if (said('role') !== 'master') throw new Error('it is a replica, not the primary')
  const version = said('version')
  return Number.parseInt(version, 10) >= OLDEST_MAJOR
    ? []
    : [`it is version ${version}: Redis ${OLDEST_MAJOR} or later is needed`]
}

/** Turns an error reply into a fault. What is no reply (a lost connection) passes through. */
async function refusals(faults: string[], what: string, attempt: () => Promise<void>): Promise<void> {
  try {
    await attempt()
  } catch (error) {
    if ((error as Error).name !== 'ReplyError') throw error
    faults.push(`it refuses ${what}: ${reasonOf(error)}`)
  }
}

/** For `--check`: every fault of the Redis that `options` name, none when it is fit. Tries once, leaves nothing behind. */
export async function checkRedis(options: RedisOptions): Promise<string[]> {
  const found = await Promise.all([tryOnce(options, faultsOfLog), tryOnce(options, faultsOfFeed)])
  return [...new Set(found.flat())].map(fault => `Redis ${addressOf(options)}: ${fault}`)
}

async function tryOnce(options: RedisOptions, faultsOf: typeof faultsOfLog): Promise<string[]> {
  const client = connect(options, 'check', () => null)
  let reason: string | undefined
  client.on('error', error => {
    reason ??= reasonOf(error)
  })
  try {
    await client.connect()
    return await faultsOf(client, options.prefix)
  } catch (error) {
    return [reason ?? reasonOf(error)]
  } finally {
    client.disconnect()
  }
}
