import { Client } from '@stomp/stompjs'
import { type Follower, type FollowOptions, settle } from './stomp-follower.ts'

/** One SUBSCRIBE of one connection. */
export interface Join {
  destination: string
  /** How many messages of the destination had come before it. */
  from: number
  /** When its RECEIPT came: milliseconds since 1970. Absent: it did not. */
  liveMs?: number
}

export interface PlainFollower<T> extends Omit<Follower<T>, 'goAway' | 'comeBack'> {
  readonly joins: Join[]
}

const RECONNECT_MS = 100

/** Reads as a front-end without the helper does: reconnects, to the next of these replicas, and begins anew. */
export async function followPlainly<T>(
  urls: string[],
  destinations: string[],
  { read, heartBeatMs }: Required<FollowOptions<T>>
): Promise<PlainFollower<T>> {
  const received = new Map(destinations.map(destination => [destination, [] as T[]]))
  const waiting = new Set(destinations)
  const joined = Promise.withResolvers<void>()
  const joins: Join[] = []
  const gaps: Follower['gaps'] = []
  const closes: number[] = []
  const turns: Follower['turns'] = []

  const client = new Client({
    reconnectDelay: RECONNECT_MS,
    discardWebsocketOnCommFailure: true,
    heartbeatIncoming: heartBeatMs,
    heartbeatOutgoing: heartBeatMs,
    beforeConnect() {
      const url = urls[turns.length % urls.length] as string
      client.brokerURL = url
      turns.push({ url, atMs: Date.now() })
    },
    onConnect() {
      for (const [destination, messages] of received) join(destination, messages)
    },
    onWebSocketClose: ({ code }) => closes.push(code)
  })

  function join(destination: string, messages: T[]): void {
    const receipt = `${turns.length} ${destination}`
    const joining: Join = { destination, from: messages.length }
    joins.push(joining)
    client.watchForReceipt(receipt, () => {
      joining.liveMs = Date.now()
      waiting.delete(destination)
      if (waiting.size === 0) joined.resolve()
    })
    client.subscribe(
      destination,
      ({ headers, binaryBody }) => {
        const { gap } = headers
        if (gap) gaps.push({ destination, from: messages.length, to: messages.length, gap })
        messages.push(read({ headers, body: Buffer.from(binaryBody) }))
      },
      { receipt }
    )
  }

  client.activate()
  await settle(client, joined.promise, waiting)
  return {
    destinations,
    messages: destination => received.get(destination) ?? [],
    joins,
    gaps,
    closes,
    turns,
    leave: () => client.forceDisconnect(),
    [Symbol.asyncDispose]: () => client.deactivate({ force: true })
  }
}
