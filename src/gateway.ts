import { randomUUID } from 'node:crypto'
import type { Duplex } from 'node:stream'
import type { Logger } from 'pino'
import type { WebSocket } from 'ws'
import { createAuth } from './auth.ts'
import type { Config } from './config.ts'
import { BatonError } from './errors.ts'
import { type Address, createHttpServer } from './http/server.ts'
import type { Upgrade } from './http/socket.ts'
import { createHub } from './hub.ts'
import { createInbound } from './inbound.ts'
import { createKafkaClient } from './kafka/client.ts'
import { createKafkaSource } from './kafka/consumer.ts'
import { createDeadLetter } from './kafka/dead-letter.ts'
import { createKafkaSink } from './kafka/producer.ts'
import { createTopics } from './kafka/topics.ts'
import { createMemoryBroker } from './memory/broker.ts'
import { createMemoryLog } from './memory/log.ts'
import { createMetrics } from './metrics.ts'
import { REVOCATIONS_CHANNEL, type RevocationStore } from './ports/revocations.ts'
import type { ChannelFeed, ChannelLog, Claims, FeedListener, RecordSink, RecordSource } from './ports.ts'
import { createAllowances } from './rates.ts'
import { createRedisLog } from './redis/log.ts'
import { createRedisFeed } from './redis/subscriber.ts'
import { createRelay } from './relay.ts'
import { createReplies } from './replies.ts'
import { createRevocations } from './revocations.ts'
import { createRoutes } from './routes.ts'
import { createFanout } from './stomp/fanout.ts'
import { createStompServer } from './stomp/server.ts'
import { createWebSocketTransport } from './stomp/socket-transport.ts'
import { deadLetterTopicOf, topicsOf } from './topics.ts'

// The composition root. HTTP listens first, with /readyz at 503, so that a Redis or Kafka that is away at start can be seen;
// then producer, which waits for nothing else → redis → hub → consumer. Closed: consumer, sessions, http, producer, hub, redis.

export interface Gateway {
  /** Resolves once it listens; the rest comes up behind it, and /readyz says when. @throws when the port cannot be had. */
  start(): Promise<void>
  /** Readiness off; finish the chunk, commit, leave; sessions over the drain window; flush; redis. Idempotent. */
  close(): Promise<void>
}

export interface GatewayDeps {
  logger: Logger
  version: string
  /** Something is wrong that waiting does not mend: the process must end. */
  onFatal(error: unknown): void
}

/** A resume waits this long for a wiped or rolled-back Redis to be filled up to what the client has seen. */
const RESUME_TIMEOUT_MS = 10_000
const SWEEP_INTERVAL_MS = 600_000
const GAUGE_INTERVAL_MS = 5000

