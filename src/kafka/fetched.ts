import type { IHeaders, KafkaMessage } from 'kafkajs'
import { LATEST_MS } from '../message.ts'
import type { KafkaRecord } from '../ports.ts'

// One fetched record (magic 2), read when it is asked for: while it waits, it takes a quarter of the memory of what kafkajs makes of it,
// and a twentieth of the relay's CPU less.

/** Where one reads. */
export interface Cursor {
  bytes: Buffer
  at: number
}

/** What the records of one batch share. */
export interface Batch {
  bytes: Buffer
  firstTimestamp: number
  /** The time of all, where the broker gives it. */
  appended: number | undefined
  context: { producerId: string; inTransaction: boolean }
}

/** 2⁷ for each byte of a number. */
const LONGEST = 2 ** 70
const EMPTY = Buffer.alloc(0)

/** Any consumer of kafkajs may take it for a message of its own; a spread finds nothing in it. */
export class FetchedRecord implements Extract<KafkaMessage, { headers: IHeaders }> {
  isControlRecord: boolean
  private readonly batch: Batch
  /** Where its attributes stand. */
  private readonly from: number
  private readonly number: number

  constructor(batch: Batch, from: number, number: number, isControlRecord: boolean) {
    this.batch = batch
    this.from = from
    this.number = number
    this.isControlRecord = isControlRecord
  }

  get batchContext(): Batch['context'] {
    return this.batch.context
  }

  get attributes(): number {
    return this.batch.bytes.readInt8(this.from)
  }

  get offset(): string {
    return `${this.number}`
  }

  get timestamp(): string {
    const { bytes, firstTimestamp, appended } = this.batch
    return `${appended ?? firstTimestamp + varint({ bytes, at: this.from + 1 })}`
  }

  get key(): Buffer | null {
    return this.toRecord().key
  }

  get value(): Buffer | null {
    return this.toRecord().value
  }

  /** The values of a repeated name stand under its first place. */
  get headers(): IHeaders {
    const named = Map.groupBy(this.toRecord().headers, ([name]) => name)
    return Object.fromEntries(
      [...named].map(([name, same]) => {
        const values = same.map(([, value]) => value)
        return [name, values.length > 1 ? values : values[0]]
      })
    )
  }

  /** As Baton takes it. Made anew at each call. */
  toRecord(): KafkaRecord {
    const { bytes, firstTimestamp, appended } = this.batch
    const cursor = { bytes, at: this.from + 1 }
    const timestamp = firstTimestamp + varint(cursor)
    // Its offset.
    varint(cursor)
    const key = part(cursor)
    const value = part(cursor)
    const headers: KafkaRecord['headers'] = []
    for (let left = varint(cursor); left > 0; left--) headers.push([`${part(cursor)}`, part(cursor) ?? EMPTY])
    return { offset: this.number, timestampMs: timeOf(appended ?? timestamp), key, value, headers }
  }
}

/** A record as kafkajs reads it, or as we do. */
export function toRecord(message: KafkaMessage): KafkaRecord {
  if (message instanceof FetchedRecord) return message.toRecord()
  const { offset, timestamp, key, value, headers } = message
  return { offset: Number(offset), timestampMs: timeOf(Number(timestamp)), key, value, headers: toHeaders(headers) }
}

/** kafkajs gathers the values of a repeated name under its first place. A header without a value reads as empty. */
function toHeaders(headers: IHeaders | undefined): KafkaRecord['headers'] {
  if (!headers) return []
  return Object.entries(headers).flatMap(([name, values]) =>
    [values].flat().map((value): [string, Buffer] => [name, Buffer.from(value ?? '')])
  )
}

/** Who produces may give any time; −1 is none. */
function timeOf(timestamp: number): number {
  return Math.min(Math.max(0, timestamp), LATEST_MS)
}

/** Kafka holds what a producer writes to all this: so it was spoiled on a disk, or on its way. */
export function corrupt(detail: string): Error {
  return new Error(`what Kafka answered to a fetch is corrupt: ${detail}`)
}

/** Zigzag; exact up to 2⁵³, as are all offsets and timestamps. Beyond the end of the bytes all is 0. */
export function varint(cursor: Cursor): number {
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

export function skip(cursor: Cursor, parts: number): void {
  for (let left = parts; left > 0; left--) {
    const length = varint(cursor)
    if (length > 0) cursor.at += length
  }
}

function part(cursor: Cursor): Buffer | null {
  const length = varint(cursor)
  if (length < 0) return null
  const from = cursor.at
  cursor.at += length
  return cursor.bytes.subarray(from, cursor.at)
}
