import { createRequire } from 'node:module'
import kafkajs, {
  type Admin,
  type Consumer,
  type ConsumerConfig,
  Kafka,
  type KafkaConfig,
  logLevel,
  type Producer,
  type ProducerConfig,
  type SASLOptions
} from 'kafkajs'
import type { Logger } from 'pino'
import { mendAborted } from './aborted.ts'
import { registerCodecs } from './codecs.ts'
import { mendFetch } from './fetch.ts'
import { mendMetadata } from './metadata.ts'
import { mendProduce } from './produce-once.ts'

export interface KafkaClientOptions {
  /** `host:port` each. */
  brokers: string[]
  clientId: string
  sasl?: { mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512'; username: string; password: string } | undefined
  /** True: TLS with the system's authorities. PEM texts otherwise. */
  tls?: boolean | { ca?: string; cert?: string; key?: string; rejectUnauthorized?: boolean } | undefined
  /** How long a producer goes on trying before a send fails. */
  produceTimeoutMs: number
}

/** Makes kafkajs's parts. None of them creates a topic by using it. */
export interface KafkaClient {
  admin(): Admin
  consumer(config: ConsumerConfig): Consumer
  /** Patient: tries again by itself for about the produce timeout, so that one producer id spans a short absence. */
  producer(config: ProducerConfig): Producer
}

const CONNECT_TIMEOUT_MS = 3000
const REQUEST_TIMEOUT_MS = 10_000
const RETRY_MS = 100
const MAX_RETRY_MS = 1000
/** 1.5 s in all: what waits longer is our own loops, which say so. */
const BRISK_RETRIES = 4

export function createKafkaClient(options: KafkaClientOptions, { logger }: { logger: Logger }): KafkaClient {
  registerCodecs()
  mendIdleTimer()
  mendAborted()
  mendFetch()
  mendMetadata()
  mendProduce()
  const { brokers, clientId, sasl, tls } = options
  const { DefaultPartitioner } = kafkajs.Partitioners
  const config: KafkaConfig = {
    brokers,
    clientId,
    // A copy: kafkajs writes into it, and the configuration is frozen.
    ...(sasl && { sasl: { ...sasl } as SASLOptions }),
    ...(tls && { ssl: tls }),
    connectionTimeout: CONNECT_TIMEOUT_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
    logLevel: logger.isLevelEnabled('trace') ? logLevel.DEBUG : logLevel.INFO,
    logCreator: () => entry => logTo(logger, entry)
  }
  const retry = { initialRetryTime: RETRY_MS, maxRetryTime: MAX_RETRY_MS }
  const patience = BRISK_RETRIES + Math.ceil(options.produceTimeoutMs / MAX_RETRY_MS)
  const brisk = new Kafka({ ...config, retry: { ...retry, retries: BRISK_RETRIES } })
  const patient = new Kafka({ ...config, retry: { ...retry, retries: patience } })
  return {
    admin: () => brisk.admin(),
    consumer: own => brisk.consumer({ ...own, allowAutoTopicCreation: false }),
    // Every record names its partition; to name the partitioner too keeps a warning about the choice quiet.
    producer: own => patient.producer({ ...own, createPartitioner: DefaultPartitioner, allowAutoTopicCreation: false })
  }
}

/** Their errors reach us as rejections and events too, and are logged where it is decided what they mean. */
const QUIET = new Set(['Connection', 'BrokerPool', 'Producer', 'Consumer', 'Cluster'])

function logTo(
  logger: Logger,
  { namespace, level, log }: Parameters<ReturnType<NonNullable<KafkaConfig['logCreator']>>>[0]
) {
  // Chosen fields only: the others may hold records.
  const { message, broker, groupId, topic, partition } = log
  const error = typeof log['error'] === 'string' ? log['error'] : undefined
  const fields = { from: `kafkajs ${namespace}`, broker, groupId, topic, partition, error }
  if (level === logLevel.DEBUG) logger.trace(fields, message)
  else if (level === logLevel.INFO || QUIET.has(namespace)) logger.debug(fields, message)
  else logger.warn(fields, message)
}

interface RequestQueue {
  pending: unknown[]
  scheduleCheckPendingRequests?: () => void
}

/**
 * kafkajs 2.2.4 re-arms a timer of 1 ms for ever on each connection (`setTimeout` with −1 − now), 4 % of a core when idle.
 * Its one purpose is to look again at requests held back by a throttle, so it is armed only while there are some.
 */
function mendIdleTimer(): void {
  const require = createRequire(import.meta.url)
  const { prototype } = require('kafkajs/src/network/requestQueue/index.js') as { prototype: RequestQueue }
  const schedule = prototype.scheduleCheckPendingRequests
  if (!schedule || schedule.name === 'scheduleWhenHeldBack') return
  prototype.scheduleCheckPendingRequests = function scheduleWhenHeldBack(this: RequestQueue) {
    if (this.pending.length > 0) schedule.call(this)
  }
}
