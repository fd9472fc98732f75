import { randomUUID } from 'node:crypto'
import fastify, { type FastifyInstance } from 'fastify'
import pino from 'pino'
import { type Auth, createAuth } from '../../../src/auth.ts'
import type { Config } from '../../../src/config.ts'
import { registerHistory } from '../../../src/http/history.ts'
import { createHub } from '../../../src/hub.ts'
import { createInbound, type Inbound } from '../../../src/inbound.ts'
import { createMemoryBroker } from '../../../src/memory/broker.ts'
import { createMemoryLog } from '../../../src/memory/log.ts'
import { createMetrics } from '../../../src/metrics.ts'
import type { ChannelLog } from '../../../src/ports.ts'
import { createRelay } from '../../../src/relay.ts'
import { createReplies } from '../../../src/replies.ts'
import { createRoutes, type Routes } from '../../../src/routes.ts'
import { createFanout } from '../../../src/stomp/fanout.ts'
import { createStompServer, type StompServer } from '../../../src/stomp/server.ts'
import { deadLetterTopicOf, topicsOf } from '../../../src/topics.ts'

// A whole replica without a socket: the memory broker, the memory log, and everything between them and a transport.

export interface Inside extends AsyncDisposable {
  routes: Routes
  inbound: Inbound
  auth: Auth
  log: ChannelLog
  stomp: StompServer
  /** GET /history, by `inject`. */
  http: FastifyInstance
  /** Lines at error or above, which nothing that a client does may cause. */
  errors: string[]
}

export async function openInside(config: Config): Promise<Inside> {
  const errors: string[] = []
  const logger = pino({ level: 'error' }, { write: line => void errors.push(line) })
  const metrics = createMetrics()
  const routes = createRoutes(config.routes)
  const topics = [...topicsOf(config), deadLetterTopicOf(config)].map(({ name, partitions = 1, consumed }) => ({
    name,
    partitions,
    consumed
  }))
  const { source, sink } = createMemoryBroker({ topics }, { logger })
  const { log, claims, createFeed } = createMemoryLog()
  const feed = createFeed()
  const auth = createAuth(config.auth, { logger })
  const inbound = createInbound({ maxBodyBytes: config.stomp.maxBodyBytes }, { auth, sink, metrics })
  const replies = createReplies({ replicaId: randomUUID() }, { feed, inbound, claims, metrics })
  const hub = createHub(
    { joinTimeoutMs: 5000, resumeTimeoutMs: 0, sweepIntervalMs: 600_000 },
    { log, feed, createAudience: createFanout({ flushMs: 0 }, { metrics }), metrics, logger }
  )
  const stomp = createStompServer(
    { ...config.stomp, version: '0' },
    { auth, routes, hub, inbound, replies, metrics, logger }
  )
  const http = fastify()
  registerHistory(http, { routes, log, auth })
  const relay = createRelay(
    { startFrom: 'earliest', refill: { maxAgeMs: 0, maxRecords: 0 } },
    { routes, log, claims, deadLetter: { send: async () => undefined }, metrics, logger }
  )
  await Promise.all([sink.start(), log.start(), feed.start(hub.listener)])
  await source.start(relay)
  return {
    ...{ routes, inbound, auth, log, stomp, http, errors },
    async [Symbol.asyncDispose]() {
      await source.close()
      await stomp.close()
      hub.close()
      await Promise.all([http.close(), feed.close(), log.close(), sink.close()])
    }
  }
}
