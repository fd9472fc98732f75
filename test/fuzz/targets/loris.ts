import { once } from 'node:events'
import type { Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { deadline } from '../../support/wait.ts'
import { openSocket, upgrade } from '../sockets.ts'
import { hold, type Struck, type Target } from '../target.ts'

// Sockets that say one byte now and then. Who opened a WebSocket and does not get its CONNECT said is closed; who is still at its
// HTTP request costs little until it is, which the long form waits for.

const EACH = 40
const EVERY_MS = 100
const CLOSED_MS = 10_000
/** Node looks for what is overdue once a second. */
const OVERDUE_MS = 5000
const REQUEST = Buffer.from(`POST /topic/loris HTTP/1.1\r\nHost: a\r\n${'X-Slow: yes\r\n'.repeat(50)}`)
/** A STOMP frame, one byte in each WebSocket message. */
const CONNECT = Buffer.from(`CONNECT\naccept-version:1.2\n${'x:yes\n'.repeat(50)}`)
const masked = (byte: number) => Buffer.of(0x82, 0x81, 0, 0, 0, 0, byte)

/** The code of the ERROR that it gets. */
async function refused(socket: Socket): Promise<string> {
  for await (const chunk of socket) {
    const code = /\ncode:([A-Z_]+)\n/.exec(chunk.toString('latin1'))?.[1]
    if (code) return code
  }
  return 'CLOSED'
}

/** What it is answered until it is closed. */
async function answered(socket: Socket): Promise<string> {
  let text = ''
  socket.on('data', chunk => (text += chunk))
  await once(socket, 'close')
  return text
}

export const loris: Target = {
  name: 'loris',
  about: 'slow bytes of HTTP requests, WebSocket handshakes and CONNECT frames, many sockets at a time',
  short: 300,
  long: 20_000,
  async open(stage) {
    const replica = await stage.replica()

    /** @returns how many bytes it got rid of before it was closed, or the others were. */
    async function dribble(socket: Socket, bytes: Buffer, over: AbortSignal, wrap = (byte: number) => Buffer.of(byte)) {
      let at = 0
      while (!over.aborted && socket.writable && at < bytes.length) {
        socket.write(wrap(bytes[at++] as number))
        await delay(EVERY_MS, undefined, { signal: over }).catch(() => undefined)
      }
      return at
    }

    async function closedInTime(overdue: Promise<string>[], atMs: number): Promise<void> {
      const what = 'those who do not get their request said to be closed'
      const answers = await deadline(Promise.all(overdue), atMs + OVERDUE_MS - performance.now(), what)
      hold(performance.now() > atMs - EVERY_MS, 'requests were cut off before their time')
      // A request that lacks its first bytes is none.
      const other = answers.find(text => !/^HTTP\/1\.1 40[08] /.test(text))
      hold(other === undefined, `answered with ${other}`)
    }

    return {
      replica,
      async strike(random): Promise<Struck> {
        const over = new AbortController()
        const skip = (bytes: Buffer) => bytes.subarray(random(20))
        const many = () => Promise.all(Array.from({ length: EACH }, () => openSocket(replica.url)))
        const [asking, shaking, connecting] = [await many(), await many(), await many()]
        const closed = connecting.map(refused)
        const overdue = [...asking, ...shaking].map(answered)
        const startedMs = performance.now()
        for (const socket of connecting) socket.write(upgrade())
        const dribbles = [
          ...asking.map(socket => dribble(socket, skip(REQUEST), over.signal)),
          ...shaking.map(socket => dribble(socket, skip(upgrade('/ws', 'X-Slow: yes\r\n'.repeat(50))), over.signal)),
          ...connecting.map(socket => dribble(socket, CONNECT, over.signal, masked))
        ]
        await deadline(Promise.all(closed), CLOSED_MS, 'those who do not get their CONNECT said to be refused')
        const kept = [...asking, ...shaking].filter(({ readyState }) => readyState === 'open').length
        hold(kept > 0, 'requests were cut off before they had any time')
        if (stage.isLong) await closedInTime(overdue, startedMs + replica.headersTimeoutMs)
        over.abort()
        const said = await Promise.all(dribbles)
        for (const socket of [...asking, ...shaking, ...connecting]) socket.destroy()
        return {
          frames: said.reduce((sum, count) => sum + count, 0),
          refusals: await Promise.all(closed)
        }
      }
    }
  }
}
