import type { Redis } from 'ioredis'
import type { Logger } from 'pino'
import { BatonError } from '../errors.ts'
import { addressOf, connect, type RedisOptions, reasonOf } from './client.ts'

// One connection to the Redis that accepts writes. Whatever breaks it, it is made again for ever, and it is up only once
// that Redis passed its checks. An answer of a connection that was given up is no answer.

export interface Link {
  readonly client: Redis
  /** Connected, and the checks passed. */
  readonly up: boolean
  /** Resolves when it is up for the first time, however long that takes. @throws BatonError when this Redis is unfit. */
  start(): Promise<void>
  /** @throws BatonError REDIS_UNAVAILABLE, at once while the link is down. */
  ask<T>(command: (client: Redis) => Promise<T>): Promise<T>
  close(): Promise<void>
}

export interface LinkDeps {
  /** What the connection is for, in logs and in CLIENT LIST. */
  name: string
  logger: Logger
  /** What makes this Redis unfit, each with how to mend it. @throws what may pass by itself. */
  faults(client: Redis): Promise<string[]>
  wentUp?(): void
  wentDown?(): void
}

const RETRY_MS = 50
const RETRY_CAP_MS = 1000
/** Where a command is refused that was taken before, Redis is checked again, this often at the most. */
const DOUBT_MS = 1000
/** What no waiting mends. */
const UNFIT = /^(WRONGPASS|NOAUTH|NOPERM)/

/** Whether Redis refused a command, or a script, for what a key holds. */
export function holdsElse(reason: string): boolean {
  return /^(WRONGTYPE|ERR) /.test(reason)
}

export function createLink(options: RedisOptions, deps: LinkDeps): Link {
  const logger = deps.logger.child({ redis: addressOf(options), link: deps.name })
  const started = Promise.withResolvers<void>()
  started.promise.catch(() => undefined)
  const client = connect(options, deps.name, backoffMs)
  /** What was said since the link was last up: each trouble once. */
  const told = new Set<string>()
  let attempts = 0
  let doubtedMs = Number.NEGATIVE_INFINITY
  /** Counts connections: an answer about one that is gone is no answer. */
  let connection = 0
  let up = false
  let everUp = false
  let closed = false

  client.on('ready', () => void admit())
  client.on('close', () => away('the connection was closed'))
  // ioredis gives up where Sentinel announces a failover while it is asked for the primary.
  client.on('end', () => {
    if (!closed) setTimeout(dial, backoffMs())
  })
  client.on('error', error => (UNFIT.test(error.message) ? refuse([error.message]) : away(reasonOf(error))))

  function backoffMs(): number {
    return Math.min(RETRY_CAP_MS, RETRY_MS * 2 ** attempts++) * (0.5 + Math.random() / 2)
  }

  function dial(): void {
    if (!closed) client.connect().catch(() => undefined)
  }

  async function admit(): Promise<void> {
    const mine = up ? connection : ++connection
    try {
      const faults = await deps.faults(client)
      if (mine !== connection || closed) return
      if (faults.length === 0) return up ? undefined : rise()
      refuse(faults)
    } catch (error) {
      if (mine !== connection || closed) return
      away(reasonOf(error))
    }
    client.disconnect(true)
  }

  function doubt(): void {
    const nowMs = performance.now()
    if (nowMs - doubtedMs < DOUBT_MS) return
    doubtedMs = nowMs
    void admit()
  }

  function rise(): void {
    up = everUp = true
    attempts = 0
    if (told.size > 0) logger.info('Redis is there')
    told.clear()
    started.resolve()
    deps.wentUp?.()
  }

  function lose(): void {
    connection++
    if (!up) return
    up = false
    deps.wentDown?.()
  }

  function away(reason: string): void {
    lose()
    if (closed || told.size > 0) return
    told.add('away')
    logger.warn({ reason }, 'Redis is away: waiting for it')
  }

  /** At start an unfit Redis ends it; later it may be a failover gone wrong, which someone will mend. */
  function refuse(faults: string[]): void {
    const detail = faults.join('; ')
    lose()
    if (!everUp) {
      started.reject(new BatonError('MISCONFIGURED', `Redis ${addressOf(options)} is unfit: ${detail}`))
      void close()
    } else if (!told.has(detail)) {
      told.add(detail)
      logger.error({ reason: detail }, 'Redis is unfit: waiting until it is mended')
    }
  }

  async function close(): Promise<void> {
    if (closed) return
    closed = true
    lose()
    started.reject(new BatonError('SHUTTING_DOWN', 'closed before Redis was there'))
    client.disconnect()
  }

  return {
    client,
    get up() {
      return up
    },
    async start() {
      dial()
      await started.promise
    },
    async ask(command) {
      if (!up) throw new BatonError('REDIS_UNAVAILABLE', `no connection to ${addressOf(options)}; try again later`)
      const mine = connection
      let reason = 'the connection was lost before the answer'
      try {
        const answer = await command(client)
        if (mine === connection) return answer
      } catch (error) {
        // Not the error itself as cause: ioredis hangs the command's arguments on it, payloads and all.
        reason = reasonOf(error)
        if (reason === 'Command timed out' && mine === connection) {
          away(`no answer within ${options.readTimeoutMs} ms`)
          client.disconnect(true)
        } else if (holdsElse(reason) && mine === connection) doubt()
      }
      throw new BatonError('REDIS_UNAVAILABLE', reason)
    },
    close
  }
}
