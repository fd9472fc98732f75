import type { Gap } from './message.ts'
import type { Place } from './routes.ts'

/** Where a new subscription begins. Neither: with the next message. */
export interface Start {
  /** A message-id: replay what came after it (I7). */
  after?: string
  /** Replay the last n of what people may read, then go on live. Ignored when `after` is given. */
  history?: number
}

export interface Subscribed {
  /** True when every message after `start.after` was or will be delivered. False for a plain subscription, and where it cannot be proved: then `gap` is set. */
  resumed: boolean
  gap?: Gap
  /** Resume from here to miss nothing from now on. */
  lastMessageId: string
  /** Idempotent; no delivery happens after it returns. */
  unsubscribe(): void
}

/** The local end of the bus: one bus subscription and one state machine per channel, however many members. */
export interface Hub<Member> {
  /**
   * Resolves when the subscription is live: what was to be replayed is handed to the audience, and every later message will be.
   * The first delivery may come before it resolves.
   * @param signal aborted when the client is gone: lets go of the hold, rejects with its reason.
   * @throws BatonError INVALID_RESUME, REDIS_UNAVAILABLE (not within `redis.readTimeoutMs`).
   */
  subscribe(place: Place, member: Member, start: Start, signal: AbortSignal): Promise<Subscribed>
  close(): Promise<void>
}
