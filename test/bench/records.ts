import { setTimeout as delay } from 'node:timers/promises'
import type { Producer } from 'kafkajs'
import type { KafkaClient } from '../support/kafka-client.ts'

// Records for benches: 300 bytes of JSON, dealt to rooms one after the other. They end as load/load.h says, so that the
// generator finds room, number and time in them. One send at a time: kafkajs keeps no order among several.

const BYTES = 300
const BASE_US = 1e15
const BATCH = 2000
const TICK_MS = 5

/** The clock of the load generator, microseconds. */
export const nowUs = (): number => Number(process.hrtime.bigint() / 1000n)

/** When the record of this body was made, by the same clock. */
export const sentUs = (body: { t: number }): number => body.t - BASE_US

export function bodyOf(room: number, number: number): string {
  const head = `{"room":"r${room}","pad":"`
  const tail = `","r":${1_000_000 + room},"t":${BASE_US + nowUs()},"n":${1_000_000_000 + number}}`
  return head.padEnd(BYTES - tail.length, 'x') + tail
}

function messageOf(index: number, rooms: number) {
  const room = index % rooms
  return { key: `r${room}`, value: bodyOf(room, 1 + Math.floor(index / rooms)) }
}

/** As many records as fast as they can be produced. */
export async function flood({ kafka }: KafkaClient, topic: string, count: number, rooms: number): Promise<void> {
  await producing(kafka.producer(), async producer => {
    for (let from = 0; from < count; from += BATCH) {
      const messages = Array.from({ length: Math.min(BATCH, count - from) }, (_, i) => messageOf(from + i, rooms))
      await producer.send({ topic, messages })
    }
  })
}

/** A steady stream, a few records every 5 ms. */
export async function stream(
  { kafka }: KafkaClient,
  topic: string,
  { count, rooms, perSecond }: { count: number; rooms: number; perSecond: number }
): Promise<void> {
  await producing(kafka.producer(), async producer => {
    const began = performance.now()
    for (let next = 0; next < count; await delay(TICK_MS)) {
      const due = Math.min(count, Math.ceil(((performance.now() - began) * perSecond) / 1000))
      const messages = Array.from({ length: due - next }, (_, i) => messageOf(next + i, rooms))
      if (messages.length > 0) await producer.send({ topic, messages, acks: 1 })
      next = due
    }
  })
}

async function producing(producer: Producer, produce: (producer: Producer) => Promise<unknown>): Promise<void> {
  await producer.connect()
  try {
    await produce(producer)
  } finally {
    await producer.disconnect()
  }
}
