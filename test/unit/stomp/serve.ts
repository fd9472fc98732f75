import assert from 'node:assert/strict'
import { after } from 'node:test'
import pino from 'pino'
import type { Auth, Credentials, Principal } from '../../../src/auth.ts'
import { BatonError } from '../../../src/errors.ts'
import type { Hub } from '../../../src/hub.ts'
import type { Inbound, Prepared, SendRequest } from '../../../src/inbound.ts'
import type { Delivery, Gap, Slow } from '../../../src/message.ts'
import { createMetrics } from '../../../src/metrics.ts'
import type { Audience, Produced } from '../../../src/ports.ts'
import type { Asked, Replies } from '../../../src/replies.ts'
import type { Place, Route, Routes, SendRule } from '../../../src/routes.ts'
import type { Member } from '../../../src/stomp/family.ts'
import { createFanout } from '../../../src/stomp/fanout.ts'
import { createStompServer } from '../../../src/stomp/server.ts'
import type { TransportOptions } from '../../../src/stomp/transport.ts'
import { type RawClient, stompPair } from '../../support/stomp-pair.ts'

type StompServerOptions = Parameters<typeof createStompServer>[0]

const OPTIONS: StompServerOptions = {
  maxSockets: 1000,
  maxSessionsPerAddress: 0,
  maxSessionsPerPrincipal: 0,
  version: '9.9.9',
  maxBodyBytes: 100_000,
  maxHeaders: 16,
  maxHeaderBytes: 4096,
  maxSubscriptions: 8,
  heartBeatMs: 10_000,
  connectTimeoutMs: 10_000,
  ackWindow: 8,
  sendQueueAgeMs: 30_000,
  maxPendingFrames: 16,
  maxTransactions: 2,
  transactionBytes: 2000,
  sendsPerSecond: 0,
  sendBurst: 1,
  sendQueuesBytes: 0
}

const ROUTE = { name: 'room', history: { size: 20, maxAgeMs: undefined } } as Route

/** A delivery as the hub makes it; `headers` are encoded lines. */
export function delivery(id: string, body: string | Buffer, headers = '', gap?: Gap): Delivery {
  const bytes = Buffer.from(body)
  const head = Buffer.from(`${headers}content-length:${bytes.length}\n\n`)
  const message = {
    timestampMs: Date.now(),
    hidden: false,
    omitted: false,
    bytes: Buffer.concat([head, bytes]),
    contentStart: 0,
    bodyStart: head.length
  }
  return { message, id, ...(gap !== undefined && { gap }) }
}

/** What is sent to `/pub/asked` is answered by a correlation id, to `/pub/claimed` by a field. */
function ruleOf(destination: string): SendRule {
  const claim = destination === '/pub/claimed' ? () => 'text' : undefined
  const reply = /^\/pub\/(asked|claimed)$/.test(destination) ? { topic: 'r', timeoutMs: 1000, claim } : undefined
  return { reply } as SendRule
}

/**
 * A STOMP server whose neighbours are plain objects: everything at `/sub/` can be subscribed to, everything at `/pub/` can be
 * sent to, a login or claim `may` of `no-<verb>` is not allowed that verb, and the fan-out is the real one.
 */
