// stompit ships no types; these are of what the tests use.
declare module 'stompit' {
  import type { EventEmitter } from 'node:events'
  import type { Duplex, Readable, Transform, Writable } from 'node:stream'

  type Headers = Record<string, string>

  interface FrameOptions {
    onReceipt?: () => void
  }

  interface Message extends Readable {
    headers: Headers
  }

  interface Subscription {
    unsubscribe(): void
  }

  interface Transaction {
    send(headers: Headers): Writable
    commit(options?: FrameOptions): void
    abort(options?: FrameOptions): void
  }

  type Handlers = Record<string, (frame: Message) => void>

  /** `error` ends it: an ERROR frame, or a connection that broke. */
  class Client extends EventEmitter {
    constructor(stream: Duplex)
    readonly headers: Headers
    connect(headers: Headers, callback: (error: Error | null) => void): void
    send(headers: Headers, options?: FrameOptions): Writable
    subscribe(headers: Headers, onMessage: (error: Error | null, message: Message) => void): Subscription
    ack(message: { headers: Headers }, headers?: Headers, options?: FrameOptions): void
    nack(message: { headers: Headers }, headers?: Headers, options?: FrameOptions): void
    begin(): Transaction
    setCommandHandlers(handlers: Handlers): void
    destroy(): void
    disconnect(callback: (error: Error | null) => void): void
  }

  /** A stream of frames, each a stream of its body. */
  class IncomingFrameStream extends Transform {
    setVersion(version: string): boolean
  }

  const stompit: { Client: typeof Client; IncomingFrameStream: typeof IncomingFrameStream }
  export = stompit
}
