import type { Redis } from 'ioredis'
import { REVOCATIONS_CHANNEL, type RevocationStore, type Revoked } from '../ports/revocations.ts'
import { keysOf } from './append.ts'
import { replies } from './client.ts'
import type { Link } from './link.ts'

/** Revocations of all replicas. Every call is one transaction and fails at once while Redis is away. */
export function createRedisRevocations(prefix: string, link: Pick<Link, 'ask'>): RevocationStore {
  return {
    read: lapsedMs => link.ask(client => readRevoked(client, prefix, lapsedMs)),
    put: (revoked, absentOnly) => link.ask(client => putRevoked(client, prefix, revoked, absentOnly))
  }
}

export async function readRevoked(client: Redis, prefix: string, lapsedMs: number): Promise<Revoked> {
  const key = keysOf(prefix).revocations
  const transaction = client
    .multi()
    // What was lifted counts below zero, so that one range about it is all that has lapsed.
    .zremrangebyscore(key, `(${-lapsedMs}`, `(${lapsedMs}`)
    .zrange(key, 0, '-1', 'WITHSCORES')
  const [, scored] = await replies<[number, string[]]>(transaction.exec())
  const revoked = new Map<string, number>()
  for (let at = 0; at < scored.length; at += 2) revoked.set(scored[at] as string, Number(scored[at + 1]))
  return revoked
}

export async function putRevoked(client: Redis, prefix: string, revoked: Revoked, absentOnly = false): Promise<void> {
  const { revocations: key, bus } = keysOf(prefix)
  const scored: (string | number)[] = [...revoked].flatMap(([name, lapsesMs]) => [lapsesMs, name])
  const transaction = client
    .multi()
    .zadd(key, ...(absentOnly ? ['NX', ...scored] : scored))
    .publish(bus(REVOCATIONS_CHANNEL), '')
  await replies(transaction.exec())
}
