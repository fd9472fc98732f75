import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'

/** A TCP link that can be spoiled, both ways; what it does holds for connections that are there and for new ones. */
export interface Link extends AsyncDisposable {
  readonly port: number
  /** The port of this machine that it leads to. */
  target: number
  /** How many connections it ended, and how often it held bytes back. */
  readonly harmed: number
  /** Ends every connection; new ones are ended at once. */
  cut(): void
  /** Half-open: connections stay, new ones are taken, and nothing passes, not even their end. */
  freeze(): void
  /** Every byte arrives so much later. Milliseconds. */
  slow(delayMs: number): void
  /** At most so many bytes a second, each way. */
  throttle(bytesPerSecond: number): void
  /** As a good link is. What was held back by `freeze` goes on its way. */
  mend(): void
}

/** Bytes on their way through, each way; past it the sender is not read from. */
const WINDOW_BYTES = 256 * 1024
const SLICES_PER_SECOND = 20

interface State {
  cut: boolean
  frozen: boolean
  delayMs: number
  bytesPerSecond: number
}

const GOOD: State = { cut: false, frozen: false, delayMs: 0, bytesPerSecond: Number.POSITIVE_INFINITY }

/** Listens on a free port. `target` may be given later, before anyone connects. */
export async function createLink(target = 0): Promise<Link> {
  const sockets = new Set<Socket>()
  let state = GOOD
  let changed = Promise.withResolvers<void>()
  let harmed = 0

  // Half-open allowed: the end of one way is passed on like its bytes, not answered here.
  const server = createServer({ allowHalfOpen: true, noDelay: true }, near => {
    if (state !== GOOD) harmed++
    if (state.cut) return void near.destroy()
    const far = connect({ host: '127.0.0.1', port: link.target, allowHalfOpen: true, noDelay: true })
    for (const [from, to] of [
      [near, far],
      [far, near]
    ] as const) {
      sockets.add(from)
      from.once('close', () => sockets.delete(from))
      from.on('error', () => undefined)
      void carry(from, to)
    }
  })

  async function carry(from: Socket, to: Socket): Promise<void> {
    const waiting: { bytes: Buffer; cameMs: number }[] = []
    let size = 0
    let ended = false
    let news = Promise.withResolvers<void>()
    from.on('data', bytes => {
      if (state !== GOOD) harmed++
      waiting.push({ bytes, cameMs: performance.now() })
      size += bytes.length
      if (size > WINDOW_BYTES) from.pause()
      news.resolve()
    })
    for (const event of ['end', 'close']) {
      from.once(event, () => {
        ended = true
        news.resolve()
      })
    }
    while (!to.destroyed) {
      const next = state.frozen ? undefined : waiting.shift()
      if (next) {
        const waitMs = next.cameMs + state.delayMs - performance.now()
        if (waitMs > 0) await delay(waitMs)
        await write(next.bytes, to)
        size -= next.bytes.length
        from.resume()
      } else if (state.frozen) await changed.promise
      else if (ended) return void to.end()
      else {
        await Promise.race([news.promise, changed.promise])
        news = Promise.withResolvers()
      }
    }
  }

  async function write(bytes: Buffer, to: Socket): Promise<void> {
    for (let from = 0; from < bytes.length; ) {
      const { bytesPerSecond } = state
      const end = Math.min(bytes.length, from + Math.max(1, bytesPerSecond / SLICES_PER_SECOND))
      await new Promise(resolve => to.write(bytes.subarray(from, end), resolve))
      from = end
      if (bytesPerSecond < GOOD.bytesPerSecond) await delay(1000 / SLICES_PER_SECOND)
    }
  }

  function become(change?: Partial<State>): void {
    state = change ? { ...GOOD, ...change } : GOOD
    changed.resolve()
    changed = Promise.withResolvers()
  }

  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const link: Link = {
    port: (server.address() as AddressInfo).port,
    target,
    get harmed() {
      return harmed
    },
    cut() {
      become({ cut: true })
      harmed += sockets.size
      for (const socket of sockets) socket.destroy()
    },
    freeze: () => become({ frozen: true }),
    slow: delayMs => become({ delayMs }),
    throttle: bytesPerSecond => become({ bytesPerSecond }),
    mend: () => become(),
    async [Symbol.asyncDispose]() {
      if (!server.listening) return
      link.cut()
      server.close()
      await once(server, 'close')
    }
  }
  return link
}
