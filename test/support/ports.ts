import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type Server } from 'node:net'

// Below the range the system hands to outgoing connections: the port of a server that is down for a while is not
// taken by someone's connection, nor does a client that keeps trying connect to itself.
const FIRST = 15_000
const END = 32_000

/** Free ports of 127.0.0.1. Each is held until all are found, so they differ; a race with another process stays possible. */
export async function freePorts(count: number): Promise<number[]> {
  const held: Server[] = []
  const ports: number[] = []
  while (ports.length < count) {
    const server = createServer()
    const port = randomInt(FIRST, END)
    try {
      server.listen(port, '127.0.0.1')
      await once(server, 'listening')
      held.push(server)
      ports.push(port)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error
    }
  }
  await Promise.all(held.map(server => once(server.close(), 'close')))
  return ports
}

/** Tries again with other ports when `start` failed because one was taken. */
export async function onFreePorts<T>(count: number, start: (ports: number[]) => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await start(await freePorts(count))
    } catch (error) {
      if (attempt === 3 || !/address already in use/i.test(String(error))) throw error
    }
  }
}
