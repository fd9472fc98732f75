import pino from 'pino'
import type { Auth, Principal } from '../../../src/auth.ts'
import { BatonError } from '../../../src/errors.ts'
import {
  createHttpServer,
  type EdgeDeps,
  type HttpDeps,
  type HttpOptions,
  type IngestDeps
} from '../../../src/http/server.ts'
import { decodeMessage, encodeEntry, envelopeHead, type Message } from '../../../src/message.ts'
import { createMetrics } from '../../../src/metrics.ts'
import type { ChannelLog } from '../../../src/ports.ts'
import type { Route, Routes, SendRule } from '../../../src/routes.ts'

// A server on a free port over plain objects of our own interfaces: no Kafka, no Redis, no STOMP.

export interface LogItem {
  seq: number
  offset?: number
  epoch?: string
  topic?: string
  partition?: number
  timestampMs?: number
  hidden?: boolean
  omitted?: boolean
  headers?: string
  body?: string | Buffer
}

export function logged(item: LogItem): Message {
  const {
    seq,
    offset = seq + 100,
    epoch = 'e1',
    topic = 'chat',
    partition = 2,
    timestampMs = Date.UTC(2026, 0, 2) + seq,
    hidden = false
  } = item
  const coordinate = { source: `my%2Fgroup/${topic}/${partition}~i1`, offset }
  const body = Buffer.from(item.body ?? `{"n":${seq}}`)
  const headers = item.headers ?? `content-type:application/json\ncontent-length:${body.length}\n`
  const tail = encodeEntry({ coordinate, timestampMs, hidden, headers, body }, item.omitted)
  return decodeMessage(Buffer.concat([Buffer.from(envelopeHead({ epoch, seq })), tail]))
}

export function aRoute(over: Partial<Route> = {}): Route {
  return {
    name: 'chat',
    log: { size: 1000, ttlMs: 1000, maxBodyBytes: 1000 },
    history: { size: 200, maxAgeMs: undefined },
    slow: { policy: 'close' },
    send: undefined,
    allow: { send: 'anyone', subscribe: 'anyone', history: 'anyone' },
    ...over
  }
}

/** A rule that only says where the way in is. */
export function sendBy(http: string): SendRule {
  const refuse = () => {
    throw new Error('not asked for here')
  }
  return {
    http,
    many: false,
    allowedByNames: false,
    read: refuse,
    token: undefined,
    rate: undefined,
    validate: refuse,
    stamp: refuse,
    reply: undefined
  }
}

/** Only `read` of a log. */
export function logOf(entries: Message[], reads: (number | undefined)[] = []): ChannelLog {
  const refuse = () => Promise.reject(new Error('not asked for here'))
  return {
    ready: true,
    append: refuse,
    restart: refuse,
    forget: refuse,
    fences: refuse,
    claim: refuse,
    heads: refuse,
    start: refuse,
    close: refuse,
    async read(_, last) {
      reads.push(last)
      return {
        head: {},
        entries: last === undefined ? entries : entries.slice(-last),
        fences: new Map(),
        floors: new Map(),
        ceilings: new Map()
      }
    }
  }
}

export function routesOf(...all: Route[]): Routes {
  return {
    all,
    resolve: () => [],
    answer: () => undefined,
    subscribable(destination) {
      const route = all.find(({ name }) => destination.startsWith(`/sub/${name}/`))
      if (!route) throw new BatonError('UNKNOWN_DESTINATION', `no route takes ${destination}`)
      return { route, channel: destination, destination, names: {}, topics: new Set([route.name]) }
    },
    sendable: destination => {
      throw new BatonError('UNKNOWN_DESTINATION', destination)
    }
  }
}

const guest: Principal = { name: 'guest', claims: {}, guest: true }

/** Everyone is welcome as a guest; `Bearer <name>` makes somebody of you, and `Bearer bad` nobody. */
export const openAuth: Auth = {
  async authenticate({ authorization, accessToken }) {
    const token = authorization?.replace('Bearer ', '') ?? accessToken
    if (token === 'bad') throw new BatonError('UNAUTHENTICATED', 'the token has expired')
    return token === undefined ? guest : { name: token, claims: {}, guest: false }
  },
  verifyToken: () => Promise.reject(new BatonError('UNAUTHENTICATED', 'no tokens here')),
  authorize(verb, route, principal) {
    if (route.allow[verb] === 'authenticated' && principal.guest)
      throw new BatonError('FORBIDDEN', `guests may not ${verb} ${route.name}`)
  }
}

export interface Over {
  admin?: Partial<HttpOptions['admin']>
  revocations?: HttpDeps['revocations']
  http?: Partial<HttpOptions['http']>
  stomp?: Partial<HttpOptions['stomp']>
  auth?: HttpOptions['auth']['mode']
  routes?: HttpOptions['routes']
  checks?: HttpDeps['checks']
  edge?: Partial<EdgeDeps> | false
  ingest?: Partial<IngestDeps> | false
  logger?: pino.Logger
}

/** Starts a server; `url` has no trailing slash. Closed by `await using`. */
export async function serve(over: Over = {}) {
  const edge: EdgeDeps = {
    routes: routesOf(aRoute()),
    log: logOf([]),
    auth: openAuth,
    admit: () => undefined,
    accept: ws => ws.close(1000),
    sessions: () => [],
    ...over.edge
  }
  const ingest: IngestDeps = {
    routes: edge.routes,
    auth: edge.auth,
    inbound: { prepare: () => Promise.reject(new Error('not asked for here')), produce: async () => [] },
    replies: { ask: () => Promise.reject(new Error('not asked for here')) },
    allowanceOf: () => () => undefined,
    ...over.ingest
  }
  const metrics = createMetrics()
  const server = createHttpServer(
    {
      http: {
        host: '127.0.0.1',
        port: 0,
        corsOrigins: [],
        allowedOrigins: [],
        allowAbsentOrigin: false,
        maxBodyBytes: 1024,
        headersTimeoutMs: 1000,
        requestTimeoutMs: 2000,
        trustProxy: [],
        console: true,
        ...over.http
      },
      admin: { host: '127.0.0.1', ...over.admin },
      stomp: { paths: ['/ws'], maxBodyBytes: 1024, maxHeaderBytes: 1024, maxSockets: 1000, ...over.stomp },
      auth: { mode: over.auth ?? 'none' },
      routes: over.routes ?? {},
      version: '1.2.3'
    },
    {
      logger: over.logger ?? pino({ level: 'silent' }),
      metrics,
      checks: over.checks ?? (() => []),
      ...(over.revocations && { revocations: over.revocations }),
      ...(over.edge !== false && { edge }),
      ...(over.ingest !== false && { ingest })
    }
  )
  const {
    http: { port },
    admin
  } = await server.start()
  return {
    server,
    metrics,
    port,
    ...(admin && { adminUrl: `http://127.0.0.1:${admin.port}` }),
    url: `http://127.0.0.1:${port}`,
    wsUrl: `ws://127.0.0.1:${port}/ws`,
    [Symbol.asyncDispose]: () => server.close()
  }
}
