import type { Random } from '../../contract/model/random.ts'
import { EVIL_FRAMES, FRAME_WORDS, FRAMES } from '../corpus.ts'
import { cut, mutate, pick } from '../mutate.ts'
import { endLine, openLine } from '../sockets.ts'
import type { Struck, Target } from '../target.ts'

const AT_ONCE = 16
const FRAMES_EACH = 12

export const messages: Target = {
  name: 'messages',
  about: 'changed frames in WebSocket messages, text and binary, cut anywhere',
  short: 600,
  long: 60_000,
  async open(stage) {
    const replica = await stage.replica()
    const all = [...FRAMES, ...EVIL_FRAMES]

    async function speak(version: string, pieces: Buffer[], asText: boolean): Promise<string[]> {
      const line = await openLine(replica.wsUrl)
      if (!line) return ['HTTP']
      line.ws.send(`CONNECT\naccept-version:${version}\n\n\0`)
      for (const piece of pieces) line.ws.send(piece, { binary: !asText })
      return endLine(line)
    }

    return {
      replica,
      async strike(random: Random): Promise<Struck> {
        const spoken = Array.from({ length: AT_ONCE }, () => {
          const frames = Array.from({ length: FRAMES_EACH }, () => pick(random, FRAMES))
          frames[random(FRAMES_EACH)] = mutate(pick(random, all), random, all, FRAME_WORDS)
          return speak(pick(random, ['1.0', '1.1', '1.2']), cut(Buffer.concat(frames), random), random(2) === 0)
        })
        return { frames: AT_ONCE * (FRAMES_EACH + 1), refusals: (await Promise.all(spoken)).flat() }
      }
    }
  }
}
