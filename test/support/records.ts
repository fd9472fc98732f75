import type { KafkaRecord, RecordBatch } from '../../src/ports.ts'

export function allOf(records: RecordBatch['records']): KafkaRecord[] {
  return Array.from({ length: records.length }, (_, index) => records.at(index) as KafkaRecord)
}
