import type { AddressInfo } from 'node:net'
import cors from '@fastify/cors'
import type { FastifyInstance } from 'fastify'
import type { Logger } from 'pino'
import type { Auth } from '../auth.ts'
import type { Inbound } from '../inbound.ts'
import type { Metrics } from '../metrics.ts'
import type { ChannelLog } from '../ports.ts'
import type { Allowance } from '../rates.ts'
import type { Replies } from '../replies.ts'
import type { Revocations } from '../revocations.ts'
import type { Routes } from '../routes.ts'
import { registerAdmin } from './admin.ts'
import { type AppOptions, createApp, type Tls } from './app.ts'
import { type RouteView, registerConsole, type SessionView } from './console.ts'
import { registerHistory } from './history.ts'
import { type Check, registerHealth, registerMetrics, registerOpenApi } from './ops.ts'
import { registerPublish } from './publish.ts'
import { type Accept, type Admit, registerSockets } from './socket.ts'

// Listens early, with /readyz at 503, and closes late: from `drain` on it refuses new sockets and says that it is not
// ready, while the sessions are closed by their owner; `close` then cuts what is left.

export interface HttpOptions {
  http: AppOptions & {
    host: string
    /** 0: any free one. */
    port: number
    /** Origins whose pages may open a WebSocket. None: those of the same host, where `auth.mode` is `none` of localhost too. */
    allowedOrigins: readonly string[]
    /** Where origins are checked, a WebSocket may come without one. */
    allowAbsentOrigin: boolean
    /** Whether the page at `/` is served. */
    console: boolean
    /** PEM. Absent: plain text. */
    tls?: Tls
  }
  /** Metrics and admin calls are served there, with a port, and there only. Without a token there are no admin calls. */
  admin: { host: string; port?: number; token?: string }
  stomp: { paths: readonly string[]; maxBodyBytes: number; maxHeaderBytes: number; maxSockets: number }
  auth: { mode: 'none' | 'users' | 'jwt' | 'http' }
  routes: Readonly<Record<string, RouteView>>
  version: string
}

/** What a replica with the role `edge` has. */
export interface EdgeDeps {
  routes: Routes
  log: ChannelLog
  auth: Auth
  admit: Admit
  accept: Accept
  sessions(): Iterable<SessionView>
}

/** What a replica with the role `ingest` has, and one with the role `edge`. */
export interface IngestDeps {
  routes: Routes
  auth: Auth
  inbound: Inbound
  replies: Pick<Replies, 'ask'>
  allowanceOf(sender: string): Allowance
}

/** Health and metrics are always served, all else by role. */
export interface HttpDeps {
  logger: Logger
  metrics: Metrics
  checks(): Check[]
  /** What a replica has that knows of them. */
  revocations?: Pick<Revocations, 'list' | 'revoke' | 'lift'>
  edge?: EdgeDeps
  ingest?: IngestDeps
}

export type Address = Pick<AddressInfo, 'address' | 'port'>

export interface HttpServer {
  /** Resolves when it listens. @throws the system's error (EADDRINUSE, EACCES), which names the address. */
  start(): Promise<{ http: Address; admin?: Address }>
  /** From now on: /readyz 503, new WebSockets refused with 503. */
  drain(): void
  /** Ends requests and sockets; idempotent. */
  close(): Promise<void>
}

/** Of connections that are no WebSocket: health checks are answered when there is no room for another. */
const SPARE_CONNECTIONS = 1000

export function createHttpServer(options: HttpOptions, deps: HttpDeps): HttpServer {
  const { http, admin } = options
  const apps: FastifyInstance[] = []
  let draining = false

  async function listen(app: FastifyInstance, host: string, port: number): Promise<Address> {
    apps.push(app)
    await app.listen({ host, port })
    return app.server.address() as AddressInfo
  }

  return {
    async start() {
      const isDraining = () => draining
      const own = await listen(await build(options, deps, isDraining), http.host, http.port)
      if (admin.port === undefined) return { http: own }
      return { http: own, admin: await listen(await buildAdmin(options, deps, isDraining), admin.host, admin.port) }
    },
    drain() {
      draining = true
    },
    async close() {
      draining = true
      await Promise.all(apps.map(app => app.close()))
    }
  }
}

/** What only those who run it are to see. */
function registerInner(app: FastifyInstance, { admin }: HttpOptions, { metrics, revocations }: HttpDeps): void {
  registerMetrics(app, metrics)
  if (admin.token !== undefined && revocations) registerAdmin(app, { token: admin.token, revocations })
}

async function buildAdmin(options: HttpOptions, deps: HttpDeps, draining: () => boolean): Promise<FastifyInstance> {
  const app = createApp(options.http, deps)
  await registerOpenApi(app, options.version)
  registerHealth(app, { checks: deps.checks, draining })
  registerInner(app, options, deps)
  return app
}

async function build(options: HttpOptions, deps: HttpDeps, draining: () => boolean): Promise<FastifyInstance> {
  const { http, stomp, auth, routes, version } = options
  const { logger, metrics, checks, edge, ingest } = deps
  const app = createApp(http, deps, http.tls)
  app.server.maxConnections = stomp.maxSockets + SPARE_CONNECTIONS
  app.server.on('drop', () => metrics.refused.inc({ code: 'TOO_MANY_SOCKETS' }))
  if (http.corsOrigins.length > 0) {
    await app.register(cors, {
      origin: http.corsOrigins.includes('*') ? '*' : [...http.corsOrigins],
      methods: ['GET', 'HEAD', 'POST', 'PUT'],
      exposedHeaders: ['etag', 'retry-after', 'www-authenticate'],
      // Its refusal of an OPTIONS that asks for nothing would be no problem document.
      strictPreflight: false,
      maxAge: 600
    })
  }

  await registerOpenApi(app, version)
  registerHealth(app, { checks, draining })
  if (options.admin.port === undefined) registerInner(app, options, deps)
  if (edge) {
    const open = auth.mode === 'none'
    await registerSockets(
      app,
      {
        paths: stomp.paths,
        origins: {
          allowed: http.allowedOrigins,
          allowAbsent: http.allowAbsentOrigin || (open && http.allowedOrigins.length === 0),
          allowLocal: open
        },
        // Well over a frame, so that one too large is refused by an ERROR that says so, and many may share a message.
        maxMessageBytes: 4 * (stomp.maxBodyBytes + stomp.maxHeaderBytes)
      },
      { ...edge, draining, metrics, logger }
    )
    registerHistory(app, edge)
    if (http.console)
      await registerConsole(app, { ...edge, metrics, views: routes, stompPath: stomp.paths[0] as string, open })
  }
  if (ingest) registerPublish(app, { ...ingest, schemaOf: name => routes[name]?.send?.schema })
  return app
}
