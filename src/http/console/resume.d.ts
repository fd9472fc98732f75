import type { Client, IMessage, StompHeaders } from '@stomp/stompjs'

export interface ResumingOptions {
  onState?: (state: {
    name: 'connecting' | 'connected' | 'reconnecting' | 'stopped'
    /** How long it waits before it tries, milliseconds. */
    delayMs?: number
    /** Who the server takes the client for. */
    user?: string
  }) => void
  /** An ERROR frame that belongs to no subscription and no send. */
  onError?: (reason: string) => void
  /** Default: 250. */
  minDelayMs?: number
  /** Default: 15,000. */
  maxDelayMs?: number
}

export interface SubscribeOptions {
  /** The message-id of an earlier visit to go on after. */
  after?: string
  /** How many messages to see first, once. Ignored when `after` is given. */
  history?: number
  /** Nothing is missed from now on. @param how `first`: nothing was resumed; `lastId`: to be kept for `after`. */
  onReady?: (how: { resumed: boolean; first: boolean; lastId: string }) => void
  /** Messages were missed. @param gap how many, or `unknown`. @param before the message they came before; absent: before the subscription was ready. */
  onGap?: (gap: string, before?: IMessage) => void
  /** Refused for good. */
  onRefused?: (reason: string) => void
}

export interface Resuming {
  start(): void
  stop(): Promise<void>
  /** @returns a function that ends it. */
  subscribe(destination: string, onMessage: (message: IMessage) => void, options?: SubscribeOptions): () => void
  /** Resolves when the server confirmed it; rejects with what refused it, or when that cannot be known any more. */
  send(destination: string, body: string, headers?: StompHeaders): Promise<void>
}

export function createResuming(client: Client, options?: ResumingOptions): Resuming
