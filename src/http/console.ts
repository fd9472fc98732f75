import { fileURLToPath } from 'node:url'
import files from '@fastify/static'
import type { FastifyInstance, FastifyReply } from 'fastify'
import type { Auth } from '../auth.ts'
import { BatonError } from '../errors.ts'
import type { Metrics } from '../metrics.ts'
import type { Routes } from '../routes.ts'
import { principalOf } from './request.ts'

/** A connected session as the console shows it. */
export interface SessionView {
  id: string
  principal: string
  destinations: readonly string[]
}

/** A route's templates as they are configured, for the console and the OpenAPI document. */
export interface RouteView {
  /** Absent: a way in only. */
  destination?: string
  send?: { destination?: string; http?: string; schema?: object | boolean }
}

export interface ConsoleDeps {
  auth: Auth
  metrics: Metrics
  routes: Routes
  views: Readonly<Record<string, RouteView>>
  stompPath: string
  /** Nobody has to show who they are (`auth.mode: none`): then anyone may see who is connected. */
  open: boolean
  sessions(): Iterable<SessionView>
}

const SESSIONS_SHOWN = 200
const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

/** The console page at `/`, and what it asks of this replica. */
export async function registerConsole(
  app: FastifyInstance,
  { auth, metrics, routes, views, stompPath, open, sessions }: ConsoleDeps
): Promise<void> {
  const schema = { hide: true }
  await app.register(files, {
    root: fileURLToPath(new URL('console/', import.meta.url)),
    prefix: '/console/',
    schemaHide: true,
    cacheControl: false,
    setHeaders: guard
  })
  await app.register(files, {
    root: fileURLToPath(new URL('.', import.meta.resolve('@stomp/stompjs'))),
    prefix: '/console/stompjs/',
    decorateReply: false,
    schemaHide: true,
    cacheControl: false,
    setHeaders: guard
  })
  app.get('/', { schema }, (_, reply) => reply.sendFile('index.html'))

  const historySizes = new Map(routes.all.map(({ name, history }) => [name, history.size]))
  app.get('/console/config', { schema }, () => ({
    stompPath,
    routes: Object.entries(views)
      .filter(([, { destination }]) => destination !== undefined)
      .map(([name, { destination, send }]) => ({
        name,
        destination,
        send: send?.destination,
        http: send?.http,
        historySize: historySizes.get(name)
      }))
  }))

  app.get('/console/stats', { schema }, async (request, reply) => {
    if (!open && (await principalOf(request, auth)).guest)
      throw new BatonError('FORBIDDEN', 'guests may not see who is connected')
    const { records, appended, produced, deliveries, sessions: connected, subscriptions, channels } = metrics
    const counters = { records, appended, produced, deliveries, sessions: connected, subscriptions, channels }
    const entries = Object.entries(counters).map(
      async ([name, metric]) => [name, sum((await metric.get()).values)] as const
    )
    return reply.header('cache-control', 'no-store').send({
      counters: Object.fromEntries(await Promise.all(entries)),
      sessions: Iterator.from(sessions()).take(SESSIONS_SHOWN).toArray()
    })
  })
}

function guard(reply: FastifyReply): void {
  reply.headers({
    'content-security-policy': POLICY,
    'cross-origin-opener-policy': 'same-origin',
    'cache-control': 'no-cache'
  })
}

function sum(values: readonly { value: number }[]): number {
  return values.reduce((total, { value }) => total + value, 0)
}
