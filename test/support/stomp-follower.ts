import { Client } from '@stomp/stompjs'
import type { Received } from './stomp-client.ts'
import { deadline } from './wait.ts'

export interface Follower extends AsyncDisposable {
  readonly destinations: string[]
  /** What came of each destination, in order, over all its connections. */
  messages(destination: string): Received[]
  /** Where a RECEIPT, or a message, said that something is missing. */
  readonly gaps: string[]
  /** How each connection that ended was closed. */
  readonly closes: number[]
}

const DEADLINE_MS = 15_000

/** Reads as the README's front-end does: reconnects, to the next of these replicas, and resumes after the last message it saw. */
export async function follow(urls: string[], destinations: string[]): Promise<Follower> {
  const last = new Map<string, string>()
  const received = new Map(destinations.map(destination => [destination, [] as Received[]]))
  const waiting = new Set(destinations)
  const joined = Promise.withResolvers<void>()
  const gaps: string[] = []
  const closes: number[] = []
  let connections = 0

  const client = new Client({
    reconnectDelay: 100,
    heartbeatIncoming: 0,
    heartbeatOutgoing: 0,
    beforeConnect() {
      client.brokerURL = urls[connections++ % urls.length]
    },
    onConnect() {
      for (const destination of destinations) join(destination)
    },
    onWebSocketClose: ({ code }) => closes.push(code)
  })

  function join(destination: string) {
    const after = last.get(destination)
    const receipt = `${connections} ${destination}`
    client.watchForReceipt(receipt, ({ headers }) => {
      if (after && headers['resumed'] !== 'true') gaps.push(`${destination} after ${after}: ${headers['gap']}`)
      last.set(destination, headers['last-message-id'] ?? '')
      waiting.delete(destination)
      if (waiting.size === 0) joined.resolve()
    })
    client.subscribe(
      destination,
      ({ headers, binaryBody }) => {
        if (headers['gap']) gaps.push(`${destination} before ${headers['message-id']}: ${headers['gap']}`)
        last.set(destination, headers['message-id'] ?? '')
        received.get(destination)?.push({ headers, body: Buffer.from(binaryBody) })
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
    [Symbol.asyncDispose]: () => client.deactivate()
  }
}
