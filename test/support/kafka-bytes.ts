import { createRequire } from 'node:module'
import type { KafkaMessage } from 'kafkajs'
import { mendFetch } from '../../src/kafka/fetch.ts'

// Bytes as Kafka answers a fetch of version 11, by kafkajs's own encoders.

export interface Encoder {
  buffer: Buffer
  writeInt16(value: number): Encoder
  writeInt32(value: number): Encoder
  writeInt64(value: number): Encoder
  writeString(value: string): Encoder
  writeBytes(value: Buffer): Encoder
}

const require = createRequire(import.meta.url)
const protocol = 'kafkajs/src/protocol'
const EncoderOf = require(`${protocol}/encoder.js`) as new () => Encoder
export const recordOf = require(`${protocol}/recordBatch/record/v0/index.js`) as (record: object) => Encoder
export const { RecordBatch } = require(`${protocol}/recordBatch/v0/index.js`) as {
  RecordBatch(batch: object): Promise<Encoder>
}

/** Two batches: of three records with keys and headers, and of one without. @param compression a codec's number. */
export async function recordSet(compression: number): Promise<Buffer> {
  const value = Buffer.from('{"roomId":"1","message":"hello hello hello hello hello"}')
  const headers = { a: Buffer.from('1'), b: [Buffer.from('2'), Buffer.from('3')] }
  const full = [0, 1, 2].map(offsetDelta =>
    recordOf({ offsetDelta, timestampDelta: 5, key: Buffer.from('key'), value, headers })
  )
  const bare = [recordOf({ offsetDelta: 0, timestampDelta: 0, key: null, value: null, headers: {} })]
  const head = { firstTimestamp: 1_700_000_000_000, maxTimestamp: 1_700_000_000_005, producerId: -1, compression }
  const batches = await Promise.all([
    RecordBatch({ ...head, firstOffset: 7, records: full }),
    RecordBatch({ ...head, firstOffset: 10, records: bare })
  ])
  return Buffer.concat(batches.map(({ buffer }) => buffer))
}

/** How our consumers read an answer to a fetch. */
export function fetchDecoder() {
  mendFetch()
  const { decode } = require(`${protocol}/requests/fetch/v11/response.js`) as {
    decode(bytes: Buffer): Promise<{ responses: { partitions: { messages: KafkaMessage[] }[] }[] }>
  }
  return decode
}

/** An answer that holds this set. @param aborted transactions among it. */
export function fetched(set: Buffer, aborted: { producerId: number; firstOffset: number }[] = []): Buffer {
  const response = new EncoderOf()
    .writeInt32(0)
    .writeInt16(0)
    .writeInt32(7)
    .writeInt32(1)
    .writeString('t')
    .writeInt32(1)
  response.writeInt32(3).writeInt16(0).writeInt64(900).writeInt64(800).writeInt64(5)
  response.writeInt32(aborted.length)
  for (const { producerId, firstOffset } of aborted) response.writeInt64(producerId).writeInt64(firstOffset)
  return response.writeInt32(-1).writeBytes(set).buffer
}
