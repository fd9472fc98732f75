import type { Logger } from 'pino'
import { BatonError } from '../errors.ts'
import type { OutgoingRecord, Produced, RecordSink, RecordSource } from '../ports.ts'
import { consumePartition } from './consumer.ts'
import { partitionOf } from './murmur2.ts'
import { createPartition, type Partition } from './partition.ts'

export interface MemoryBrokerOptions {
  /** Every topic there is. Those not `consumed` (the dead-letter topic) only keep their tail. */
  topics: { name: string; partitions: number; consumed: boolean }[]
}

/** Topics inside the process, in place of Kafka: they live as long as it does. */
export function createMemoryBroker(
  { topics }: MemoryBrokerOptions,
  deps: { logger: Logger }
): { source: RecordSource; sink: RecordSink } {
  const byTopic = new Map<string, Partition[]>()
  for (const { name, partitions, consumed } of topics) {
    byTopic.set(
      name,
      Array.from({ length: partitions }, (_, number) => createPartition(name, number, consumed))
    )
  }
  const consumed = [...byTopic.values()].flat().filter(partition => partition.consumed)
  return { source: createSource(consumed, deps), sink: createSink(byTopic) }
}

function createSource(partitions: Partition[], { logger }: { logger: Logger }): RecordSource {
  const closing = new AbortController()
  let running: Promise<void>[] = []
  let started = false
  return {
    get ready() {
      return started && !closing.signal.aborted
    },
    async start(handler) {
      started = true
      running = partitions.map(partition => consumePartition(partition, handler, closing.signal, logger))
    },
    lags: () => partitions.map(({ topic, number, end, next }) => ({ topic, partition: number, lag: end - next })),
    async close() {
      closing.abort()
      await Promise.all(running)
    }
  }
}

function createSink(byTopic: Map<string, Partition[]>): RecordSink {
  let ready = false
  let turn = 0

  function placeOf({ topic, key, partition }: OutgoingRecord): Partition {
    const partitions = byTopic.get(topic)
    if (!partitions) throw new BatonError('KAFKA_UNAVAILABLE', `there is no topic ${topic}: declare it in a route`)
    const count = partitions.length
    const anyOf = () =>
      key === null || partition === 'round-robin' ? turn++ % count : partitionOf(Buffer.from(key), count)
    const number = typeof partition === 'number' ? partition : anyOf()
    const place = partitions[number]
    if (!place)
      throw new BatonError('KAFKA_UNAVAILABLE', `topic ${topic} has ${count} partitions: there is no ${number}`)
    if (place.full)
      throw new BatonError('PRODUCE_QUEUE_FULL', `${topic}/${number} is consumed too slowly; try again later`)
    return place
  }

  return {
    get ready() {
      return ready
    },
    async start() {
      ready = true
    },
    async produce(records): Promise<Produced[]> {
      const places = records.map(placeOf)
      return records.map((record, i) => (places[i] as Partition).append(record))
    },
    async close() {
      ready = false
    }
  }
}
