import { randomUUID } from 'node:crypto'
import { BatonError } from './errors.ts'
import type { Inbound, Prepared } from './inbound.ts'
import type { Metrics } from './metrics.ts'
import type { ChannelFeed, Claims } from './ports.ts'
import { CORRELATION_ID, decodeReply, REPLY_CHANNELS, REPLY_TOPIC, type Reply } from './reply.ts'
import type { ReplyRule } from './routes/reply.ts'

// IN and back: a request is produced with a correlation id that names this replica, and whichever relay consumes the reply
// publishes it here. Where replies are matched by a field, the text of the request is claimed first, so that no two requests
// wait for one text at one time; the wait ends before the claim does.

export interface Replies {
  /** The bus channel on which they come; to be followed. */
  readonly channel: string
  /**
   * Resolves when the request is on its way to Kafka.
   * @throws BatonError REDIS_UNAVAILABLE, TOO_MANY_PENDING, REQUEST_PENDING: nothing was produced.
   */
  ask(prepared: Prepared, rule: ReplyRule): Promise<Asked>
  /** Takes a payload of `channel`. What nobody waits for is only counted. */
  take(payload: Buffer): void
}

export interface Asked {
  /** Resolves when Kafka has acknowledged the request. @throws BatonError as `Inbound.produce`. */
  produced: Promise<void>
  /** @throws BatonError REPLY_TIMEOUT, or as `produced`. */
  reply: Promise<Reply>
}

export interface RepliesDeps {
  feed: Pick<ChannelFeed, 'ready'>
  inbound: Pick<Inbound, 'produce'>
  claims: Pick<Claims, 'take' | 'release'>
  metrics: Metrics
}

/** Requests that may wait at one time. */
const MAX_WAITING = 10_000

/** @param replicaId a UUID that no other process has. */
export function createReplies(
  { replicaId }: { replicaId: string },
  { feed, inbound, claims, metrics }: RepliesDeps
): Replies {
  /** What to do with the reply, by correlation id. */
  const waiting = new Map<string, (reply: Reply) => void>()

  async function ask({ claim, ...prepared }: Prepared, { topic, timeoutMs }: ReplyRule): Promise<Asked> {
    if (!feed.ready) throw new BatonError('REDIS_UNAVAILABLE', `no reply could come: ${NOTHING_PRODUCED}`)
    if (waiting.size >= MAX_WAITING) {
      throw new BatonError('TOO_MANY_PENDING', `${MAX_WAITING} requests wait here already: ${NOTHING_PRODUCED}`)
    }
    const id = `${replicaId}.${randomUUID()}`
    const claimEndsMs = performance.now() + 2 * timeoutMs
    const { promise: reply, resolve, reject } = Promise.withResolvers<Reply>()
    reply.catch(ignored)
    let timer: NodeJS.Timeout | undefined

    waiting.set(id, came => {
      clearTimeout(timer)
      end('answered')
      letGo()
      resolve(came)
    })
    try {
      if (claim !== undefined && !(await claims.take(claim, id, 2 * timeoutMs))) {
        throw new BatonError('REQUEST_PENDING', `one with the same text waits for its reply: ${NOTHING_PRODUCED}`)
      }
    } catch (error) {
      waiting.delete(id)
      throw error
    }
    const produced = produce()
    produced.catch(ignored)
    return { produced, reply }

    async function produce(): Promise<void> {
      const records = prepared.records.map(record => {
        // A partition that a client names is none of the reply topic's.
        const { kafka_replyPartition, ...headers } = record.headers
        return { ...record, headers: { ...headers, [CORRELATION_ID]: id, [REPLY_TOPIC]: topic } }
      })
      try {
        await inbound.produce([{ ...prepared, records }])
      } catch (error) {
        waiting.delete(id)
        // After that alone it may have been written, and be answered yet.
        if (!(error instanceof BatonError) || error.code !== 'KAFKA_UNAVAILABLE') letGo()
        reject(error)
        throw error
      }
      const leftMs = claim === undefined ? timeoutMs : Math.min(timeoutMs, Math.max(0, claimEndsMs - performance.now()))
      if (waiting.has(id)) timer = setTimeout(expire, leftMs)
    }

    /** The claim is left to end by itself, so that a reply that comes yet is not taken for that of another request. */
    function expire(): void {
      end('timeout')
      const detail = `route ${prepared.route.name}: none within ${timeoutMs} ms; it is not known whether the request was carried out`
      reject(new BatonError('REPLY_TIMEOUT', detail))
    }

    function end(outcome: 'answered' | 'timeout'): void {
      waiting.delete(id)
      metrics.replies.inc({ outcome })
    }

    /** Where Redis is away, the claim ends by itself. */
    function letGo(): void {
      if (claim !== undefined) claims.release(claim, id).catch(ignored)
    }
  }

  return {
    channel: `${REPLY_CHANNELS}${replicaId}`,
    ask,
    take(payload) {
      const reply = decodeReply(payload)
      const answer = reply && waiting.get(reply.id)
      if (reply && answer) answer(reply)
      else metrics.replies.inc({ outcome: reply ? 'late' : 'malformed' })
    }
  }
}

const NOTHING_PRODUCED = 'nothing was produced; try again later'

/** Who waits for it is told. */
function ignored(): void {}
