// A session's view of its socket.

/** How STOMP frames are wrapped on the wire: in one WebSocket message each, or not at all. */
export type Framing = 'websocket' | 'raw'

export interface TransportEvents {
  data(bytes: Buffer): void
  /** The socket is gone; nothing more comes. */
  closed(): void
  /** More was written while the send queue was over its bound: that write is lost, what `writeLater` held, and all but `close` writes from now on. Told once. */
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
  /** Sends such frames, so many bytes, in their turn: rendered only when the client has read what waits now. */
  writeLater(length: number, render: () => Buffer): void
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
  /** Sends what is queued, then this STOMP frame, and ends; nothing written later is sent. A client that does not answer is cut off after 5 s. */
  close(code: number, reason: string, last?: Buffer): void
  /** Ends at once; what is queued is lost. */
  cut(): void
}

export interface TransportOptions {
  /** Bound of the send queue; checked before a write, so one write may go over it. */
  sendQueueBytes: number
}
