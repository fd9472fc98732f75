import { createRequire } from 'node:module'
import { type Codec, MAX_UNPACKED_BYTES, tooMuch } from './codecs.ts'

// kafkajs 2.2.4 reads a record with two decoders and six BigInts. Here what Kafka 2.3 and later answer to a fetch (version 11) is
// read with plain numbers, into what kafkajs makes of it: a tenth off the relay's CPU.

interface Decoder {
  readInt16(): number
  readInt32(): number
  readInt64(): bigint
  readString(): string | null
  readBytes(): Buffer | null
  readArray<T>(read: () => T): T[]
  readArrayAsync<T>(read: () => Promise<T>): Promise<T[]>
}

interface Response {
  decode(bytes: Buffer): Promise<object>
}

/** As much of kafkajs's message as it uses itself, or hands to `eachBatch`. */
interface Message {
  magicByte: number
  attributes: number
  offset: string
  timestamp: string
  key: Buffer | null
  value: Buffer | null
  headers: Record<string, Buffer | Buffer[]>
  isControlRecord: boolean
  batchContext: { producerId: string; inTransaction: boolean }
}

const MAGIC = 2
/** Where things are in a batch of records (magic 2). */
const AT = { length: 8, magic: 16, attributes: 21, firstTimestamp: 27, maxTimestamp: 35, producerId: 43, count: 57 }
const HEAD_BYTES = 61
const LENGTH_END = 12
/** What a record or a header takes beside its own bytes, about: a batch could hold 18 million records of seven bytes. */
const PART_BYTES = 256
const [LOG_APPEND_TIME, TRANSACTIONAL, CONTROL] = [0x08, 0x10, 0x20]
/** 2⁷ for each byte of a number. */
const LONGEST = 2 ** 70
const NO_HEADERS = Object.freeze({})

/** What one answer may take of memory yet; each of its batches is within bounds of its own. */
interface Room {
  bytes: number
}

/** Mends every consumer in this process. */
export function mendFetch(): void {
  const require = createRequire(import.meta.url)
  const response = require('kafkajs/src/protocol/requests/fetch/v11/response.js') as Response
  if (response.decode.name === 'decodeFetch') return
  const DecoderOf = require('kafkajs/src/protocol/decoder.js') as new (bytes: Buffer) => Decoder
  const { lookupCodecByAttributes } = require('kafkajs/src/protocol/message/compression/index.js') as {
    lookupCodecByAttributes(attributes: number): Codec | null
  }
  const MessageSetDecoder = require('kafkajs/src/protocol/messageSet/decoder.js') as (
    decoder: Decoder,
    bytes: number
  ) => Promise<object[]>

  response.decode = async function decodeFetch(bytes) {
    const decoder = new DecoderOf(bytes)
    const room = { bytes: MAX_UNPACKED_BYTES }
    const clientSideThrottleTime = decoder.readInt32()
    return {
      // Kafka has not held this answer back: it asks the client to wait.
      throttleTime: 0,
      clientSideThrottleTime,
      errorCode: decoder.readInt16(),
      sessionId: decoder.readInt32(),
      responses: await decoder.readArrayAsync(async () => {
        const topicName = decoder.readString()
        return { topicName, partitions: await decoder.readArrayAsync(() => partitionOf(`${topicName}`, decoder, room)) }
      })
    }
  }

  async function partitionOf(topic: string, decoder: Decoder, room: Room) {
    const int64 = () => decoder.readInt64().toString()
    const partition = decoder.readInt32()
    return {
      partition,
      errorCode: decoder.readInt16(),
      highWatermark: int64(),
      lastStableOffset: int64(),
      lastStartOffset: int64(),
      abortedTransactions: decoder.readArray(() => ({ producerId: int64(), firstOffset: int64() })),
      preferredReadReplica: decoder.readInt32(),
      messages: await decodeRecordSet(decoder.readBytes() ?? Buffer.alloc(0), room).catch(error => {
        throw new Error(`topic ${topic}, partition ${partition}: ${error.message}`)
      })
    }
  }

  async function decodeRecordSet(set: Buffer, room: Room): Promise<object[]> {
    if (set.length > AT.magic && set[AT.magic] !== MAGIC) return MessageSetDecoder(new DecoderOf(set), set.length)
    const messages: Message[] = []
    let from = 0
    while (from + HEAD_BYTES <= set.length) {
      // What is left is fetched again.
      if (room.bytes <= 0) return messages
      const end = from + LENGTH_END + set.readUInt32BE(from + AT.length)
      if (end > set.length) break
      const batch = set.subarray(from, end)
      if (batch.length < HEAD_BYTES) throw corrupt('a batch is shorter than its head')
      const codec = lookupCodecByAttributes(batch.readInt16BE(AT.attributes))
      try {
        const records = batch.subarray(HEAD_BYTES)
        room.bytes -= decodeBatch(batch, codec ? await codec.decompress(records) : records, messages)
      } catch (error) {
        throw new Error(`the batch at offset ${batch.readBigInt64BE()} cannot be read: ${(error as Error).message}`)
      }
      from = end
    }
    // The last batch may be cut off, as `maxBytes` has it; the first never is, since Kafka 0.10.1.
    if (from === 0 && set.length > 0) throw corrupt('the first batch is longer than what was fetched')
    return messages
  }
}

