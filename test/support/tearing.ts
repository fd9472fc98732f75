import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'

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
      tear(from, to).catch(() => to.destroy())
    }
  })
  async function tear(from: Socket, to: Socket) {
    for await (const bytes of from) {
      for (const piece of cut(bytes, size)) await new Promise(resolve => to.write(piece, resolve))
    }
    to.end()
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
