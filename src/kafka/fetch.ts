import { createRequire } from 'node:module'
import { type Codec, MAX_UNPACKED_BYTES, tooMuch } from './codecs.ts'
import { type Batch, type Cursor, corrupt, FetchedRecord, skip, varint } from './fetched.ts'

// kafkajs 2.2.4 reads a record with two decoders and six BigInts. Here what Kafka 2.3 and later answer to a fetch (version 11) is
// read with plain numbers, and of each record only where it lies: a tenth and a twentieth off the relay's CPU.

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

const MAGIC = 2
/** Where things are in a batch of records (magic 2). */
const AT = { length: 8, magic: 16, attributes: 21, firstTimestamp: 27, maxTimestamp: 35, producerId: 43, count: 57 }
const HEAD_BYTES = 61
const LENGTH_END = 12
/** What a record or a header takes beside its own bytes, about: a batch could hold 18 million records of seven bytes. */
const PART_BYTES = 256
const [LOG_APPEND_TIME, TRANSACTIONAL, CONTROL] = [0x08, 0x10, 0x20]

/** What one answer, or one batch, may take of memory yet. */
interface Room {
  room: number
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
    const answer = { room: MAX_UNPACKED_BYTES }
    const clientSideThrottleTime = decoder.readInt32()
    return {
      // Kafka has not held this answer back: it asks the client to wait.
      throttleTime: 0,
      clientSideThrottleTime,
      errorCode: decoder.readInt16(),
      sessionId: decoder.readInt32(),
      responses: await decoder.readArrayAsync(async () => {
        const topicName = decoder.readString()
        return {
          topicName,
          partitions: await decoder.readArrayAsync(() => partitionOf(`${topicName}`, decoder, answer))
        }
      })
    }
  }

  async function partitionOf(topic: string, decoder: Decoder, answer: Room) {
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
      messages: await decodeRecordSet(decoder.readBytes() ?? Buffer.alloc(0), answer).catch(error => {
        throw new Error(`topic ${topic}, partition ${partition}: ${error.message}`)
      })
    }
  }

  async function decodeRecordSet(set: Buffer, answer: Room): Promise<object[]> {
    if (set.length > AT.magic && set[AT.magic] !== MAGIC) return MessageSetDecoder(new DecoderOf(set), set.length)
    const messages: FetchedRecord[] = []
    let from = 0
    while (from + HEAD_BYTES <= set.length) {
      // What is left is fetched again.
      if (answer.room <= 0) return messages
      const end = from + LENGTH_END + set.readUInt32BE(from + AT.length)
      if (end > set.length) break
      const batch = set.subarray(from, end)
      if (batch.length < HEAD_BYTES) throw corrupt('a batch is shorter than its head')
      const codec = lookupCodecByAttributes(batch.readInt16BE(AT.attributes))
      try {
        const records = batch.subarray(HEAD_BYTES)
        answer.room -= decodeBatch(batch, codec ? await codec.decompress(records) : records, messages)
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

/** Holds the records of a batch to its form. @returns what they may take of memory, about. */
function decodeBatch(head: Buffer, bytes: Buffer, into: FetchedRecord[]): number {
  const attributes = head.readInt16BE(AT.attributes)
  const firstOffset = Number(head.readBigInt64BE())
  const isControl = (attributes & CONTROL) > 0
  const batch: Batch = {
    bytes,
    firstTimestamp: Number(head.readBigInt64BE(AT.firstTimestamp)),
    appended: attributes & LOG_APPEND_TIME ? Number(head.readBigInt64BE(AT.maxTimestamp)) : undefined,
    context: {
      producerId: `${head.readBigInt64BE(AT.producerId)}`,
      inTransaction: (attributes & TRANSACTIONAL) > 0
    }
  }
  const cursor = { bytes, at: 0, room: MAX_UNPACKED_BYTES - bytes.length }
  for (let left = head.readInt32BE(AT.count); left > 0; left--) {
    const end = varint(cursor) + cursor.at
    take(cursor, 1)
    if (end > bytes.length) throw corrupt('a record is longer than its batch')
    const from = cursor.at++
    varint(cursor)
    into.push(new FetchedRecord(batch, from, firstOffset + varint(cursor), isControl))
    skip(cursor, 2)
    const count = Math.max(0, varint(cursor))
    if (count > end - cursor.at) throw corrupt('a record counts more headers than it can hold')
    take(cursor, count)
    skip(cursor, 2 * count)
    if (cursor.at !== end) throw corrupt('a record is not as long as it says')
  }
  if (cursor.at !== bytes.length) throw corrupt('a batch holds more records than it counts')
  return MAX_UNPACKED_BYTES - cursor.room
}

/** @param cursor with the bytes of memory that its batch may take yet. */
function take(cursor: Cursor & Room, parts: number): void {
  cursor.room -= parts * PART_BYTES
  if (cursor.room < 0) throw tooMuch()
}
