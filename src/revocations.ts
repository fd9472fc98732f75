import { setTimeout as delay } from 'node:timers/promises'
import type { Logger } from 'pino'
import type { Auth, Principal } from './auth.ts'
import { BatonError } from './errors.ts'
import { REVOCATIONS_CHANNEL, type RevocationStore, type Revoked } from './ports/revocations.ts'
import type { ChannelFeed } from './ports.ts'

// Who was sent away. Each replica knows the whole list and asks nobody; it reads the list again whenever a change is told, the
// link to the bus was lost, or some time has passed. What the store has lost, it puts back.

export interface Revocation {
  principal: string
  lapsesMs: number
}

export interface Revocations {
  /** Follows the bus, and reads what there is as soon as it can be read. */
  start(): void
  /** The list was read: before that nobody is known. */
  readonly ready: boolean
  /** Something may have changed. */
  refresh(): void
  /** Why this principal is sent away; undefined: it is not. Guests have no name of their own. */
  refusalOf(principal: Principal): BatonError | undefined
  /** The same, but for whom it sends away. @throws BatonError REVOKED besides. */
  guard(auth: Auth): Auth
  /** Those in force, as the store has them now. @throws BatonError REDIS_UNAVAILABLE */
  list(): Promise<Revocation[]>
  /** Resolves once the store took it, and the sessions of this replica are ended. @throws BatonError REDIS_UNAVAILABLE */
  revoke(revocation: Revocation): Promise<void>
  /** @returns false where there is none. @throws BatonError REDIS_UNAVAILABLE */
  lift(principal: string): Promise<boolean>
  close(): void
}

export interface RevocationsDeps {
  store: RevocationStore
  feed: Pick<ChannelFeed, 'follow'>
  /** Somebody may be on the list who was not: called after each reading. */
  changed(): void
  logger: Logger
}

/** A list that Redis lost while the link stayed is put back within this time. */
const REFRESH_MS = 30_000
const RETRY_MS = 200
/** Longer than the clocks of two replicas differ: else what one forgets, the other would take for lost. */
const KEPT_MS = 3_600_000

export function createRevocations({ store, feed, changed, logger }: RevocationsDeps): Revocations {
  let known: Revoked = new Map()
  let timer: NodeJS.Timeout | undefined
  let ready = false
  let reading = false
  /** Something may have changed since the last reading began. */
  let stale = false
  let closed = false

  const inForce = (lapsesMs: number | undefined): lapsesMs is number => lapsesMs !== undefined && lapsesMs > Date.now()

  /** The store answers in the order it is asked in, so the last answer is the newest. */
  async function read(): Promise<void> {
    const nowMs = Date.now()
    const stored = await store.read(nowMs - KEPT_MS)
    const lost = new Map([...known].filter(([name, lapsesMs]) => !stored.has(name) && Math.abs(lapsesMs) > nowMs))
    known = new Map([...stored, ...lost])
    ready = true
    changed()
    if (lost.size > 0) await store.put(lost, true)
  }

  async function set(principal: string, lapsesMs: number): Promise<void> {
    await store.put(new Map([[principal, lapsesMs]]))
    known = new Map([...known, [principal, lapsesMs]])
    changed()
  }

  async function refresh(): Promise<void> {
    stale = true
    if (reading) return
    reading = true
    while (stale && !closed) {
      stale = false
      try {
        await read()
      } catch {
        stale = true
        await delay(RETRY_MS, undefined, { ref: false })
      }
    }
    reading = false
  }

  function refusalOf({ name, guest }: Principal): BatonError | undefined {
    const lapsesMs = guest ? undefined : known.get(name)
    if (!inForce(lapsesMs)) return undefined
    return new BatonError('REVOKED', `this principal was sent away until ${new Date(lapsesMs).toISOString()}`)
  }

  function pass(principal: Principal): Principal {
    const refusal = refusalOf(principal)
    if (refusal) throw refusal
    return principal
  }

  return {
    start() {
      void feed.follow(REVOCATIONS_CHANNEL).then(refresh)
      timer = setInterval(() => void refresh(), REFRESH_MS).unref()
    },
    get ready() {
      return ready
    },
    refresh: () => void refresh(),
    refusalOf,
    guard: auth => ({
      ...auth,
      authenticate: async credentials => pass(await auth.authenticate(credentials)),
      verifyToken: async token => pass(await auth.verifyToken(token))
    }),
    async list() {
      await read()
      return [...known]
        .filter(([, lapsesMs]) => inForce(lapsesMs))
        .map(([principal, lapsesMs]) => ({ principal, lapsesMs }))
    },
    async revoke({ principal, lapsesMs }) {
      await set(principal, lapsesMs)
      logger.info({ principal, until: new Date(lapsesMs).toISOString() }, 'principal revoked')
    },
    async lift(principal) {
      await read()
      const lapsesMs = known.get(principal)
      if (!inForce(lapsesMs)) return false
      await set(principal, -lapsesMs)
      logger.info({ principal }, 'revocation lifted')
      return true
    },
    close() {
      closed = true
      clearInterval(timer)
    }
  }
}
