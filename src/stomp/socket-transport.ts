import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { WebSocket } from 'ws'
import { Backlog } from './backlog.ts'
import { messageHeaderLength, opcodeOf, writeMessageHeader } from './message-header.ts'
import type { Framing, Transport, TransportEvents, TransportOptions } from './transport.ts'

// Writes go to the socket below the WebSocket: whole frames only, deflate off, nothing else of ours is ever sent through `ws` but
// its close frame, so the two cannot interleave.

const LINGER_MS = 5000
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
  // What each write looks at, in as few lines of memory as it takes.
  protected readonly socket: Duplex
  writtenBytes = 0
  private readonly sendQueueBytes: number
  /** What the kernel takes at once has left the queue after a write; another stream may hand the very bytes on. */
  private readonly isKernels: boolean
  /** What comes after a write that was lost must not seem to follow what came before it. */
  private hasLost = false
  private backlog: Backlog | undefined
  paused = false
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
  /** Wraps one STOMP frame for `framing`. */
  protected abstract framed(frame: Buffer): Buffer

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

  write(frame: Buffer): void {
    this.writeFramed(this.framed(frame))
  }

  writeFramed(bytes: Buffer, flushed?: () => void): boolean {
    const { socket, backlog } = this
    if (!this.takes(bytes.length)) {
      flushed?.()
      return false
    }
    if (backlog?.isEmpty === false) backlog.push(bytes.length, () => bytes, flushed)
    else {
      socket.write(bytes, flushed)
      if (socket.writableLength === 0) return !this.isKernels
    }
    this.queued?.(bytes.length)
    return true
  }

  writeLater(length: number, render: () => Buffer): void {
    if (!this.takes(length)) return
    this.openBacklog().push(length, render)
    this.queued?.(length)
  }

  whenSent(call: () => void): void {
    if (this.isOpen) this.openBacklog().whenSent(call)
  }

  get queuedBytes(): number {
    const { socket, backlog } = this
    const bytes = socket.writableLength + (backlog?.bytes ?? 0)
    // Where nothing waits `destroyed` is not asked: it lies elsewhere in memory, and each write looks here.
    return bytes > 0 && socket.destroyed ? 0 : bytes
  }

  get halfFull(): boolean {
    return this.queuedBytes > this.sendQueueBytes / 2
  }

  /** @returns whether so many bytes may be written. */
  private takes(length: number): boolean {
    if (this.hasLost || !this.isOpen) return false
    if (this.queuedBytes > this.sendQueueBytes) {
      this.hasLost = true
      this.backlog?.forget()
      this.overflow?.()
      return false
    }
    this.writtenBytes += length
    return true
  }

  /** An idle connection has none. */
  private openBacklog(): Backlog {
    this.backlog ??= new Backlog(this.socket, () => this.isOpen)
    return this.backlog
  }

  pause(): void {
    this.paused = true
    this.stopReading()
  }

  resume(): void {
    this.paused = false
    this.readOn()
  }

  close(code: number, reason: string, last?: Buffer): void {
    // Else the client's own close frame would never be read.
    this.resume()
    this.backlog?.release()
    if (last && this.isOpen) this.socket.write(this.framed(last))
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

  protected framed(frame: Buffer): Buffer {
    const bytes = Buffer.allocUnsafe(messageHeaderLength(frame.length) + frame.length)
    frame.copy(bytes, writeMessageHeader(bytes, 0, opcodeOf(frame), frame.length))
    return bytes
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

  protected framed(frame: Buffer): Buffer {
    return frame
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
