import type { Auth, Principal } from './auth.ts'
import { BatonError } from './errors.ts'
import type { Metrics } from './metrics.ts'
import type { OutgoingRecord, Produced, RecordSink } from './ports.ts'
import type { SendRule } from './routes/send-rule.ts'
import type { Names, Route } from './routes.ts'

// IN: authorize, validate, stamp, produce. `prepare` writes nothing; what it refuses Kafka never sees.

/** A SEND frame or a POST, as it came. */
export interface SendRequest {
  route: Route
  rule: SendRule
  /** From the destination or the path. */
  names: Names
  body: Buffer
  /** User headers, unescaped, first of a repeated name only; reserved names are dropped here. */
  headers: Record<string, string>
  principal: Principal
}

export interface Inbound {
  /** Authorizes, validates and stamps. @throws BatonError FORBIDDEN, UNAUTHENTICATED, INVALID_BODY, BODY_TOO_LARGE, … */
  prepare(request: SendRequest): Promise<Prepared>
  /**
   * Produces what was prepared, all or nothing, in call order; resolves once Kafka acknowledged it.
   * @throws BatonError KAFKA_UNAVAILABLE, PRODUCE_QUEUE_FULL
   */
  produce(prepared: Prepared[]): Promise<Produced[]>
}

export interface Prepared {
  route: Route
  records: OutgoingRecord[]
  /** Of a request whose reply may echo nothing (`ReplyRule.claim`). */
  claim?: string
}

export interface InboundOptions {
  /** The largest body, bytes. */
  maxBodyBytes: number
}

export interface InboundDeps {
  auth: Auth
  sink: Pick<RecordSink, 'produce'>
  metrics: Metrics
}

/** Of one SEND: a small list must not become a large amount of work. */
const MAX_RECORDS = 1000

export function createInbound({ maxBodyBytes }: InboundOptions, { auth, sink, metrics }: InboundDeps): Inbound {
  return {
    async prepare({ route, rule, principal: session, ...came }) {
      if (came.body.length > maxBodyBytes) {
        throw new BatonError(
          'BODY_TOO_LARGE',
          `the body has ${came.body.length} bytes, at most ${maxBodyBytes} are taken`
        )
      }
      const draft = rule.read(came)
      const principal = rule.token ? await sender(rule.token(draft), session) : session
      if (!rule.allowedByNames) auth.authorize('send', route, principal, came.names)
      rule.validate(draft)
      const records: OutgoingRecord[] = []
      let bytes = 0
      const now = new Date()
      for (const { record, names } of rule.stamp(draft, principal, now)) {
        if (rule.allowedByNames && names) auth.authorize('send', route, principal, names)
        bytes += record.value?.length ?? 0
        records.push({ ...record, value: record.value && alone(record.value) })
        if (records.length > MAX_RECORDS || (records.length > 1 && bytes > maxBodyBytes)) {
          const most = `${MAX_RECORDS} records with ${maxBodyBytes} bytes together`
          throw new BatonError('BODY_TOO_LARGE', `one SEND may make ${most}: send fewer items`)
        }
      }
      return { route, records, ...(rule.reply?.claim && { claim: rule.reply.claim(draft, principal, now) }) }
    },

    async produce(prepared) {
      const produced = await sink.produce(prepared.flatMap(({ records }) => records))
      for (const { route, records } of prepared) metrics.produced.inc({ route: route.name }, records.length)
      return produced
    }
  }

  /** Who sends, on a route whose bodies carry tokens: the token's principal, else the session's unless that is a guest. */
  async function sender(token: string | undefined, session: Principal): Promise<Principal> {
    if (token !== undefined) return auth.verifyToken(token)
    if (!session.guest) return session
    throw new BatonError('UNAUTHENTICATED', 'the body must carry a token, or CONNECT must have shown one')
  }
}

/** What waits for a COMMIT or for Kafka is counted by its own bytes: it must not keep the chunk, or the pool, that it is a part of. */
function alone(value: Buffer): Buffer {
  if (2 * value.length >= value.buffer.byteLength) return value
  const copy = Buffer.allocUnsafeSlow(value.length)
  value.copy(copy)
  return copy
}
