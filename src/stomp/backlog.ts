import type { Duplex } from 'node:stream'

// What a client has yet to read, behind what its socket holds already: rendered only when its turn comes. A thousand clients that
// do not read cost a flush no bytes then, where each would get its own copy: the others of the room see their p99 tripled by that.

interface Waiting {
  length: number
  render(): Buffer
  /** As a stream calls back: with an error when the bytes will never leave. */
  flushed: ((error?: Error | null) => void) | undefined
}

/** So many bytes are rendered at a time, or what is one over. */
const PIECE_BYTES = 65_536
const NOTHING = Buffer.alloc(0)
const FORGOTTEN = new Error('the socket is gone, or its send queue was over its bound')

export class Backlog {
  /** Of what waits here. */
  bytes = 0
  private readonly socket: Duplex
  private readonly isOpen: () => boolean
  private waiting: Waiting[] = []

  /** @param isOpen false: nothing may be written any more, and what waits is forgotten. */
  constructor(socket: Duplex, isOpen: () => boolean) {
    this.socket = socket
    this.isOpen = isOpen
  }

  get isEmpty(): boolean {
    return this.waiting.length === 0
  }

  /** @param length of what `render` gives, bytes. */
  push(length: number, render: () => Buffer, flushed?: Waiting['flushed']): void {
    this.bytes += length
    if (this.waiting.push({ length, render, flushed }) === 1) this.awaitRoom()
  }

  /** Calls once what waits now has left; never when it will not. */
  whenSent(call: () => void): void {
    this.push(
      0,
      () => NOTHING,
      error => {
        if (!error) call()
      }
    )
  }

  /** Hands about so many bytes to the socket, by default all. */
  release(most = Number.POSITIVE_INFINITY): void {
    const until = this.bytes - most
    this.socket.cork()
    while (this.bytes > until) {
      const next = this.waiting.shift()
      if (!next) break
      this.bytes -= next.length
      this.socket.write(next.render(), next.flushed)
    }
    this.socket.uncork()
  }

  forget(): void {
    const forgotten = this.waiting
    this.waiting = []
    this.bytes = 0
    for (const { flushed } of forgotten) flushed?.(FORGOTTEN)
  }

  private awaitRoom(): void {
    this.socket.write(NOTHING, error => {
      if (error || !this.isOpen()) this.forget()
      else this.release(PIECE_BYTES)
      if (!this.isEmpty) this.awaitRoom()
    })
  }
}
