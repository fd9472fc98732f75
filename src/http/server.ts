import type { AddressInfo } from 'node:net'
import cors from '@fastify/cors'
import fastify, { type FastifyBaseLogger, type FastifyInstance } from 'fastify'
import type { Logger } from 'pino'
import type { Auth } from '../auth.ts'
import { BatonError } from '../errors.ts'
import type { Inbound } from '../inbound.ts'
import type { Metrics } from '../metrics.ts'
import type { ChannelLog } from '../ports.ts'
import type { Replies } from '../replies.ts'
import type { Routes } from '../routes.ts'
import { type RouteView, registerConsole, type SessionView } from './console.ts'
import { registerHistory } from './history.ts'
import { type Check, registerOpenApi, registerOps } from './ops.ts'
import { refusalOf, refuseUnparsed, sendProblem } from './problem.ts'
import { registerPublish } from './publish.ts'
import { loggedUrl } from './request.ts'
import { type Accept, registerSockets } from './socket.ts'

// Listens early, with /readyz at 503, and closes late: from `drain` on it refuses new sockets and says that it is not
// ready, while the sessions are closed by their owner; `close` then cuts what is left.

export interface HttpOptions {
  http: {
    host: string
    /** 0: any free one. */
    port: number
    corsOrigins: readonly string[]
    /** Origins whose pages may open a WebSocket. None: those of the same host, or any where `auth.mode` is `none`. */
    allowedOrigins: readonly string[]
    maxBodyBytes: number
  }
  stomp: { paths: readonly string[]; maxBodyBytes: number; maxHeaderBytes: number }
  auth: { mode: 'none' | 'users' | 'jwt' }
  routes: Readonly<Record<string, RouteView>>
  version: string
}

/** What a replica with the role `edge` has. */
export interface EdgeDeps {
  routes: Routes
  log: ChannelLog
  auth: Auth
  accept: Accept
  sessions(): Iterable<SessionView>
}

/** What a replica with the role `ingest` has, and one with the role `edge`. */
export interface IngestDeps {
  routes: Routes
  auth: Auth
  inbound: Inbound
  replies: Pick<Replies, 'ask'>
}

/** Health and metrics are always served, all else by role. */
export interface HttpDeps {
  logger: Logger
  metrics: Metrics
  checks(): Check[]
  edge?: EdgeDeps
  ingest?: IngestDeps
}

export interface HttpServer {
  /** Resolves when it listens. @throws the system's error (EADDRINUSE, EACCES), which names the address. */
  start(): Promise<{ address: string; port: number }>
  /** From now on: /readyz 503, new WebSockets refused with 503. */
  drain(): void
  /** Ends requests and sockets; idempotent. */
  close(): Promise<void>
}

const REQUEST_TIMEOUT_MS = 30_000

export function createHttpServer(options: HttpOptions, deps: HttpDeps): HttpServer {
  let app: FastifyInstance | undefined
  let draining = false
  return {
    async start() {
      const { host, port } = options.http
      app = await build(options, deps, () => draining)
      await app.listen({ host, port })
      return app.server.address() as AddressInfo
    },
    drain() {
      draining = true
    },
    async close() {
      draining = true
      await app?.close()
    }
  }
}

async function build(
  options: HttpOptions,
  { logger, metrics, checks, edge, ingest }: HttpDeps,
  draining: () => boolean
): Promise<FastifyInstance> {
  const { http, stomp, auth, routes, version } = options
  const app = fastify({
    // Its own lines at info: one per request, and one per network interface that it listens on.
    loggerInstance: logger.child({}, logger.isLevelEnabled('warn') ? { level: 'warn' } : {}) as FastifyBaseLogger,
    bodyLimit: http.maxBodyBytes,
    requestTimeout: REQUEST_TIMEOUT_MS,
    routerOptions: { maxParamLength: 2048 },
    clientErrorHandler: refuseUnparsed,
    frameworkErrors: (error, _, reply) => void sendProblem(reply, refusalOf(error))
  })
  app.setSerializerCompiler(() => JSON.stringify)
  // A body is bytes, whatever its type: `inbound` reads what a route asks it to read.
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_, body, done) => done(null, body))

  app.setErrorHandler((error, request, reply) => {
    const refusal = refusalOf(error)
    metrics.refused.inc({ code: refusal.code })
    if (refusal.code === 'INTERNAL') {
      logger.error({ err: error, method: request.method, url: loggedUrl(request.url) }, 'request failed')
    }
    return sendProblem(reply, refusal)
  })
  app.addHook('onResponse', async ({ method, url }, { statusCode, elapsedTime }) => {
    logger.debug({ method, url: loggedUrl(url), status: statusCode, ms: Math.round(elapsedTime) }, 'request')
  })
  answerUnknown(app)
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
  registerOps(app, {
    metrics,
    checks: () => (draining() ? [...checks(), { name: 'http', ok: false, detail: 'going away' }] : checks())
  })
  if (edge) {
    const open = auth.mode === 'none'
    await registerSockets(
      app,
      {
        paths: stomp.paths,
        allowedOrigins: http.allowedOrigins.length === 0 && open ? ['*'] : http.allowedOrigins,
        // Well over a frame, so that one too large is refused by an ERROR that says so, and many may share a message.
        maxMessageBytes: 4 * (stomp.maxBodyBytes + stomp.maxHeaderBytes)
      },
      { accept: edge.accept, draining, logger }
    )
    registerHistory(app, edge)
    await registerConsole(app, { ...edge, metrics, views: routes, stompPath: stomp.paths[0] as string, open })
  }
  if (ingest) registerPublish(app, { ...ingest, schemaOf: name => routes[name]?.send?.schema })
  return app
}

/** 404 for a path that nothing serves, 405 with `Allow` for one that other methods serve. */
function answerUnknown(app: FastifyInstance): void {
  const served: { path: RegExp; methods: Set<string> }[] = []
  app.addHook('onRoute', ({ url, method }) => {
    // The OPTIONS of @fastify/cors, which is there for every path, serves none.
    if (url === '*') return
    const pattern = url
      .replace(/[.+?^${}()|[\]\\]/g, '\\$&')
      .replace(/::|:\w+/g, part => (part === '::' ? ':' : '[^/]+'))
      .replaceAll('*', '.*')
    served.push({ path: new RegExp(`^${pattern}$`), methods: new Set([method].flat()) })
  })
  app.setNotFoundHandler((request, reply) => {
    const path = request.url.split('?', 1)[0] as string
    const methods = new Set(served.filter(route => route.path.test(path)).flatMap(route => [...route.methods]))
    if (methods.size === 0 || methods.has(request.method))
      return sendProblem(reply, new BatonError('NOT_FOUND', `nothing is served at ${path}`))
    const allow = [...methods].join(', ')
    const detail = `${path} does not take ${request.method}, only ${allow}`
    return sendProblem(reply.header('allow', allow), new BatonError('METHOD_NOT_ALLOWED', detail))
  })
}
