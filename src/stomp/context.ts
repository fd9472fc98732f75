import type { Auth, Principal } from '../auth.ts'
import { BatonError } from '../errors.ts'
import type { Hub } from '../hub.ts'
import type { Inbound, Prepared } from '../inbound.ts'
import type { Metrics } from '../metrics.ts'
import type { Allowance } from '../rates.ts'
import type { Replies } from '../replies.ts'
import type { Routes } from '../routes.ts'
import type { AckWindow } from './ack-window.ts'
import type { Member } from './family.ts'
import type { Frame, Version } from './frame.ts'
import type { Transport } from './transport.ts'

// What a verb's handler sees of its session.

export interface StompOptions {
  /** Goes out as `server:baton/<version>`. */
  version: string
  maxBodyBytes: number
  maxHeaders: number
  /** Command and headers of one frame together. */
  maxHeaderBytes: number
  maxSubscriptions: number
  /** The heart-beat that the server offers and asks for; a client may have a faster one, down to 1,000. 0: none. Milliseconds. */
  heartBeatMs: number
  connectTimeoutMs: number
  /** How many messages of one subscription may be unacknowledged. */
  ackWindow: number
  sendQueueAgeMs: number
  /** Past so many waiting WebSocket messages the socket is not read. */
  maxPendingFrames: number
  maxTransactions: number
  /** Headers and bodies of all open transactions together; each of their frames counts 256 bytes more. */
  transactionBytes: number
  /** Of a session, on average; 0: no bound. */
  sendsPerSecond: number
  /** Of a session, at once. */
  sendBurst: number
  /** Takes SENDs with a fresh credential of the session. Absent: none expires. */
  refreshDestination?: string | undefined
}

export interface StompDeps {
  auth: Auth
  routes: Routes
  hub: Hub<Member>
  inbound: Inbound
  replies: Pick<Replies, 'ask'>
  metrics: Metrics
}

/** What was known of a client before its first frame. `authorization` and `accessToken` are never logged. */
export interface Upgrade {
  path: string
  remoteAddress: string
  authorization?: string
  accessToken?: string
}

/** Who speaks, and how; there from CONNECT on. */
export interface Peer {
  version: Version
  /** Another object after a refresh. */
  principal: Principal
}

export interface Subscription {
  /** Undefined where 1.0 gave none. */
  id: string | undefined
  destination: string
  /** Idempotent. */
  unsubscribe(): void
}

/** The ack window of a subscription, which outlives it: a message on its way may still be acknowledged. */
export interface PendingAcks {
  /** The subscription's id; undefined where 1.0 gave none. */
  subscription: string | undefined
  window: AckWindow
  live: boolean
}

export interface Transaction {
  prepared: Prepared[]
  /** What COMMIT is to acknowledge. */
  acknowledgements: (() => void)[]
  bytes: number
}

export interface Context {
  readonly options: StompOptions
  readonly deps: StompDeps
  readonly transport: Transport
  readonly upgrade: Upgrade
  /** Aborted when the session ends. */
  readonly signal: AbortSignal
  /** By id; without one (1.0) by destination. */
  readonly subscriptions: Map<string, Subscription>
  readonly acks: PendingAcks[]
  readonly transactions: Map<string, Transaction>
  /** Made by the first SEND. */
  allowance: Allowance | undefined
  /** When Kafka last acknowledged what this session sent; `performance.now()`. */
  acknowledgedAtMs: number
  /** Ends the session with ERROR SLOW_CONSUMER. */
  slow(cause: 'bytes' | 'age' | 'acks' | 'memory'): void
}

/** What a handler leaves to be done. */
export interface Outcome {
  /** More headers for the RECEIPT, if one was asked for. */
  receipt?: [name: string, value: string][]
  /** The RECEIPT waits for it; its failure ends the session. */
  done?: Promise<unknown>
  /** No RECEIPT waits for it; its failure ends the session all the same. */
  owed?: Promise<unknown>
  /** The session ends once everything before is done. */
  leave?: true
}

export type Handler = (context: Context, peer: Peer, frame: Frame) => Outcome | Promise<Outcome>

/** @throws BatonError MISSING_HEADER */
export function requireHeader({ command, headers }: Frame, name: string): string {
  const value = headers.get(name)
  if (value === undefined) throw new BatonError('MISSING_HEADER', `${command} needs the header ${name}`)
  return value
}

/** Notes when Kafka acknowledged what a session sent. */
export async function acknowledged(context: Context, produced: Promise<unknown>): Promise<void> {
  await produced
  context.acknowledgedAtMs = performance.now()
}