export function serve(overrides: Partial<StompServerOptions> = {}, slow: Slow = { policy: 'close' }) {
  const metrics = createMetrics()
  const createAudience = createFanout({ flushMs: 0 }, { metrics })
  const audiences = new Map<string, Audience<Member>>()
  const seen = {
    credentials: [] as Credentials[],
    starts: [] as object[],
    requests: [] as SendRequest[],
    produced: [] as Prepared[][],
    log: [] as Record<string, unknown>[]
  }
  const world = {
    /** What `hub.subscribe` waits for before it adds the member. */
    joining: Promise.resolve(),
    /** What is replayed before a subscription is live. */
    replays: [] as Delivery[],
    gap: undefined as Gap | undefined,
    async authenticate({ login, passcode }: Credentials): Promise<Principal> {
      if (passcode === 'wrong') throw new BatonError('UNAUTHENTICATED', 'the passcode is not the one of the login')
      return { name: login ?? 'guest', claims: {}, guest: login === undefined }
    },
    produce: (_: Prepared[]): Promise<Produced[]> => Promise.resolve([]),
    ask: async (_: Prepared): Promise<Asked> => assert.fail('nobody should ask')
  }

  function audienceOf(destination: string): Audience<Member> {
    const audience = audiences.get(destination) ?? createAudience(destination, slow)
    audiences.set(destination, audience)
    return audience
  }

  function route(destination: string, prefix: string): Place {
    if (!destination.startsWith(prefix)) throw new BatonError('UNKNOWN_DESTINATION', `no route takes ${destination}`)
    return { route: ROUTE, channel: destination, destination, names: {}, topics: new Set() }
  }

  const auth: Auth = {
    authenticate(credentials) {
      seen.credentials.push(credentials)
      return world.authenticate(credentials)
    },
    verifyToken: async (): Promise<Principal> => ({ name: 'token', claims: {}, guest: false }),
    authorize(verb, _route, principal) {
      if (principal.name === `no-${verb}` || principal.claims['may'] === `no-${verb}`)
        throw new BatonError('FORBIDDEN', `${verb} is not allowed on route room`)
    }
  }

  const routes: Routes = {
    all: [ROUTE],
    resolve: () => [],
    answer: () => undefined,
    subscribable: destination => route(destination, '/sub/'),
    sendable: destination => ({ ...route(destination, '/pub/'), rule: ruleOf(destination) })
  }

  const hub: Hub<Member> = {
    async subscribe({ destination }, member, start, signal) {
      seen.starts.push(start)
      await Promise.race([world.joining, new Promise((_, reject) => signal.addEventListener('abort', reject))])
      const audience = audienceOf(destination)
      await audience.replay(member, world.replays, signal)
      audience.add(member)
      const { gap } = world
      return {
        resumed: start.after !== undefined && gap === undefined,
        ...(gap !== undefined && { gap }),
        lastMessageId: 'e.7',
        unsubscribe: () => audience.remove(member)
      }
    },
    listener: { message() {}, restored() {} },
    close() {}
  }

  const inbound: Inbound = {
    async prepare(request) {
      if (request.body.toString() === 'bad') throw new BatonError('INVALID_BODY', 'the body must be good')
      seen.requests.push(request)
      const headers = { ...request.headers }
      return { route: ROUTE, records: [{ topic: 't', key: null, value: request.body, headers }] }
    },
    produce(prepared) {
      seen.produced.push(prepared)
      return world.produce(prepared)
    }
  }

  const replies: Pick<Replies, 'ask'> = { ask: prepared => world.ask(prepared) }
  const logger = pino({ level: 'debug' }, { write: line => void seen.log.push(JSON.parse(line)) })
  const options = { ...OPTIONS, ...overrides }
  const server = createStompServer(options, { auth, routes, hub, inbound, replies, metrics, logger })
  after(() => server.close())

  function open(
    upgrade: { authorization?: string; accessToken?: string } = {},
    transport?: TransportOptions
  ): RawClient {
    const pair = stompPair(transport)
    server.accept(pair.transport, { path: '/ws', remoteAddress: '192.0.2.1', ...upgrade })
    return pair.client
  }

  return {
    server,
    metrics,
    seen,
    world,
    open,
    /** A client that is connected. */
    async connect(version = '1.2', headers = ''): Promise<RawClient> {
      const client = open()
      client.send(`CONNECT\naccept-version:${version}\n${headers}\n^@`)
      await client.expect('CONNECTED')
      return client
    },
    audienceOf,
    publish(destination: string, ...deliveries: Delivery[]): void {
      for (const one of deliveries) audienceOf(destination).push(one)
    },
    /** Bodies of what was produced, call by call. */
    producedBodies: () => seen.produced.map(call => call.map(({ records }) => String(records[0]?.value)))
  }
}

/** The client gets an ERROR with this code, then the connection is closed with the code of its row. @returns the ERROR. */
export async function refused(client: RawClient, code: string, closeCode: number) {
  const error = await client.expect('ERROR')
  if (error.headers['code'] !== code) {
    throw new Error(`${code} expected, not ${error.headers['code']}: ${error.body}`)
  }
  const { code: closed } = await client.closed()
  if (closed !== closeCode) throw new Error(`close code ${closeCode} expected, not ${closed}`)
  return error
}
