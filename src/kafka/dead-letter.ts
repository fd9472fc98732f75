import { BatonError } from '../errors.ts'
import type { OutgoingRecord, RecordSink } from '../ports.ts'
import type { DeadLetter } from '../relay.ts'

export interface DeadLetterOptions {
  /** Where the records go. */
  topic: string
  /** The consumer group that could not route them. */
  groupId: string
}

/**
 * Produces records as they were, with the cause and their coordinate in headers.
 * @throws BatonError as `RecordSink.produce`: the record may come again. A record that Kafka finds too large goes without its value.
 */
export function createDeadLetter({ topic, groupId }: DeadLetterOptions, { sink }: { sink: RecordSink }): DeadLetter {
  return {
    async send(record, { code, detail }) {
      const headers: OutgoingRecord['headers'] = Object.fromEntries(record.headers)
      Object.assign(headers, {
        'baton-cause': code,
        'baton-cause-detail': detail,
        'baton-topic': record.topic,
        'baton-partition': String(record.partition),
        'baton-offset': String(record.offset),
        'baton-group': groupId,
        'baton-timestamp': String(record.timestampMs)
      })
      const letter = { topic, key: record.key, value: record.value, headers }
      try {
        await sink.produce([letter])
      } catch (error) {
        if (!(error instanceof BatonError) || error.code !== 'BODY_TOO_LARGE') throw error
        const omitted = { ...headers, 'baton-value-omitted': String(record.value?.length ?? 0) }
        await sink.produce([{ ...letter, value: null, headers: omitted }])
      }
    }
  }
}
