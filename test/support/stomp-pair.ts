import { type Duplex, duplexPair } from 'node:stream'
import { createDuplexTransport } from '../../src/stomp/socket-transport.ts'
import type { Transport, TransportOptions } from '../../src/stomp/transport.ts'
import { deadline } from './wait.ts'

// STOMP without a socket: an in-memory duplex, a server's transport at one end and a small raw client at the other, whose
// reader shares no code with the codec under test.

/** A frame as it was on the wire: nothing is unescaped. */
export interface RawFrame {
  command: string
  headers: Record<string, string>
  body: Buffer
}

export interface RawClient {
  /** The bytes as they are; `^@` stands for NUL in text. */
  send(bytes: string | Buffer): void
  /** The next frame from the server; heart-beats are passed over. @throws at the deadline, or when the server closed before. */
  next(): Promise<RawFrame>
  /** The next frame. @throws when it is another command. */
  expect(command: string): Promise<RawFrame>
  /** How many heart-beats came alone so far. */
  readonly beats: number
  /** How the server closed. */
  closed(): Promise<{ code: number; reason: string }>
  /** Drops the connection without a word. */
  drop(): void
  readonly duplex: Duplex
}

const DEADLINE_MS = 5000

/** Both ends of a connection. What the server's close code would be is told to the client. */
export function stompPair(options: TransportOptions = { sendQueueBytes: 1e6 }): {
  transport: Transport
  client: RawClient
} {
  const [near, far] = duplexPair()
  const inner = createDuplexTransport(near, options)
  const { promise: closed, resolve: setClosed } = Promise.withResolvers<{ code: number; reason: string }>()
  const transport: Transport = Object.create(inner, {
    close: {
      value(this: Transport, ...how: Parameters<Transport['close']>) {
        const [code, reason] = how
        setClosed({ code, reason })
        // What was written is known to this one.
        inner.close.apply(this, how)
      }
    }
  })
  return { transport, client: rawClient(far, closed) }
}

function rawClient(duplex: Duplex, closed: Promise<{ code: number; reason: string }>): RawClient {
  const frames: RawFrame[] = []
  let waiting: ((frame: RawFrame | undefined) => void) | undefined
  let bytes = Buffer.alloc(0)
  let beats = 0
  let ended = false
  duplex.on('data', (chunk: Buffer) => {
    bytes = Buffer.concat([bytes, chunk])
    for (let frame = read(); frame; frame = read()) frames.push(frame)
    if (waiting && frames.length > 0) hand(frames.shift())
  })
  duplex.on('end', () => {
    ended = true
    duplex.end()
    hand(undefined)
  })

  function hand(frame: RawFrame | undefined): void {
    waiting?.(frame)
    waiting = undefined
  }

  function read(): RawFrame | undefined {
    for (; bytes[0] === 10; beats++) bytes = bytes.subarray(1)
    const blank = bytes.indexOf('\n\n')
    if (blank < 0) return undefined
    const [command = '', ...lines] = bytes.toString('utf8', 0, blank).split('\n')
    const headers: Record<string, string> = {}
    for (const line of lines) headers[line.slice(0, line.indexOf(':'))] ??= line.slice(line.indexOf(':') + 1)
    const length = headers['content-length']
    const start = blank + 2
    const end = length === undefined ? bytes.indexOf(0, start) : start + Number(length)
    if (end < 0 || end >= bytes.length) return undefined
    if (bytes[end] !== 0) throw new Error('no NUL after the body')
    const body = bytes.subarray(start, end)
    bytes = bytes.subarray(end + 1)
    return { command, headers, body }
  }

  async function next(): Promise<RawFrame> {
    let frame = frames.shift()
    if (!frame && !ended) {
      const { promise, resolve } = Promise.withResolvers<RawFrame | undefined>()
      waiting = resolve
      frame = await deadline(promise, DEADLINE_MS, 'a frame from the server')
    }
    if (!frame) throw new Error('the server closed')
    return frame
  }

  return {
    send: data => void duplex.write(typeof data === 'string' ? data.replaceAll('^@', '\0') : data),
    next,
    async expect(command) {
      const frame = await next()
      if (frame.command !== command) {
        throw new Error(`${command} expected, not ${frame.command} ${JSON.stringify(frame.headers)} ${frame.body}`)
      }
      return frame
    },
    get beats() {
      return beats
    },
    closed: () => deadline(closed, DEADLINE_MS, 'the server to close'),
    drop: () => void duplex.destroy(),
    duplex
  }
}
