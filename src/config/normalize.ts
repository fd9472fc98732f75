import type { RouteSettings } from './route.ts'
import type { Settings } from './settings.ts'
import { durationMs } from './types.ts'

/** One entry of `routes`, with its defaults. */
export type RouteConfig = ReturnType<typeof normalizeRoute>

/** What the rest of the process is given: `Settings` with durations in milliseconds and every short form written out. */
export type Config = ReturnType<typeof normalize>

export function normalize({ kafka, routes, ...settings }: Settings) {
  const byDefault = settings.auth.mode === 'none' ? 'anyone' : 'nobody'
  return {
    ...settings,
    ...(kafka && { kafka: normalizeKafka(kafka) }),
    routes: Object.fromEntries(Object.entries(routes).map(([name, route]) => [name, normalizeRoute(route, byDefault)]))
  }
}

function normalizeKafka({ refill, ...kafka }: NonNullable<Settings['kafka']>) {
  return { ...kafka, refill: { maxAgeMs: durationMs(refill.maxAge), maxRecords: refill.maxRecords } }
}

function normalizeRoute({ topic, log, history, send, allow, ...route }: RouteSettings, byDefault: 'anyone' | 'nobody') {
  const { ttl, ...kept } = log
  const { maxAge, ...shown } = history
  const named: Exclude<typeof topic, string> = typeof topic === 'string' ? { name: topic } : topic
  const everyone = { send: byDefault, subscribe: byDefault, history: byDefault }
  return {
    ...route,
    topic: named,
    log: { ...kept, ttlMs: durationMs(ttl) },
    history: { ...shown, maxAgeMs: maxAge === undefined ? undefined : durationMs(maxAge) },
    ...(send && { send: { ...send, destination: send.destination ?? route.destination } }),
    allow: { ...everyone, ...allow }
  }
}
