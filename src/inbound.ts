import type { Principal } from './auth.ts'
import type { OutgoingRecord, Produced } from './ports.ts'
import type { Names, Route, SendRule } from './routes.ts'

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
}
