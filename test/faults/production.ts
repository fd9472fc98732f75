import { setTimeout as delay } from 'node:timers/promises'
import { type Kafka, type Message, Partitioners, type Producer } from 'kafkajs'
import { connectStompjs, type StompClient } from '../support/stomp-client.ts'
import type { Ledger } from './ledger.ts'

// Who produces during a scenario: another program, at a constant rate, and clients that SEND and wait for the RECEIPT. What
// fails is not sent again, so each number of the ledger is written once, or never, or nobody knows.

export interface ProductionOptions {
  kafka: Kafka
  topic: string
  partitions: number
  recordsPerSecond: number
  /** Length of each text. */
  textBytes: number
}

export interface Source {
  /** Resolves when nothing is under way. */
  pause(): Promise<void>
  resume(): void
  stop(): Promise<void>
}

export interface Production extends Source {
  /** Added to the time of each record. Milliseconds. */
  shiftMs: number
  /** So many more records of longer text to one room, as fast as Kafka takes them. */
  burst(count: number, of: { textBytes: number; room: string }): void
}

const TICK_MS = 100
const BETWEEN_SENDS_MS = 25
const MOST_IN_BATCH = 1000
/** Of a burst in one send: it all goes to one partition. */
const MOST_BYTES = 500_000
const RETRY_MS = 200

/** What a record holds; `n` is from the ledger. */
export function recordValue(room: string, n: number, textBytes: number): string {
  return JSON.stringify({ n, room, text: `안녕 👋 ${'x'.repeat(textBytes)}` })
}

export function produce(ledger: Ledger, options: ProductionOptions): Production {
  const { kafka, topic, partitions, recordsPerSecond } = options
  const { rooms } = ledger
  const place = Partitioners.DefaultPartitioner()
  const partitionMetadata = Array.from({ length: partitions }, (_, partitionId) => ({ partitionId, leader: 1 }))
  const partitionOf = (room: string) =>
    place({ topic, partitionMetadata, message: { key: room, value: null } } as Parameters<typeof place>[0])
  const lanes = new Map(rooms.map(room => [room, partitionOf(room)]))
  let producer: Producer | undefined
  let burst = { left: 0, textBytes: options.textBytes, room: '' }
  let owed = 0
  let turn = 0
  let paused = false
  let stopped = false
  let sending: Promise<void> = Promise.resolve()

  function take(room: string, textBytes: number) {
    const n = ledger.next(room)
    return { room, n, partition: lanes.get(room) as number, value: recordValue(room, n, textBytes) }
  }

  async function send(batch: ReturnType<typeof take>[]): Promise<void> {
    const timestamp = `${Date.now() + production.shiftMs}`
    const messages = batch.map(({ room, partition, value }): Message => ({ key: room, value, partition, timestamp }))
    try {
      if (!producer) {
        const made = kafka.producer({ retry: { retries: 0 }, allowAutoTopicCreation: false })
        await made.connect()
        producer = made
      }
      const answers = await producer.send({ topic, messages, acks: -1, timeout: 3000 })
      // kafkajs leaves partitions out of its answer when their leader has moved.
      const taken = new Set(answers.filter(({ errorCode }) => errorCode === 0).map(({ partition }) => partition))
      for (const { room, n, partition } of batch) if (taken.has(partition)) ledger.acknowledge(room, n)
    } catch {
      void producer?.disconnect().catch(() => undefined)
      producer = undefined
      await delay(RETRY_MS)
    }
  }

  async function flow(): Promise<void> {
    let last = performance.now()
    while (!stopped) {
      if (burst.left === 0) await delay(TICK_MS)
      const now = performance.now()
      if (!paused) owed += Math.min(((now - last) / 1000) * recordsPerSecond, MOST_IN_BATCH)
      last = now
      const long = Math.min(burst.left, Math.ceil(MOST_BYTES / burst.textBytes))
      const short = Math.floor(owed)
      burst.left -= long
      owed -= short
      const batch = [
        ...Array.from({ length: long }, () => take(burst.room, burst.textBytes)),
        ...Array.from({ length: short }, () => take(rooms[turn++ % rooms.length] as string, options.textBytes))
      ]
      if (batch.length === 0) continue
      sending = send(batch)
      await sending
    }
    await producer?.disconnect()
  }

  const production: Production = {
    shiftMs: 0,
    burst(count, of) {
      burst = { left: count, ...of }
    },
    async pause() {
      paused = true
      owed = 0
      burst.left = 0
      await sending
    },
    resume() {
      paused = false
    },
    async stop() {
      stopped = true
      await flowing
    }
  }
  const flowing = flow()
  return production
}

/** A client that SENDs to one room after the other, each time waits for the RECEIPT, and goes on at the next replica when it fails. */
export function sendAlong(ledger: Ledger, urls: string[]): Source {
  let paused = false
  let stopped = false
  let sending: Promise<void> = Promise.resolve()

  async function session(url: string): Promise<void> {
    await using client = await connectStompjs(url)
    for (let turn = 0; !stopped; turn++) {
      if (!paused) {
        sending = send(client, ledger.rooms[turn % ledger.rooms.length] as string)
        await sending
      }
      await delay(BETWEEN_SENDS_MS)
    }
  }

  async function send(client: StompClient, room: string): Promise<void> {
    const n = ledger.next(room)
    await client.send(`/room/${room}`, recordValue(room, n, 20))
    ledger.acknowledge(room, n)
  }

  async function flow(): Promise<void> {
    for (let turn = 0; !stopped; turn++) {
      await session(urls[turn % urls.length] as string).catch(() => delay(RETRY_MS))
    }
  }

  const flowing = flow()
  return {
    async pause() {
      paused = true
      await sending.catch(() => undefined)
    },
    resume() {
      paused = false
    },
    async stop() {
      stopped = true
      await flowing
    }
  }
}
