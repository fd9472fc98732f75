import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { WebSocket } from 'ws'
import { messageHeaderLength, opcodeOf, writeMessageHeader } from './message-header.ts'

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
  /** So many bytes were written and wait for the client to read. The socket may be cut from within. */
  queued(bytes: number): void
}

export interface Transport {
  readonly framing: Framing
  /** Called once, before anything else. */
  start(events: TransportEvents): void
  /** Sends one STOMP frame. */
  write(frame: Buffer): void
  /**
   * Sends whole frames, already wrapped for `framing`.
   * @param flushed called when they left the send queue, or never will.
   * @returns whether the bytes are kept: they must not change any more.
   */
  writeFramed(bytes: Buffer, flushed?: () => void): boolean
  /** Calls once what waits now has left the send queue; never when the socket goes before. */
  whenSent(call: () => void): void
  /** Bytes that wait for the client to read; 0 once the socket is gone. */
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
  /** Ends at once; what is queued is lost. */
  cut(): void
}

export interface TransportOptions {
  /** Bound of the send queue; checked before a write, so one write may go over it. */
  sendQueueBytes: number
}

const LINGER_MS = 5000
const NOTHING = Buffer.alloc(0)
/** `readyState` of `ws`. */
const OPEN = 1

/** @param socket the one below `ws`. */
export function createWebSocketTransport(ws: WebSocket, socket: Duplex, options: TransportOptions): Transport {
  return new WebSocketTransport(ws, socket, options)
}

/** STOMP straight on a stream; a close code has no way to travel. */
export function createDuplexTransport(duplex: Duplex, options: TransportOptions): Transport {
  return new DuplexTransport(duplex, options)
}

/**
 * One socket. A class, since its fields lie together: through closures, a write to one of a thousand sockets reads so much more
 * memory that it takes a tenth longer.
 */
abstract class SocketTransport {
  abstract readonly framing: Framing
  writtenBytes = 0
  paused = false
  protected readonly socket: Duplex
  private readonly sendQueueBytes: number
  /** What the kernel takes at once has left the queue after a write; another stream may hand the very bytes on. */
  private readonly isKernels: boolean
  private overflow: (() => void) | undefined
  private queued: ((bytes: number) => void) | undefined
  private linger: NodeJS.Timeout | undefined

  constructor(socket: Duplex, { sendQueueBytes }: TransportOptions) {
    this.socket = socket
    this.sendQueueBytes = sendQueueBytes
    this.isKernels = socket instanceof Socket
  }

  protected abstract readonly isOpen: boolean
  protected abstract listen(events: Pick<TransportEvents, 'data' | 'closed'>): void
  protected abstract stopReading(): void
  protected abstract readOn(): void
  protected abstract end(code: number, reason: string): void
  abstract cut(): void
  abstract write(frame: Buffer): void

  start({ data, closed, overflow, queued }: TransportEvents): void {
    this.overflow = overflow
    this.queued = queued
    this.listen({
      data,
      closed: () => {
        clearTimeout(this.linger)
        closed()
      }
    })
  }

  writeFramed(bytes: Buffer, flushed?: () => void): boolean {
    const { socket, overflow } = this
    if (overflow && socket.writableLength > this.sendQueueBytes) {
      this.overflow = undefined
      overflow()
    } else if (this.isOpen) {
      this.writtenBytes += bytes.length
      socket.write(bytes, flushed)
      const isQueued = socket.writableLength > 0
      if (isQueued) this.queued?.(bytes.length)
      return isQueued || !this.isKernels
    }
    flushed?.()
    return false
  }

  whenSent(call: () => void): void {
    if (!this.isOpen) return
    this.socket.write(NOTHING, error => {
      if (!error) call()
    })
  }

  get queuedBytes(): number {
    return this.socket.destroyed ? 0 : this.socket.writableLength
  }

  get halfFull(): boolean {
    return this.socket.writableLength > this.sendQueueBytes / 2
  }

  pause(): void {
    this.paused = true
    this.stopReading()
  }

  resume(): void {
    this.paused = false
    this.readOn()
  }

  close(code: number, reason: string): void {
    // Else the client's own close frame would never be read.
    this.resume()
    this.end(code, reason)
    this.linger ??= setTimeout(() => this.cut(), LINGER_MS)
  }
}

class WebSocketTransport extends SocketTransport implements Transport {
  readonly framing = 'websocket'
  private readonly ws: WebSocket

  constructor(ws: WebSocket, socket: Duplex, options: TransportOptions) {
    super(socket, options)
    this.ws = ws
  }

  protected get isOpen(): boolean {
    return this.ws.readyState === OPEN
  }

  protected listen({ data, closed }: Pick<TransportEvents, 'data' | 'closed'>): void {
    this.ws.on('message', message => data(message as Buffer))
    this.ws.on('close', closed)
    // `ws` answers with the right close code by itself (1002, 1007, 1009).
    this.ws.on('error', ignored)
  }

  write(frame: Buffer): void {
    const bytes = Buffer.allocUnsafe(messageHeaderLength(frame.length) + frame.length)
    frame.copy(bytes, writeMessageHeader(bytes, 0, opcodeOf(frame), frame.length))
    this.writeFramed(bytes)
  }

  protected stopReading(): void {
    this.ws.pause()
  }

  protected readOn(): void {
    this.ws.resume()
  }

  protected end(code: number, reason: string): void {
    this.ws.close(code, reason)
  }

  cut(): void {
    this.ws.terminate()
  }
}

class DuplexTransport extends SocketTransport implements Transport {
  readonly framing = 'raw'

  protected get isOpen(): boolean {
    return this.socket.writable
  }

  protected listen({ data, closed }: Pick<TransportEvents, 'data' | 'closed'>): void {
    this.socket.on('data', data)
    this.socket.on('end', () => this.socket.destroy())
    this.socket.on('close', closed)
    this.socket.on('error', ignored)
  }

  write(frame: Buffer): void {
    this.writeFramed(frame)
  }

  protected stopReading(): void {
    this.socket.pause()
  }

  protected readOn(): void {
    this.socket.resume()
  }

  protected end(): void {
    this.socket.end()
  }

  cut(): void {
    this.socket.destroy()
  }
}

function ignored(): void {}
