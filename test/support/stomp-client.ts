import type { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { Client, type IFrame, Versions } from '@stomp/stompjs'
import stompit from 'stompit'
import { createWebSocketStream, WebSocket } from 'ws'
import { deadline } from './wait.ts'

// Two stock clients behind one small face, so that a test can be run with both. They share no code with src.

export interface Received {
  headers: Record<string, string>
  body: Buffer
}

export interface Subscription {
  /** All that came, in order. */
  readonly messages: Received[]
  /** Headers of the RECEIPT that answered SUBSCRIBE; stompit does not show them. */
  readonly receipt: Record<string, string>
  unsubscribe(): void
}

export interface Transaction {
  send(destination: string, body: string): void
  commit(): void
  abort(): void
}

/** How a connection ended: what the ERROR frame said, if one came, and the close code, which stompit does not show. */
export interface Ending {
  title?: string
  detail?: string
  headers?: Record<string, string>
  code?: number
}

export interface StompClient extends AsyncDisposable {
  /** Headers of CONNECTED. */
  readonly connected: Record<string, string>
  /** Resolves at its RECEIPT. @throws when the connection ends before. */
  subscribe(destination: string, headers?: Record<string, string>): Promise<Subscription>
  /** Resolves at its RECEIPT. @throws when the connection ends before. */
  send(destination: string, body: string | Buffer, headers?: Record<string, string>): Promise<void>
  /** Resolves at its RECEIPT. @throws when the connection ends before. */
  acknowledge(verb: 'ack' | 'nack', message: Received): Promise<void>
  begin(): Transaction
  readonly ended: Promise<Ending>
}

export interface ConnectOptions {
  version?: '1.0' | '1.1' | '1.2'
  headers?: Record<string, string>
  /** Offered and asked for. Default: none. */
  heartBeatMs?: number
}

/** @throws what `ended` tells when the connection was refused. */
export type Connect = (url: string, options?: ConnectOptions) => Promise<StompClient>

export const CLIENTS: [name: string, connect: Connect][] = [
  ['@stomp/stompjs', connectStompjs],
  ['stompit', connectStompit]
]

const DEADLINE_MS = 15_000

export async function connectStompjs(url: string, options: ConnectOptions = {}): Promise<StompClient> {
  const { version, headers = {}, heartBeatMs = 0 } = options
  const ending = createEnding()
  const { promise: connected, resolve } = Promise.withResolvers<IFrame>()
  let failure: IFrame | undefined
  const client = new Client({
    brokerURL: url,
    connectHeaders: headers,
    reconnectDelay: 0,
    heartbeatIncoming: heartBeatMs,
    heartbeatOutgoing: heartBeatMs,
    ...(version && { stompVersions: new Versions([version]) }),
    onConnect: resolve,
    onStompError(frame) {
      failure = frame
    },
    onWebSocketClose({ code }) {
      const error = failure && {
        title: failure.headers['message'] ?? '',
        detail: failure.body,
        headers: failure.headers
      }
      ending.end({ ...error, code })
    }
  })
  client.activate()
  let count = 0
  const receipted = (send: (headers: Record<string, string>) => void) =>
    ending.unless<Record<string, string>>(done => {
      const receipt = `r${++count}`
      client.watchForReceipt(receipt, frame => done(frame.headers))
      send({ receipt })
    })
  const { headers: greeting } = await ending.unless<IFrame>(done => void connected.then(done))
  return {
    connected: greeting,
    ended: ending.ended,
    async subscribe(destination, more) {
      const messages: Received[] = []
      const id = `s${++count}`
      const receipt = await receipted(headers =>
        client.subscribe(
          destination,
          ({ headers, binaryBody }) => messages.push({ headers, body: Buffer.from(binaryBody) }),
          { ...headers, id, ...more }
        )
      )
      return { messages, receipt, unsubscribe: () => client.unsubscribe(id) }
    },
    async send(destination, body, more) {
      const content = typeof body === 'string' ? { body } : { binaryBody: body }
      await receipted(headers => client.publish({ destination, ...content, headers: { ...headers, ...more } }))
    },
    async acknowledge(verb, { headers: { ack, 'message-id': id, subscription = '' } }) {
      await receipted(headers => client[verb](ack ?? id ?? '', subscription, headers))
    },
    begin() {
      const { id, commit, abort } = client.begin()
      const send = (destination: string, body: string) =>
        client.publish({ destination, body, headers: { transaction: id } })
      return { send, commit, abort }
    },
    [Symbol.asyncDispose]: () => client.deactivate()
  }
}

export async function connectStompit(url: string, options: ConnectOptions = {}): Promise<StompClient> {
  const { version, headers = {}, heartBeatMs = 0 } = options
  const ending = createEnding()
  const ws = new WebSocket(url)
  const client = new stompit.Client(createWebSocketStream(ws))
  // Its own handler throws out of the process at an ERROR of text/plain: `this` is not what it takes it for.
  const { setCommandHandlers } = client
  const onError = async (frame: { headers: Record<string, string> } & Readable) => {
    const detail = await text(frame)
    ending.end({ title: frame.headers['message'] ?? '', detail, headers: frame.headers })
    client.destroy()
  }
  client.setCommandHandlers = handlers => setCommandHandlers.call(client, { ...handlers, ERROR: onError })
  client.on('error', ({ message }) => ending.end({ title: message }))
  client.on('end', () => ending.end({}))
  const greeting = {
    'accept-version': version ?? '1.0,1.1,1.2',
    'heart-beat': `${heartBeatMs},${heartBeatMs}`,
    ...headers
  }
  const receipted = (send: (options: { onReceipt: () => void }) => void) =>
    ending.unless<void>(onReceipt => send({ onReceipt }))
  await ending.unless<unknown>(done => client.connect(greeting, error => error ?? done(undefined)))
  return {
    connected: client.headers,
    ended: ending.ended,
    async subscribe(destination, more) {
      const messages: Received[] = []
      const subscription = client.subscribe({ destination, ...more }, (error, message) => {
        if (error) return
        const chunks: Buffer[] = []
        message.on('data', chunk => chunks.push(chunk))
        message.on('end', () => messages.push({ headers: message.headers, body: Buffer.concat(chunks) }))
      })
      // stompit asks for no RECEIPT to SUBSCRIBE; frames are handled in order, so that of an empty transaction will do.
      await receipted(options => client.begin().abort(options))
      return { messages, receipt: {}, unsubscribe: () => subscription.unsubscribe() }
    },
    async send(destination, body, more) {
      const bytes = Buffer.from(body)
      const length = { 'content-length': `${bytes.length}` }
      await receipted(options => client.send({ destination, ...length, ...more }, options).end(bytes))
    },
    acknowledge: (verb, { headers }) => receipted(options => client[verb]({ headers }, {}, options)),
    begin() {
      const transaction = client.begin()
      return {
        send: (destination, body) => void transaction.send({ destination }).end(body),
        commit: () => transaction.commit(),
        abort: () => transaction.abort()
      }
    },
    async [Symbol.asyncDispose]() {
      if (ws.readyState === ws.OPEN) client.disconnect(() => undefined)
      await ending.ended
    }
  }
}

/** Whatever waits is refused once the connection has ended. */
function createEnding() {
  const { promise: ended, resolve: end } = Promise.withResolvers<Ending>()
  return {
    ended,
    end,
    async unless<T>(start: (done: (value: T) => void) => void): Promise<T> {
      const early = ended.then(ending => {
        throw Object.assign(new Error(`the connection ended: ${JSON.stringify(ending)}`), { ending })
      })
      const answered = new Promise<T>(start)
      return deadline(Promise.race([answered, early]), DEADLINE_MS, 'an answer from the server')
    }
  }
}
