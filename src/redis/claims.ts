import type { Claims } from '../ports.ts'
import { keysOf } from './append.ts'
import { holdsElse, type Link } from './link.ts'

const RELEASE = "if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end"

/** Claims of all replicas. Every call is one round trip and fails at once while Redis is away. */
export function createRedisClaims(prefix: string, link: Pick<Link, 'ask'>): Claims {
  const { claim } = keysOf(prefix)
  return {
    async take(key, id, ttlMs) {
      return (await link.ask(client => client.set(claim(key), id, 'PX', ttlMs, 'NX'))) === 'OK'
    },
    async holder(key) {
      return (await link.ask(client => client.get(claim(key)).catch(noneOfOurs))) ?? undefined
    },
    async release(key, id) {
      await link.ask(client => client.eval(RELEASE, 1, claim(key), id))
    }
  }
}

/** What another program put there names nobody: its reply comes too late, and the partition that brought it goes on. */
function noneOfOurs(error: Error): null {
  if (!holdsElse(error.message)) throw error
  return null
}
