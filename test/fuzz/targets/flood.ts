import type { Socket } from 'node:net'
import { waitFor } from '../../support/wait.ts'
import { pick } from '../mutate.ts'
import { openSocket, upgrade } from '../sockets.ts'
import { hold, type Struck, type Target } from '../target.ts'

// Hundreds or thousands of sockets at once, at every stage of becoming a session; then they are gone without a word, and so is all they held.

const SOCKETS = { short: 500, long: 3000 }
const ROUND = 250
const message = (frame: string) => {
  const payload = Buffer.from(frame)
  return Buffer.concat([Buffer.of(0x81, 0x80 | payload.length, 0, 0, 0, 0), payload])
}
const CONNECT = message('CONNECT\naccept-version:1.2\n\n\0')
const STAGES = [
  [],
  [upgrade().subarray(0, 60)],
  [upgrade()],
  [upgrade(), CONNECT],
  [upgrade(), CONNECT, message('SUBSCRIBE\nid:0\ndestination:/topic/flood\n\n\0')],
  [upgrade(), CONNECT, message('SEND\ndestination:/topic/flood\n\nx\0')]
]

export const flood: Target = {
  name: 'flood',
  about: 'hundreds or thousands of connections at once, dropped without a word',
  short: 500,
  long: 30_000,
  async open(stage) {
    const replica = await stage.replica()
    const count = SOCKETS[stage.isLong ? 'long' : 'short']

    async function gauge(name: string): Promise<number> {
      const text = await (await fetch(`${replica.url}/metrics`)).text()
      return Number(new RegExp(`^${name}(?:{[^}]*})? (\\d+)`, 'm').exec(text)?.[1])
    }

    const sessions = await gauge('baton_sessions')
    hold(sessions >= 1, 'the control client is no session')
    return {
      replica,
      async strike(random): Promise<Struck> {
        const sockets: Socket[] = []
        while (sockets.length < count) {
          const opened = await Promise.all(Array.from({ length: ROUND }, () => openSocket(replica.url)))
          for (const socket of opened) for (const part of pick(random, STAGES)) socket.write(part)
          sockets.push(...opened)
        }
        const answered = sockets.map(socket => `${socket.read() ?? ''}`.slice(9, 12) || 'SILENT')
        for (const socket of sockets)
          if (random(2) === 0) socket.destroy()
          else socket.resetAndDestroy()
        await waitFor(async () => (await gauge('baton_sessions')) === sessions, {
          deadlineMs: 15_000,
          what: 'the sessions to end'
        })
        return { frames: count, refusals: answered }
      }
    }
  }
}
