import type { KafkaRecord } from './ports.ts'

/** The rule that ties a topic, a channel and a destination; compiled from one entry of `routes:` in the configuration. */
export interface Route {
  name: string
  topic: string
  /** What the log keeps of each of its channels. */
  log: { size: number; ttlMs: number; maxBodyBytes: number }
  /** What people may read of the log. */
  history: { size: number; maxAgeMs: number | undefined }
  send: SendRule | undefined
  allow: { [verb in Verb]: Condition }
}

/** What a principal may do with a route. */
export type Verb = 'send' | 'subscribe' | 'history'

/** `anyone`: guests too. `authenticated`: any principal but a guest. An object: every claim named equals (or, an array, contains) one of the values; a value may be a template over the route's names. */
export type Condition = 'anyone' | 'authenticated' | 'nobody' | Record<string, string | number | boolean | (string | number | boolean)[]>

/** Names taken out of a destination, channel or path by matching its template backwards; values are decoded. */
export type Names = Record<string, string>

/** A channel that can be subscribed to. */
export interface Place {
  route: Route
  channel: string
  destination: string
  names: Names
  /** Topics of every route whose records can reach this channel. */
  topics: ReadonlySet<string>
}

/** A record's way into one channel. */
export interface Routed {
  route: Route
  channel: string
  /** Excepted from history (`history.except`). */
  hidden: boolean
  /** STOMP 1.2 encoded header lines, each closed by LF, content-length last; reserved names dropped. */
  headers: string
  body: Buffer
}

export interface Routes {
  readonly all: readonly Route[]
  readonly topics: readonly string[]
  /**
   * OUT. The channels of a record; empty where every route of its topic leaves it out on purpose.
   * @throws Unroutable when a route needs what the record does not have.
   */
  resolve(record: KafkaRecord & { topic: string; partition: number }): Routed[]
  /** SUBSCRIBE and history. @throws BatonError UNKNOWN_DESTINATION, MALFORMED_DESTINATION: each names the destination. */
  subscribable(destination: string): Place
  /** SEND. @throws as `subscribable`. */
  sendable(destination: string): { route: Route; rule: SendRule; names: Names }
}

/** How SENDs and POSTs become records of a route's topic. Compiled; filled by `inbound.ts`. */
export interface SendRule {
  /** Method and path template of the HTTP way in, as fastify takes it; absent: none. */
  http: string | undefined
  compiled: unknown
}
