import { isUtf8 } from 'node:buffer'
import type { Duplex } from 'node:stream'
import type { WebSocket } from 'ws'

// A session's view of its socket. Writes go to the socket below the WebSocket: whole frames only, deflate off, nothing else of
// ours is ever sent through `ws` but its close frame, so the two cannot interleave.

/** How STOMP frames are wrapped on the wire: in one WebSocket message each, or not at all. */
export type Framing = 'websocket' | 'raw'

export interface TransportEvents {
  data(bytes: Buffer): void
  /** The socket is gone; nothing more comes. */
  closed(): void
  /** More was written while the send queue was over its bound; that write is lost. Told once. */
  overflow(): void
}

export interface Transport {
  readonly framing: Framing
  /** Called once, before anything else. */
  start(events: TransportEvents): void
  /** Sends one STOMP frame. */
  write(frame: Buffer): void
  /** Sends whole frames, already wrapped for `framing`. @param flushed called when they left the send queue, or never will. */
  writeFramed(bytes: Buffer, flushed?: () => void): void
  /** Bytes that wait for the client to read. */
  readonly queuedBytes: number
  /** Bytes ever written, queued ones included. */
  readonly writtenBytes: number
  /** Half of the send queue's bound is used. */
  readonly halfFull: boolean
  readonly paused: boolean
  pause(): void
  resume(): void
  /** Sends what is queued, says goodbye and ends; a client that does not answer is cut off after 5 s. */
  close(code: number, reason: string): void
}

export interface TransportOptions {
  /** Bound of the send queue; checked before a write, so one write may go over it. */
  sendQueueBytes: number
}

const TEXT = 1
const BINARY = 2
const LINGER_MS = 5000

/** The opcode of a WebSocket message that holds `bytes` (RFC 6455 §5.6: text must be UTF-8). */
export function opcodeOf(bytes: Buffer): number {
  return isUtf8(bytes) ? TEXT : BINARY
}

export function messageHeaderLength(payloadLength: number): number {
  if (payloadLength < 126) return 2
  return payloadLength < 65_536 ? 4 : 10
}

/** Writes the header of a whole, unmasked WebSocket message (RFC 6455 §5.2). @returns where the payload begins. */
export function writeMessageHeader(target: Buffer, at: number, opcode: number, payloadLength: number): number {
  target[at] = 0x80 | opcode
  if (payloadLength < 126) {
    target[at + 1] = payloadLength
  } else if (payloadLength < 65_536) {
    target[at + 1] = 126
    target.writeUInt16BE(payloadLength, at + 2)
  } else {
    target[at + 1] = 127
    target.writeUInt32BE(Math.floor(payloadLength / 2 ** 32), at + 2)
    target.writeUInt32BE(payloadLength % 2 ** 32, at + 6)
  }
  return at + messageHeaderLength(payloadLength)
}

/** @param socket the one below `ws`. */
export function createWebSocketTransport(ws: WebSocket, socket: Duplex, options: TransportOptions): Transport {
  return createTransport('websocket', socket, options, {
    isOpen: () => ws.readyState === ws.OPEN,
    start({ data, closed }) {
      ws.on('message', message => data(message as Buffer))
      ws.on('close', closed)
      // `ws` answers with the right close code by itself (1002, 1007, 1009).
      ws.on('error', () => undefined)
    },
    pause: () => ws.pause(),
    resume: () => ws.resume(),
    close: (code, reason) => ws.close(code, reason),
    cut: () => ws.terminate()
  })
}

/** STOMP straight on a stream; a close code has no way to travel. */
export function createDuplexTransport(duplex: Duplex, options: TransportOptions): Transport {
  return createTransport('raw', duplex, options, {
    isOpen: () => duplex.writable,
    start({ data, closed }) {
      duplex.on('data', data)
      duplex.on('end', () => duplex.destroy())
      duplex.on('close', closed)
      duplex.on('error', () => undefined)
    },
    pause: () => duplex.pause(),
    resume: () => duplex.resume(),
    close: () => duplex.end(),
    cut: () => duplex.destroy()
  })
}

interface Ends extends Pick<Transport, 'pause' | 'resume' | 'close'> {
  isOpen(): boolean
  start(events: Pick<TransportEvents, 'data' | 'closed'>): void
  cut(): void
}

function createTransport(
  framing: Framing,
  socket: Duplex,
  { sendQueueBytes }: TransportOptions,
  ends: Ends
): Transport {
  let overflow: (() => void) | undefined
  let writtenBytes = 0
  let paused = false
  let linger: NodeJS.Timeout | undefined

  function writeFramed(bytes: Buffer, flushed?: () => void): void {
    if (overflow && socket.writableLength > sendQueueBytes) {
      const tell = overflow
      overflow = undefined
      tell()
      flushed?.()
    } else if (ends.isOpen()) {
      writtenBytes += bytes.length
      socket.write(bytes, flushed)
    } else {
      flushed?.()
    }
  }

  function resume(): void {
    paused = false
    ends.resume()
  }

  return {
    framing,
    start({ data, closed, overflow: onOverflow }) {
      overflow = onOverflow
      ends.start({
        data,
        closed() {
          clearTimeout(linger)
          closed()
        }
      })
    },
    write(frame) {
      if (framing === 'raw') return writeFramed(frame)
      const bytes = Buffer.allocUnsafe(messageHeaderLength(frame.length) + frame.length)
      frame.copy(bytes, writeMessageHeader(bytes, 0, opcodeOf(frame), frame.length))
      writeFramed(bytes)
    },
    writeFramed,
    get queuedBytes() {
      return socket.writableLength
    },
    get writtenBytes() {
      return writtenBytes
    },
    get halfFull() {
      return socket.writableLength > sendQueueBytes / 2
    },
    get paused() {
      return paused
    },
    pause() {
      paused = true
      ends.pause()
    },
    resume,
    close(code, reason) {
      // Else the client's own close frame would never be read.
      resume()
      ends.close(code, reason)
      linger ??= setTimeout(() => ends.cut(), LINGER_MS)
    }
  }
}
