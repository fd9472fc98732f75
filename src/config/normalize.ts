import { originOf } from './origin.ts'
import type { Reply, RouteSettings } from './route.ts'
import type { Settings } from './settings.ts'
import { durationMs } from './types.ts'

/** One entry of `routes`, with its defaults. */
export type RouteConfig = ReturnType<typeof normalizeRoute>

export type SendConfig = NonNullable<RouteConfig['send']>

/** A topic as a route declares it. */
export type TopicConfig = Exclude<NonNullable<RouteSettings['topic']>, string>

/** What the rest of the process is given: `Settings` with durations in milliseconds and every short form written out. */
export type Config = ReturnType<typeof normalize>

export function normalize({ kafka, routes, auth, http, ...settings }: Settings) {
  const { mode, refreshDestination } = auth
  const byDefault = mode === 'none' ? 'anyone' : 'nobody'
  const expires = mode === 'jwt' || mode === 'http'
  return {
    ...settings,
    http: { ...http, allowedOrigins: origins(http.allowedOrigins), corsOrigins: origins(http.corsOrigins) },
    auth: { ...auth, refreshDestination: expires ? refreshDestination : undefined },
    ...(kafka && { kafka: normalizeKafka(kafka) }),
    routes: Object.fromEntries(Object.entries(routes).map(([name, route]) => [name, normalizeRoute(route, byDefault)]))
  }
}

function origins(texts: readonly string[]): string[] {
  return texts.map(text => originOf(text) ?? text)
}

function normalizeKafka({ refill, ...kafka }: NonNullable<Settings['kafka']>) {
  return { ...kafka, refill: { maxAgeMs: durationMs(refill.maxAge), maxRecords: refill.maxRecords } }
}

function normalizeRoute(
  { topic, log, history, slow, slowBytes, send, allow, ...route }: RouteSettings,
  byDefault: 'anyone' | 'nobody'
) {
  const { ttl, ...kept } = log
  const { maxAge, ...shown } = history
  const everyone = { send: byDefault, subscribe: byDefault, history: byDefault }
  return {
    ...route,
    ...(topic !== undefined && { topic: named(topic) }),
    log: { ...kept, ttlMs: durationMs(ttl) },
    history: { ...shown, maxAgeMs: maxAge === undefined ? undefined : durationMs(maxAge) },
    slow: slow === 'close' ? { policy: slow } : { policy: slow, bytes: slowBytes },
    ...(send && { send: normalizeSend(send, route.destination) }),
    allow: { ...everyone, ...allow }
  }
}

function normalizeSend(
  { destination, produce, rate, reply, ...send }: NonNullable<RouteSettings['send']>,
  byDefault: string | undefined
) {
  const records = produce?.map(({ topic, ...record }) => ({
    ...record,
    ...(topic !== undefined && { topic: named(topic) })
  }))
  const to = destination ?? byDefault
  return {
    ...send,
    ...(to !== undefined && { destination: to }),
    ...(records && { produce: records }),
    ...(rate && { rate: { ...rate, burst: rate.burst ?? Math.ceil(rate.perSecond) } }),
    ...(reply !== undefined && reply !== 'none' && { reply: normalizeReply(reply) })
  }
}

function normalizeReply({ topic, timeout = '10s', ...reply }: Exclude<Reply, 'none'>) {
  return { ...reply, topic: named(topic), timeoutMs: durationMs(timeout) }
}

function named(topic: NonNullable<RouteSettings['topic']>): TopicConfig {
  return typeof topic === 'string' ? { name: topic } : topic
}
