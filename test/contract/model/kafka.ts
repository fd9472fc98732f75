import pino from 'pino'
import { createMemoryClaims } from '../../../src/memory/claims.ts'
import { createMetrics } from '../../../src/metrics.ts'
import type { KafkaRecord } from '../../../src/ports.ts'
import { createRelay } from '../../../src/relay.ts'
import { type Routed, type Routes, Unroutable } from '../../../src/routes.ts'
import { CHANNELS, TOPICS } from './edge.ts'
import {
  addControl,
  addRecord,
  type Consumer,
  createConsumer,
  createPartition,
  endOf,
  GROUP,
  lastShown,
  type Partition
} from './partition.ts'
import type { Random, Shape } from './random.ts'
import type { Tap } from './tap.ts'

const LOG_TTL_MS = 86_400_000
const MAX_BODY_BYTES = 30
/** Over the limit of the log. */
const LONG = 'long'.repeat(10)
/** One record in so many is of the last channel. */
const QUIET = 5

export type Kafka = Awaited<ReturnType<typeof createKafka>>

/** Partitions, their relays, and what must come of each record. */
export async function createKafka({ tap, random, shape }: { tap: Tap; random: Random; shape: Shape }) {
  const metrics = createMetrics()
  const logger = pino({ level: 'silent' })
  const claims = createMemoryClaims()
  let produced: { partition: Partition; offset: number; channels: string[]; isPoison: boolean; body: string }[] = []
  const deadLettered = new Set<string>()
  let clock = 0

  /** The key names the channels: none, one or several. */
  function resolve({ key, value, headers }: KafkaRecord): Routed[] {
    const flags = headers.map(([name]) => name)
    if (flags.includes('poison')) throw new Unroutable('BAD_JSON', 'poison')
    const route = { log: { size: shape.logSize, ttlMs: LOG_TTL_MS, maxBodyBytes: MAX_BODY_BYTES } } as Routed['route']
    const channels = String(key).split(',').filter(Boolean)
    const hidden = flags.includes('hidden')
    return channels.map(channel => ({ route, channel, hidden, headers: '', body: value as Buffer }))
  }

  function consume(partition: Partition): Promise<Consumer> {
    const routes = { resolve, answer: () => undefined } as Partial<Routes> as Routes
    const deadLetter = { send: async (record: KafkaRecord) => void deadLettered.add(String(record.value)) }
    const options = { startFrom: 'earliest', refill: shape.refill } as const
    const relay = createRelay(options, { routes, deadLetter, log: tap.createLog(), claims, metrics, logger })
    return createConsumer(partition, { relay, tap, random, shape })
  }

  function add(partition: Partition, channels: string[], more = '', flags: string[] = []): void {
    const body = `${partition.topic}/${partition.number} ${++clock}${more}`
    const isPoison = flags.includes('poison')
    produced.push({ partition, offset: endOf(partition), channels, isPoison, body })
    addRecord(partition, channels.join(), body, flags)
  }

  /** One record of some kind (I4), or a transaction marker. */
  function produceTo(partition: Partition): void {
    const channel = () => CHANNELS[clock % QUIET === 0 ? CHANNELS.length - 1 : random(3)] as string
    const kind = random(24)
    if (kind === 0) addControl(partition)
    else if (kind === 1) add(partition, [channel()], LONG)
    else if (kind === 2) add(partition, [channel()], '', ['poison'])
    else if (kind === 3) add(partition, [channel()], '', ['hidden'])
    else if (kind === 4) add(partition, [])
    else if (kind === 5) add(partition, [...new Set([channel(), channel(), channel()])])
    else add(partition, [channel()])
  }

  const partitions = Array.from({ length: shape.partitions }, (_, n) =>
    createPartition(TOPICS[n % TOPICS.length] as string, n)
  )
  const consumers: Consumer[] = []
  for (const partition of partitions) consumers.push(await consume(partition))

  return {
    partitions,
    consumers,

    /** A new consumer takes the partition over. @returns the old one, which may live on as a zombie. */
    async takeOver({ partition }: Consumer): Promise<Consumer> {
      const n = partitions.indexOf(partition)
      const old = consumers[n] as Consumer
      consumers[n] = await consume(partition)
      return old
    },

    produce: (): void => produceTo(partitions[random(partitions.length)] as Partition),
    produceTo,

    /** One message on each channel: a hole that could not be healed is told with the next one. */
    produceEverywhere: (): void => add(partitions[0] as Partition, CHANNELS),

    /** Everything is in Redis, whatever that had lost: each partition may find itself behind once, and at its end. */
    async consumeAll(): Promise<void> {
      for (const consumer of [...consumers, ...consumers]) {
        const steps = 2 + consumer.partition.records.length
        for (let n = 0; n < steps && consumer.position < endOf(consumer.partition); n++) await consumer.step()
        await consumer.step()
      }
    },

    /** Partitions whose fence has not come to what a consumer gets to see. */
    async unfinished(): Promise<Partition[]> {
      const fences = await tap.fences()
      return partitions.filter(partition => {
        const { topic, number, commit } = partition
        const fence = fences.get(`${GROUP}/${topic}/${number}~${commit?.metadata.split(':')[1]}`)
        return fence === undefined || fence < lastShown(partition)
      })
    },

    /** Records that are gone before anybody consumed them are no loss of ours. */
    forget(partition: Partition, from: number): void {
      produced = produced.filter(each => each.partition !== partition || each.offset < from)
    },

    /** What never came to a channel, or to the dead-letter topic. */
    unserved(): string[] {
      return produced.flatMap(({ channels, isPoison, body }) => {
        if (isPoison) return deadLettered.has(body) ? [] : [`${body} is no dead letter`]
        return channels
          .filter(channel => !tap.hasReached(channel, body))
          .map(channel => `${body} never came to ${channel}`)
      })
    }
  }
}
