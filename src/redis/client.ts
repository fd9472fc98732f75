import type { ConnectionOptions } from 'node:tls'
import { type RedisOptions as ClientOptions, Redis } from 'ioredis'
import { BatonError } from '../errors.ts'

export interface RedisOptions {
  /** `redis://` or `rediss://host:port/db`, also with user and password. Absent with `sentinel`. */
  url?: string
  /** `nodes` are `host:port`; the primary is asked of them at every connect. */
  sentinel?: { name: string; nodes: string[]; username?: string; password?: string; tls?: Tls }
  username?: string
  password?: string
  tls?: Tls
  /** Begins every key and every bus channel of one tenant. */
  prefix: string
  /** How long a command may go without an answer; then the connection is taken for dead. Milliseconds. */
  readTimeoutMs: number
}

type Tls = boolean | ConnectionOptions

const SENTINEL_PORT = 26_379
/** How long a connection that is given up may take to end by itself. */
const DISCONNECT_MS = 50

/** @param retry how long to wait before the connection is made again, in milliseconds; null: never. */
export function connect(options: RedisOptions, name: string, retry: () => number | null): Redis {
  const { url, sentinel, username, password, tls, readTimeoutMs } = options
  const settings = {
    lazyConnect: true,
    connectionName: `baton-${name}`,
    // Nothing is queued or sent again behind our back: a resend could hide what a failover lost.
    autoResendUnfulfilledCommands: false,
    enableOfflineQueue: false,
    autoResubscribe: false,
    // Commands in flight fail as soon as the connection does.
    maxRetriesPerRequest: 0,
    commandTimeout: readTimeoutMs,
    connectTimeout: readTimeoutMs,
    disconnectTimeout: DISCONNECT_MS,
    retryStrategy: retry,
    sentinelRetryStrategy: retry,
    // A primary that was demoted keeps its clients: leave it.
    reconnectOnError: (error: Error) => error.message.startsWith('READONLY'),
    ...(username !== undefined && { username }),
    ...(password !== undefined && { password }),
    ...(tls && { tls: tlsOf(tls), enableTLSForSentinelMode: true }),
    ...(sentinel && {
      name: sentinel.name,
      // Sentinel turns the old primary into a replica only some 10 s after a failover: leave it when it is announced.
      failoverDetector: true,
      sentinels: sentinel.nodes.map(nodeOf),
      ...(sentinel.username !== undefined && { sentinelUsername: sentinel.username }),
      ...(sentinel.password !== undefined && { sentinelPassword: sentinel.password }),
      ...(sentinel.tls && { sentinelTLS: tlsOf(sentinel.tls) })
    })
  } satisfies ClientOptions
  return url === undefined ? new Redis(settings) : new Redis(url, settings)
}

const tlsOf = (tls: Tls): ConnectionOptions => (typeof tls === 'object' ? tls : {})

function nodeOf(node: string): { host: string; port: number } {
  const { hostname, port } = new URL(`redis://${node}`)
  return { host: hostname.replace(/^\[|\]$/g, ''), port: Number(port || SENTINEL_PORT) }
}

/** Where it is, without what the URL knows of users and passwords. */
export function addressOf({ url, sentinel }: RedisOptions): string {
  if (sentinel) return `${sentinel.name} of ${sentinel.nodes.join(', ')}`
  return url === undefined ? 'localhost' : new URL(url).host
}

/** What Redis or the network said. */
export function reasonOf(error: unknown): string {
  // Of a discarded transaction the first refusal tells more; some errors of a connection have a code only.
  const { message, code, previousErrors } = error as NodeJS.ErrnoException & { previousErrors?: Error[] }
  return previousErrors?.[0]?.message || message || code || String(error)
}

/** To one command of a pipeline or transaction. */
export type Answer = [error: Error | null, reply: unknown]

/** The replies of a pipeline or transaction. @throws the first error among them. */
export async function replies<T>(executed: Promise<Answer[] | null>): Promise<T> {
  const results = await executed
  if (!results) throw new BatonError('REDIS_UNAVAILABLE', 'the transaction was discarded')
  return results.map(([error, reply]) => {
    if (error) throw error
    return reply
  }) as T
}
