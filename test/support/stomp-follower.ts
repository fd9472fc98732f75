import { Client } from '@stomp/stompjs'
import { createResuming } from '../../src/http/console/resume.js'
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
  /** Drops the connection and stays away until `comeBack`. */
  goAway(): Promise<void>
  comeBack(): void
}

const DEADLINE_MS = 30_000
const BACK_OFF = { minDelayMs: 50, maxDelayMs: 200 }
/** A replica that does not answer by then is left. */
const CONNECT_MS = 3000

/** Reads with the helper that front-ends have: reconnects, to the next of these replicas, and resumes after the last message it saw. */
export async function follow<T = Received>(
  urls: string[],
  destinations: string[],
  { read = message => message as T, heartBeatMs = 0 }: FollowOptions<T> = {}
): Promise<Follower<T>> {
  const received = new Map(destinations.map(destination => [destination, [] as T[]]))
  const waiting = new Set(destinations)
  const joined = Promise.withResolvers<void>()
  const gaps: Told[] = []
  const closes: number[] = []
  const turns: Follower['turns'] = []

  const client = new Client({
    connectionTimeout: CONNECT_MS,
    heartbeatIncoming: heartBeatMs,
    heartbeatOutgoing: heartBeatMs,
    webSocketFactory() {
      const url = urls[turns.length % urls.length] as string
      turns.push({ url, atMs: Date.now() })
      const socket = new WebSocket(url, client.stompVersions.protocolVersions())
      socket.addEventListener('close', ({ code }) => closes.push(code))
      return socket
    }
  })
  const resuming = createResuming(client, {
    ...BACK_OFF,
    onState({ name }) {
      if (name === 'connected') for (const messages of received.values()) begun.set(messages, messages.length)
    }
  })
  /** How many messages there were when the present connection began. */
  const begun = new Map<T[], number>()

  for (const [destination, messages] of received) {
    resuming.subscribe(
      destination,
      ({ headers, binaryBody }) => messages.push(read({ headers, body: Buffer.from(binaryBody) })),
      {
        onGap(gap, before) {
          const to = messages.length
          gaps.push({ destination, from: before ? to : (begun.get(messages) ?? 0), to, gap })
        },
        onReady() {
          waiting.delete(destination)
          if (waiting.size === 0) joined.resolve()
        }
      }
    )
  }

  resuming.start()
  await settle(client, joined.promise, waiting)
  return {
    destinations,
    messages: destination => received.get(destination) ?? [],
    gaps,
    closes,
    turns,
    leave: () => client.forceDisconnect(),
    goAway: () => client.deactivate({ force: true }),
    comeBack: () => client.activate(),
    [Symbol.asyncDispose]: () => client.deactivate({ force: true })
  }
}

/** Waits until all have joined. @throws when they have not in time; then the client has ended. */
export async function settle(client: Client, joined: Promise<void>, waiting: Set<string>): Promise<void> {
  try {
    await deadline(joined, DEADLINE_MS, () => `the subscriptions to ${[...waiting]}`)
  } catch (error) {
    await client.deactivate({ force: true })
    throw error
  }
}
