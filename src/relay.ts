import type { Logger } from 'pino'
import { encodeEntry } from './message.ts'
import type { Metrics } from './metrics.ts'
import { createOwner } from './owner.ts'
import type { Append, ChannelLog, Claims, KafkaRecord, PartitionControl, PartitionHandler } from './ports.ts'
import { encodeReply, replyChannelOf } from './reply.ts'
import type { PlacedRecord } from './routes/record.ts'
import type { Answer } from './routes/reply.ts'
import { type Routes, Unroutable } from './routes.ts'

// OUT 1: records → routes → entries of channels, and replies to replicas → one append for a chunk. Who may append, from where
// on, and what happens when Redis is behind, is the owner's (owner.ts).

/** Takes records that no route can take. Resolves once the dead-letter topic has acknowledged the record. */
export interface DeadLetter {
  send(record: PlacedRecord, cause: { code: string; detail: string }): Promise<void>
}

export interface RelayOptions {
  /** Where a group without a commit begins. */
  startFrom: 'earliest' | 'latest'
  /** How far back a wiped Redis is refilled (I9). */
  refill: { maxAgeMs: number; maxRecords: number }
}

export interface RelayDeps {
  routes: Routes
  log: ChannelLog
  claims: Pick<Claims, 'holder'>
  deadLetter: DeadLetter
  metrics: Metrics
  logger: Logger
}

/** Makes the owner of each partition that the source is assigned. */
export function createRelay(options: RelayOptions, deps: RelayDeps): PartitionHandler {
  const { metrics, logger } = deps

  /** What one record adds to which channels; what cannot be routed is in the dead-letter topic when this resolves. */
  async function route(source: string, control: PartitionControl, record: KafkaRecord): Promise<Append[]> {
    const placed = { ...record, topic: control.topic, partition: control.partition }
    try {
      const appends = forward(source, placed)
      const answer = deps.routes.answer(placed)
      return answer ? [...appends, ...(await wayBack(record.offset, answer))] : appends
    } catch (error) {
      if (!(error instanceof Unroutable)) throw error
      const { code, detail } = error
      const { topic, partition } = control
      await deps.deadLetter.send(placed, { code, detail })
      metrics.deadLettered.inc({ topic, cause: code })
      logger.warn({ topic, partition, offset: record.offset, code, detail }, 'record goes to the dead-letter topic')
      return []
    }
  }

  function forward(source: string, record: PlacedRecord): Append[] {
    return deps.routes.resolve(record).map(({ route, channel, hidden, headers, body }) => {
      const entry = {
        coordinate: { source, offset: record.offset },
        timestampMs: record.timestampMs,
        hidden,
        headers,
        body
      }
      return {
        channel,
        offset: record.offset,
        published: encodeEntry(entry),
        ...(body.length > route.log.maxBodyBytes && { logged: encodeEntry(entry, true) }),
        logSize: route.log.size,
        logTtlMs: route.log.ttlMs
      }
    })
  }

  /** To the replica that asked. Whoever waited no longer does where nobody holds the claim. */
  async function wayBack(offset: number, { headers, body, ...of }: Answer): Promise<Append[]> {
    const id = 'id' in of ? of.id : await deps.claims.holder(of.claim)
    const channel = id && replyChannelOf(id)
    if (!channel) {
      metrics.replies.inc({ outcome: 'late' })
      return []
    }
    return [{ channel, offset, published: encodeReply({ id, headers, body }), logSize: 0, logTtlMs: 0 }]
  }

  return {
    assigned: control => createOwner(control, { ...options, route, log: deps.log, metrics, logger })
  }
}