export function createGateway(config: Config, { logger, version, onFatal }: GatewayDeps): Gateway {
  const metrics = createMetrics()
  const routes = createRoutes(config.routes)
  const groupId = config.kafka?.groupId ?? 'memory'
  const isRelay = config.roles.includes('relay') && topicsOf(config).some(({ consumed }) => consumed)
  const isEdge = config.roles.includes('edge')
  const takesPosts = isEdge || config.roles.includes('ingest')
  const awaitsReplies = takesPosts && routes.all.some(({ send }) => send?.reply)
  const followsBus = isEdge || awaitsReplies
  /** A replica that only takes POSTs to Kafka needs no Redis. */
  const usesBus = isRelay || followsBus

  const { log, claims, revocations: store, feed } = createBus(config, logger)
  const { source, sink } = createRecords(config, { logger, onFatal })
  const changed = () => stomp.refuse(revocations.refusalOf)
  const revocations = createRevocations({ store, feed, changed, logger })
  const auth = revocations.guard(createAuth(config.auth, { logger }))
  const inbound = createInbound({ maxBodyBytes: config.stomp.maxBodyBytes }, { auth, sink, metrics })
  const replies = createReplies({ replicaId: randomUUID() }, { feed, inbound, claims, metrics })
  const hub = createHub(
    {
      joinTimeoutMs: config.redis?.readTimeoutMs ?? RESUME_TIMEOUT_MS,
      // Nothing refills a log that lived in the memory of a process before this one.
      resumeTimeoutMs: config.redis ? RESUME_TIMEOUT_MS : 0,
      sweepIntervalMs: SWEEP_INTERVAL_MS
    },
    { log, feed, createAudience: createFanout({ flushMs: config.stomp.flushMs }, { metrics }), metrics, logger }
  )
  const stomp = createStompServer(
    { ...config.stomp, version, refreshDestination: config.auth.refreshDestination },
    { auth, routes, hub, inbound, replies, metrics, logger }
  )
  const { sendsPerSecond, sendBurst } = config.stomp
  const allowanceOf = createAllowances({ perSecond: sendsPerSecond, burst: sendBurst })
  const http = createHttpServer(
    { http: config.http, admin: config.admin, stomp: config.stomp, auth: config.auth, routes: config.routes, version },
    {
      logger,
      metrics,
      checks,
      ...(followsBus && { revocations }),
      ...(isEdge && { edge: { routes, log, auth, admit: stomp.admit, accept, sessions: stomp.sessions } }),
      ...(takesPosts && { ingest: { routes, auth, inbound, replies, allowanceOf } })
    }
  )
  const relay = createRelay(
    {
      startFrom: config.kafka?.startFrom ?? 'earliest',
      refill: config.kafka?.refill ?? { maxAgeMs: 0, maxRecords: 0 }
    },
    {
      routes,
      log,
      claims,
      deadLetter: createDeadLetter({ topic: deadLetterTopicOf(config).name, groupId }, { sink }),
      metrics,
      logger
    }
  )
  const gaugeTimer = setInterval(() => {
    metrics.sendQueues.set(stomp.queuedBytes())
    metrics.lag.reset()
    for (const { topic, partition, lag } of source.lags()) metrics.lag.set({ topic, partition }, lag)
  }, GAUGE_INTERVAL_MS)
  gaugeTimer.unref()

  const listener: FeedListener = {
    message(channel, payload) {
      if (channel === replies.channel) replies.take(payload)
      else if (channel === REVOCATIONS_CHANNEL) revocations.refresh()
      else hub.listener.message(channel, payload)
    },
    restored(channels) {
      if (channels.includes(REVOCATIONS_CHANNEL)) revocations.refresh()
      hub.listener.restored(channels)
    }
  }

  let closing: Promise<void> | undefined

  function accept(ws: WebSocket, socket: Duplex, upgrade: Upgrade): void {
    stomp.accept(createWebSocketTransport(ws, socket, config.stomp), upgrade)
  }

  function checks() {
    return [
      ...(usesBus ? [{ name: 'redis', ok: log.ready }] : []),
      ...(followsBus ? [{ name: 'redis-subscriber', ok: feed.ready && revocations.ready }] : []),
      { name: 'kafka-producer', ok: sink.ready },
      ...(isRelay ? [{ name: 'kafka-consumer', ok: source.ready }] : [])
    ]
  }

  /** Each waits for what it needs, for as long as it takes, and says so. */
  async function bringUp(): Promise<void> {
    await sink.start()
    // Before the feed starts: it is ready only with all that is followed.
    if (awaitsReplies) void feed.follow(replies.channel)
    if (followsBus) revocations.start()
    if (usesBus) await Promise.all([log.start(), followsBus ? feed.start(listener) : undefined])
    if (isRelay) await claimPrefix()
    if (isRelay && !closing) await source.start(relay)
  }

  async function claimPrefix(): Promise<void> {
    const owner = await log.claim(groupId)
    if (owner === groupId) return
    throw new BatonError(
      'MISCONFIGURED',
      `kafka.groupId is "${groupId}", and this Redis is filled by the group "${owner}": take another redis.prefix, or, where ${owner} is gone for good, delete the key ${config.redis?.prefix ?? ''}baton:group`
    )
  }

  return {
    async start() {
      const listens = await http.start()
      const parts = [config.kafka ? 'Kafka' : 'records in memory', config.redis ? 'Redis' : 'logs in memory']
      const where = (usesBus ? parts : parts.slice(0, 1)).join(', ')
      logger.info(
        { version, roles: config.roles },
        `Baton listens on ${urlOf(listens.http, config.http.tls ? 'https' : 'http')} (${where})`
      )
      if (listens.admin) logger.info(`metrics and admin calls are served on ${urlOf(listens.admin, 'http')}`)
      bringUp().catch(error => (closing ? logger.debug({ err: error }, 'start was given up') : onFatal(error)))
    },

    close() {
      closing ??= (async () => {
        await using stack = new AsyncDisposableStack()
        for (const part of [log, feed, hub, sink, http]) stack.defer(() => part.close())
        stack.defer(() => stomp.close())
        stack.defer(() => stomp.drain({ windowMs: config.lifecycle.drainTimeoutMs }))
        stack.defer(() => source.close())
        clearInterval(gaugeTimer)
        revocations.close()
        http.drain()
      })()
      return closing
    }
  }
}

function urlOf({ address, port }: Address, scheme: 'http' | 'https'): string {
  return `${scheme}://${address.includes(':') ? `[${address}]` : address}:${port}`
}

interface Bus {
  log: ChannelLog
  claims: Claims
  revocations: RevocationStore
  feed: ChannelFeed
}

function createBus({ redis }: Config, logger: Logger): Bus {
  if (redis) {
    const log = createRedisLog(redis, { logger })
    return { log, claims: log.claims, revocations: log.revocations, feed: createRedisFeed(redis, { logger }) }
  }
  const { createFeed, ...kept } = createMemoryLog()
  return { ...kept, feed: createFeed() }
}

function createRecords(
  config: Config,
  deps: Pick<GatewayDeps, 'logger' | 'onFatal'>
): { source: RecordSource; sink: RecordSink } {
  const { kafka } = config
  const declared = [...topicsOf(config), deadLetterTopicOf(config)]
  if (!kafka) {
    const inMemory = declared.map(({ name, partitions = 1, consumed }) => ({ name, partitions, consumed }))
    return createMemoryBroker({ topics: inMemory }, deps)
  }
  const kafkaDeps = {
    logger: deps.logger,
    client: createKafkaClient(kafka, deps),
    topics: createTopics(declared, deps)
  }
  return {
    source: createKafkaSource(
      { ...kafka, topics: declared.filter(({ consumed }) => consumed).map(({ name }) => name) },
      kafkaDeps
    ),
    sink: createKafkaSink(kafka, kafkaDeps)
  }
}
