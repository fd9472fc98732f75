import { createHmac, randomBytes } from 'node:crypto'
import type { Principal } from '../auth.ts'
import type { Config } from '../config/normalize.ts'
import { BatonError } from '../errors.ts'

// Whatever the endpoint is told decides alone who it is, so that is what an answer is remembered by: as a digest under a key
// of this process. Refusals are not remembered: what is mended at the endpoint holds at once.

/** What a client showed, as the endpoint is told. */
export interface Shown {
  /** Of CONNECT, or `Authorization` of the request. */
  headers: Record<string, string>
  accessToken?: string
  remoteAddress?: string
  path?: string
}

const MAX_ANSWER_BYTES = 65_536
const MAX_REMEMBERED = 10_000
/** A storm of clients must not become one of calls: the others wait, each within its own `timeoutMs`. */
const MAX_CALLS = 32
const ISO_TIME = /^\d{4}-\d\d-\d\dT.*(?:Z|[+-]\d\d:\d\d)$/

export function createEndpoint({ url, timeoutMs, cacheMs }: NonNullable<Config['auth']['http']>) {
  const processKey = randomBytes(32)
  const remembered = new Map<string, { principal: Principal; untilMs: number }>()
  const asked = new Map<string, Promise<Principal>>()
  const waiting: (() => void)[] = []
  let calls = 0

  async function ask(body: string): Promise<Principal> {
    const signal = AbortSignal.timeout(timeoutMs)
    // First come, first served: who went before had to be done before this one's time is up, so the wait is bounded by it too.
    if (calls === MAX_CALLS) await new Promise<void>(resolve => waiting.push(resolve))
    else calls++
    try {
      const headers = { 'content-type': 'application/json', accept: 'application/json' }
      const response = await fetch(url, { method: 'POST', headers, body, redirect: 'manual', signal })
      return await principalOf(response)
    } catch (error) {
      if (error instanceof BatonError) throw error
      throw unavailable(signal.aborted ? `did not answer within ${timeoutMs} ms` : 'cannot be reached', error)
    } finally {
      const next = waiting.shift()
      if (next) next()
      else calls--
    }
  }

  function remember(key: string, principal: Principal): void {
    const nowMs = Date.now()
    remembered.delete(key)
    remembered.set(key, { principal, untilMs: Math.min(nowMs + cacheMs, principal.expiresAtMs ?? Infinity) })
    for (const [oldest, { untilMs }] of remembered) {
      if (untilMs > nowMs && remembered.size <= MAX_REMEMBERED) break
      remembered.delete(oldest)
    }
  }

  return {
    /** Equal ones at the same time share a call. @throws BatonError UNAUTHENTICATED, AUTH_UNAVAILABLE */
    async verify(shown: Shown): Promise<Principal> {
      const body = JSON.stringify(shown)
      const key = createHmac('sha256', processKey).update(body).digest('base64')
      const known = remembered.get(key)
      if (known && Date.now() < known.untilMs) return known.principal
      const pending = asked.get(key)
      if (pending) return pending
      const asking = ask(body).finally(() => asked.delete(key))
      asked.set(key, asking)
      const principal = await asking
      if (cacheMs > 0) remember(key, principal)
      return principal
    }
  }
}

async function principalOf(response: Response): Promise<Principal> {
  const { status } = response
  if (status !== 200) {
    await response.body?.cancel()
    if (status === 401 || status === 403) throw new BatonError('UNAUTHENTICATED', 'the credential is refused')
    throw unavailable(`answered with status ${status}`)
  }
  const { name, claims = {}, expiresAt } = await jsonOf(response)
  const expiresAtMs = expiresAt === undefined ? undefined : timeOf(expiresAt)
  if (typeof name !== 'string' || name === '') throw unavailable('gave no name')
  if (typeof claims !== 'object' || claims === null || Array.isArray(claims))
    throw unavailable('gave claims that are no object')
  if (expiresAtMs !== undefined && expiresAtMs <= Date.now())
    throw new BatonError('UNAUTHENTICATED', 'the credential has expired')
  return { name, claims, guest: false, ...(expiresAtMs !== undefined && { expiresAtMs }) } as Principal
}

async function jsonOf(response: Response): Promise<Record<string, unknown>> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of response.body ?? []) {
    bytes += chunk.length
    if (bytes > MAX_ANSWER_BYTES) throw unavailable(`gave more than ${MAX_ANSWER_BYTES} bytes`)
    chunks.push(chunk)
  }
  try {
    return Object(JSON.parse(Buffer.concat(chunks).toString()))
  } catch {
    // The parser's own message quotes the answer.
    throw unavailable('gave no JSON')
  }
}

function timeOf(text: unknown): number {
  const timeMs = typeof text === 'string' && ISO_TIME.test(text) ? Date.parse(text) : Number.NaN
  if (Number.isNaN(timeMs)) throw unavailable('gave an expiresAt that is no time such as 2026-11-21T12:31:18Z')
  return timeMs
}

function unavailable(what: string, cause?: unknown): BatonError {
  return new BatonError('AUTH_UNAVAILABLE', `the endpoint of auth.http ${what}`, { cause })
}
