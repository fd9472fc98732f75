import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { Parser } from '@stomp/stompjs'
import { WebSocket } from 'ws'
import type { Received } from './stomp-client.ts'
import { deadline, waitFor } from './wait.ts'

// What stock clients do not let a test do: bytes as they are, messages cut anywhere, a wire that tears everything up.

export interface RawClient extends AsyncDisposable {
  /** Chosen by the server; '' for none. */
  readonly protocol: string
  /** One WebSocket message, of text or of bytes; `^@` stands for NUL in text. */
  send(message: string | Buffer): void
  /** One WebSocket message of text, in fragments that may end inside a character (RFC 6455 §5.4). */
  sendFragments(fragments: Buffer[]): void
  /** The next frame; heart-beats are counted. @throws when it is another command, or none comes. */
  expect(command: string): Promise<Received>
  readonly beats: number
  readonly closed: Promise<{ code: number; reason: string }>
}

export async function connectRaw(url: string, protocols: string[] = []): Promise<RawClient> {
  const ws = new WebSocket(url, protocols)
  const frames: (Received & { command: string })[] = []
  let beats = 0
  const parser = new Parser(
    ({ command = '', headers, binaryBody = [] }) => {
      // Of a repeated header the first one counts, hence backwards.
      frames.push({ command, headers: Object.fromEntries(headers.reverse()), body: Buffer.from(binaryBody) })
    },
    () => beats++
  )
  ws.on('message', (data: Buffer) => parser.parseChunk(new Uint8Array(data).buffer))
  const closed = new Promise<{ code: number; reason: string }>(resolve => {
    ws.once('close', (code, reason) => resolve({ code, reason: `${reason}` }))
  })
  await once(ws, 'open')
  return {
    protocol: ws.protocol,
    send: message => ws.send(typeof message === 'string' ? message.replaceAll('^@', '\0') : message),
    sendFragments(fragments) {
      for (const [index, bytes] of fragments.entries()) {
        ws.send(bytes, { binary: false, fin: index === fragments.length - 1 })
      }
    },
    async expect(command) {
      const frame = await waitFor(() => frames.shift(), { what: command })
      if (frame.command === command) return frame
      throw new Error(`${command} expected, not ${frame.command} ${JSON.stringify(frame.headers)} ${frame.body}`)
    },
    get beats() {
      return beats
    },
    closed,
    async [Symbol.asyncDispose]() {
      ws.close()
      await deadline(closed, 10_000, 'the close of a WebSocket')
    }
  }
}

/** Cuts into pieces of so many bytes. */
export function cut(bytes: Buffer, size: number): Buffer[] {
  return Array.from({ length: Math.ceil(bytes.length / size) }, (_, n) => bytes.subarray(n * size, (n + 1) * size))
}

/** A wire to a server that delivers at most `size` bytes at a time, both ways. @returns the URL that goes over it. */
export async function tearing(url: string, size: number): Promise<AsyncDisposable & { url: string }> {
  const { hostname, port, pathname } = new URL(url)
  const sockets = new Set<Socket>()
  const server = createServer(near => {
    const far = connect({ host: hostname, port: Number(port), noDelay: true })
    near.setNoDelay()
    for (const [from, to] of [
      [near, far],
      [far, near]
    ] as const) {
      sockets.add(from)
      from.on('error', () => to.destroy())
      void tear(from, to)
    }
  })
  async function tear(from: Socket, to: Socket) {
    try {
      for await (const bytes of from) {
        for (const piece of cut(bytes, size)) await new Promise(resolve => to.write(piece, resolve))
      }
    } finally {
      to.end()
    }
  }
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address() as { port: number }
  return {
    url: `ws://127.0.0.1:${address.port}${pathname}`,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    }
  }
}