/** @returns what it took of memory, about. */
function decodeBatch(batch: Buffer, bytes: Buffer, into: Message[]): number {
  const attributes = batch.readInt16BE(AT.attributes)
  const firstOffset = Number(batch.readBigInt64BE())
  const firstTimestamp = Number(batch.readBigInt64BE(AT.firstTimestamp))
  const appended = attributes & LOG_APPEND_TIME ? `${batch.readBigInt64BE(AT.maxTimestamp)}` : undefined
  const isControlRecord = (attributes & CONTROL) > 0
  const batchContext = {
    producerId: `${batch.readBigInt64BE(AT.producerId)}`,
    inTransaction: (attributes & TRANSACTIONAL) > 0
  }
  const cursor = { bytes, at: 0, room: MAX_UNPACKED_BYTES - bytes.length }
  for (let left = batch.readInt32BE(AT.count); left > 0; left--) {
    const end = varint(cursor) + cursor.at
    take(cursor, 1)
    if (end > bytes.length) throw corrupt('a record is longer than its batch')
    const own = bytes.readInt8(cursor.at++)
    const timestamp = firstTimestamp + varint(cursor)
    into.push({
      magicByte: MAGIC,
      attributes: own,
      timestamp: appended ?? `${timestamp}`,
      offset: `${firstOffset + varint(cursor)}`,
      key: part(cursor),
      value: part(cursor),
      headers: headers(cursor, end),
      isControlRecord,
      batchContext
    })
    if (cursor.at !== end) throw corrupt('a record is not as long as it says')
  }
  if (cursor.at !== bytes.length) throw corrupt('a batch holds more records than it counts')
  return MAX_UNPACKED_BYTES - cursor.room
}

function take(cursor: Cursor, parts: number): void {
  cursor.room -= parts * PART_BYTES
  if (cursor.room < 0) throw tooMuch()
}

/** Kafka holds what a producer writes to all this: so it was spoiled on a disk, or on its way. */
function corrupt(detail: string): Error {
  return new Error(`what Kafka answered to a fetch is corrupt: ${detail}`)
}

interface Cursor {
  bytes: Buffer
  at: number
  /** Bytes of memory that the batch may take yet. */
  room: number
}

/** Zigzag; exact up to 2⁵³, as are all offsets and timestamps. Beyond the end of the bytes all is 0. */
function varint(cursor: Cursor): number {
  let value = 0
  let scale = 1
  let byte: number
  do {
    byte = cursor.bytes[cursor.at++] as number
    value += (byte & 0x7f) * scale
    scale *= 0x80
  } while (byte >= 0x80)
  if (scale > LONGEST) throw corrupt('a number has more than ten bytes')
  return value % 2 === 0 ? value / 2 : -(value + 1) / 2
}

function part(cursor: Cursor): Buffer | null {
  const length = varint(cursor)
  if (length < 0) return null
  const from = cursor.at
  cursor.at += length
  return cursor.bytes.subarray(from, cursor.at)
}

/** The values of a repeated name stand under its first place. */
function headers(cursor: Cursor, end: number): Message['headers'] {
  const count = varint(cursor)
  if (count > end - cursor.at) throw corrupt('a record counts more headers than it can hold')
  if (count <= 0) return NO_HEADERS
  take(cursor, count)
  const all = Array.from({ length: count }, () => [`${part(cursor)}`, part(cursor) as Buffer] as const)
  const named = Map.groupBy(all, ([name]) => name)
  return Object.fromEntries(
    [...named].map(([name, same]) => {
      const values = same.map(([, value]) => value)
      return [name, values.length > 1 ? values : (values[0] as Buffer)]
    })
  )
}
