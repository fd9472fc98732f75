import pino from 'pino'
import { BatonError, type ErrorCode } from '../../src/errors.ts'
import { createKafkaClient } from '../../src/kafka/client.ts'
import { createKafkaSink } from '../../src/kafka/producer.ts'
import { createTopics, type TopicDeclaration } from '../../src/kafka/topics.ts'
import type { OutgoingRecord, RecordSink } from '../../src/ports.ts'

export interface SinkOptions {
  brokers: string[]
  instanceId?: string
  /** Default 10 s. */
  produceTimeoutMs?: number
  /** Default 32 MiB. */
  produceQueueBytes?: number
  /** Created when missing. Default: none. */
  declared?: TopicDeclaration[]
}

export type StartedSink = RecordSink & AsyncDisposable & { readonly logs: string }

/** The Kafka sink of a Baton, in this process, and what it logs. */
export async function startSink({
  brokers,
  instanceId,
  produceTimeoutMs = 10_000,
  produceQueueBytes = 32 * 1024 * 1024,
  declared = []
}: SinkOptions): Promise<StartedSink> {
  const lines: string[] = []
  const logger = pino({ level: 'info' }, { write: (line: string) => lines.push(line) })
  const client = createKafkaClient({ brokers, clientId: 'test', produceTimeoutMs }, { logger })
  const topics = createTopics(declared, { logger, onFatal: error => logger.fatal(error) })
  const sink = createKafkaSink({ instanceId, produceTimeoutMs, produceQueueBytes }, { client, logger, topics })
  await sink.start()
  return Object.defineProperties(sink as StartedSink, {
    logs: { get: () => lines.join('') },
    [Symbol.asyncDispose]: { value: () => sink.close() }
  })
}

export function record(
  topic: string,
  key: string | null,
  value: string | Buffer,
  more: Partial<OutgoingRecord> = {}
): OutgoingRecord {
  return { topic, key, value: Buffer.from(value), headers: {}, ...more }
}

export const textOf = ({ value }: { value: Buffer | null }) => String(value)

export const refusedWith = (code: ErrorCode) => (error: unknown) => error instanceof BatonError && error.code === code
