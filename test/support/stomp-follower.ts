import { Client } from '@stomp/stompjs'
import type { Received } from './stomp-client.ts'
import { deadline } from './wait.ts'

export interface FollowOptions<T> {
  /** What is kept of each message. Default: all of it. */
  read?: (message: Received) => T
  /** Offered and asked for. Default: none. */
  heartBeatMs?: number
}

/** Something is missing of a destination, as a message or a RECEIPT said. */
export interface Told {
  destination: string
  /** Where: before one of the messages with these indexes. */
  from: number
  to: number
  /** How many, or `unknown`. */
  gap: string
}

export interface Follower<T = Received> extends AsyncDisposable {
  readonly destinations: string[]
  /** What came of each destination, in order, over all its connections. */
  messages(destination: string): T[]
  readonly gaps: Told[]
  /** How each connection that ended was closed. */
  readonly closes: number[]
  /** Each replica that it turned to, and when: milliseconds since 1970. */
  readonly turns: { url: string; atMs: number }[]
  /** Drops the connection; the next replica is turned to. */
  leave(): void
}

const DEADLINE_MS = 15_000
const RECONNECT_MS = 100
/** A replica that does not answer by then is left. */
const CONNECT_MS = 3000

/** Reads as the README's front-end does: reconnects, to the next of these replicas, and resumes after the last message it saw. */
export async function follow<T = Received>(
  urls: string[],
  destinations: string[],
  { read = message => message as T, heartBeatMs = 0 }: FollowOptions<T> = {}
): Promise<Follower<T>> {
  const last = new Map<string, string>()
  const received = new Map(destinations.map(destination => [destination, [] as T[]]))
  const waiting = new Set(destinations)
  const joined = Promise.withResolvers<void>()
  const gaps: Told[] = []
  const closes: number[] = []
  const turns: Follower['turns'] = []

  const client = new Client({
    connectionTimeout: CONNECT_MS,
    // A close hand-shake would wait for who does not answer.
    discardWebsocketOnCommFailure: true,
    heartbeatIncoming: heartBeatMs,
    heartbeatOutgoing: heartBeatMs,
    beforeConnect() {
      const url = urls[turns.length % urls.length] as string
      client.brokerURL = url
      client.reconnectDelay = RECONNECT_MS * (0.5 + Math.random())
      turns.push({ url, atMs: Date.now() })
    },
    onConnect() {
      for (const destination of destinations) join(destination)
    },
    onWebSocketClose: ({ code }) => closes.push(code)
  })

  function join(destination: string) {
    const after = last.get(destination)
    const receipt = `${turns.length} ${destination}`
    const messages = received.get(destination) as T[]
    const from = messages.length
    client.watchForReceipt(receipt, ({ headers }) => {
      if (after && headers['resumed'] !== 'true') {
        gaps.push({ destination, from, to: messages.length, gap: headers['gap'] ?? '' })
      }
      last.set(destination, headers['last-message-id'] ?? '')
      waiting.delete(destination)
      if (waiting.size === 0) joined.resolve()
    })
    client.subscribe(
      destination,
      ({ headers, binaryBody }) => {
        const { gap } = headers
        if (gap) gaps.push({ destination, from: messages.length, to: messages.length, gap })
        last.set(destination, headers['message-id'] ?? '')
        messages.push(read({ headers, body: Buffer.from(binaryBody) }))
      },
      { receipt, ...(after && { 'last-message-id': after }) }
    )
  }

  client.activate()
  await deadline(joined.promise, DEADLINE_MS, () => `the subscriptions to ${[...waiting]}`)
  return {
    destinations,
    messages: destination => received.get(destination) ?? [],
    gaps,
    closes,
    turns,
    leave: () => client.forceDisconnect(),
    [Symbol.asyncDispose]: () => client.deactivate({ force: true })
  }
}
