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

  function route(source: string, { topic, partition }: PartitionControl, record: KafkaRecord) {
    const placed = { ...record, topic, partition }
    try {
      const appends = forward(source, placed)
      const answer = deps.routes.answer(placed)
      return answer ? async () => [...appends, ...(await wayBack(record.offset, answer))] : appends
    } catch (error) {
      if (!(error instanceof Unroutable)) throw error
      return () => giveUp(placed, error)
    }
  }

  async function giveUp(record: PlacedRecord, { code, detail }: Unroutable): Promise<Append[]> {
    const { topic, partition, offset } = record
    await deps.deadLetter.send(record, { code, detail })
    metrics.deadLettered.inc({ topic, cause: code })
    logger.warn({ topic, partition, offset, code, detail }, 'record goes to the dead-letter topic')
    return []
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
        logged: body.length > route.log.maxBodyBytes ? encodeEntry(entry, true) : undefined,
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
