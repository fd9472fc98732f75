import type { Commit, KafkaRecord, OutgoingRecord, Produced } from '../ports.ts'

/** Consumed records that may still be sought back to, by number and by bytes. */
const RETAINED_RECORDS = 10_000
const RETAINED_BYTES = 16 * 1024 * 1024
const FULL_BYTES = 2 * RETAINED_BYTES
/** What a record costs beside its bytes, roughly. */
const RECORD_OVERHEAD_BYTES = 200

export type Partition = ReturnType<typeof createPartition>

/** One partition: records by offset, the tail of those consumed, and the group's commit. */
export function createPartition(topic: string, number: number, consumed: boolean) {
  const records: KafkaRecord[] = []
  let earliest = 0
  let next = consumed ? 0 : Number.POSITIVE_INFINITY
  let bytes = 0

  function trim(): void {
    while (earliest < next && (records.length > RETAINED_RECORDS || bytes > RETAINED_BYTES)) {
      bytes -= sizeOf(records.shift() as KafkaRecord)
      earliest++
    }
  }

  return {
    topic,
    number,
    consumed,
    commit: null as Commit | null,
    /** Called when a record is appended. */
    wake: undefined as (() => void) | undefined,
    get earliest() {
      return earliest
    },
    /** Offset of the next record to be appended. */
    get end() {
      return earliest + records.length
    },
    /** Offset of the next record to be consumed. */
    get next() {
      return next
    },
    set next(offset) {
      next = Math.max(offset, earliest)
      trim()
    },
    /** Too much waits to be consumed. */
    get full() {
      return bytes > FULL_BYTES
    },
    /** At most `count` records from `next` on. */
    take: (count: number) => records.slice(next - earliest, next - earliest + count),
    offsetAt(timestampMs: number): number {
      const index = records.findIndex(record => record.timestampMs >= timestampMs)
      return earliest + (index < 0 ? records.length : index)
    },
    append({ key, value, headers }: OutgoingRecord): Produced {
      const record: KafkaRecord = {
        offset: earliest + records.length,
        timestampMs: Date.now(),
        key: key === null ? null : Buffer.from(key),
        value,
        headers: Object.entries(headers).map(([name, text]) => [name, Buffer.from(text)])
      }
      bytes += sizeOf(record)
      records.push(record)
      trim()
      this.wake?.()
      return { topic, partition: number, offset: record.offset }
    }
  }
}

function sizeOf({ key, value, headers }: KafkaRecord): number {
  const inHeaders = headers.reduce((sum, [name, text]) => sum + name.length + text.length, 0)
  return RECORD_OVERHEAD_BYTES + (key?.length ?? 0) + (value?.length ?? 0) + inHeaders
}
