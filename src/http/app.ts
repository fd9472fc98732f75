import fastify, { type FastifyBaseLogger, type FastifyInstance } from 'fastify'
import type { Logger } from 'pino'
import type { BatonError } from '../errors.ts'
import type { Metrics } from '../metrics.ts'
import { refuseForeignPages } from './origin.ts'
import { endWithProblem, refusalOf, refuseUnrouted, sendProblem, unparsedRefusal } from './problem.ts'
import { pathOf, withoutToken } from './request.ts'
import { SAFE_HEADERS, SAFE_TLS_HEADERS } from './safe-headers.ts'
import { closeSilent } from './silent.ts'
import { refuseUnknown } from './unknown.ts'

export interface AppOptions {
  /** Origins whose pages may POST, and read the answers; `*` is any. */
  corsOrigins: readonly string[]
  maxBodyBytes: number
  headersTimeoutMs: number
  requestTimeoutMs: number
  /** Addresses and networks whose `X-Forwarded-For` is believed. */
  trustProxy: readonly string[]
}

/** PEM. */
export interface Tls {
  cert: string
  key: string
}

/** How often Node looks for requests that are overdue. */
const OVERDUE_CHECK_MS = 1000

/** What every listener has: its limits, its log lines, its refusals, each of which is counted. */
export function createApp(
  { corsOrigins, maxBodyBytes, headersTimeoutMs, requestTimeoutMs, trustProxy }: AppOptions,
  { logger, metrics }: { logger: Logger; metrics: Metrics },
  tls?: Tls
): FastifyInstance {
  const bounds = { headersTimeout: headersTimeoutMs, connectionsCheckingInterval: OVERDUE_CHECK_MS }
  const app: FastifyInstance = fastify({
    ...(tls
      ? { https: { ...bounds, ...tls, minVersion: 'TLSv1.2', handshakeTimeout: headersTimeoutMs } }
      : { http: bounds }),
    // Its own lines at info: one per request, and one per network interface that it listens on.
    loggerInstance: logger.child({}, logger.isLevelEnabled('warn') ? { level: 'warn' } : {}) as FastifyBaseLogger,
    bodyLimit: maxBodyBytes,
    requestTimeout: requestTimeoutMs,
    trustProxy: [...trustProxy],
    routerOptions: { maxParamLength: 2048 },
    rewriteUrl: withoutToken,
    clientErrorHandler(error, socket) {
      if (error.code === 'ECONNRESET' || !socket.writable) return
      const refusal = counted(unparsedRefusal(error))
      // Without a handshake there is nothing to say it by.
      if (/^ERR_(?:TLS|SSL)_/.test(error.code ?? '')) socket.destroy()
      else endWithProblem(socket, refusal)
    },
    frameworkErrors: (error, request, reply) => refuseUnrouted(counted(refusalOf(error)), request, reply)
  })
  app.setSerializerCompiler(() => JSON.stringify)
  // A body is bytes, whatever its type: `inbound` reads what a route asks it to read.
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_, body, done) => done(null, body))

  function counted(refusal: BatonError): BatonError {
    metrics.refused.inc({ code: refusal.code })
    return refusal
  }

  app.setErrorHandler((error, request, reply) => {
    const refusal = counted(refusalOf(error))
    if (refusal.code === 'INTERNAL') {
      logger.error({ err: error, method: request.method, path: pathOf(request.url) }, 'request failed')
    }
    return sendProblem(reply, refusal)
  })
  app.addHook('onRequest', async (_, reply) => {
    reply.headers(tls ? SAFE_TLS_HEADERS : SAFE_HEADERS)
  })
  refuseForeignPages(app, corsOrigins)
  app.addHook('onResponse', async ({ method, url }, { statusCode, elapsedTime }) => {
    logger.debug({ method, path: pathOf(url), status: statusCode, ms: Math.round(elapsedTime) }, 'request')
  })
  // A client that does not read its answer: any other one makes some progress in that time.
  app.addHook('onSend', async (_, { raw }) => {
    raw.setTimeout(requestTimeoutMs, () => {
      metrics.refused.inc({ code: 'SLOW_CONSUMER' })
      raw.destroy()
    })
  })
  closeSilent(app)
  refuseUnknown(app)
  return app
}
