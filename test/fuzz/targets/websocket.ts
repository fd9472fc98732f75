import type { Random } from '../../contract/model/random.ts'
import { FRAMES } from '../corpus.ts'
import { cut, pick } from '../mutate.ts'
import { converse, TOO_MUCH, upgrade } from '../sockets.ts'
import { hold, type Struck, type Target } from '../target.ts'

// RFC 6455 §5.2, broken at every place: fragments, control frames between them, masks, reserved bits, lengths, the deflate bit.

const AT_ONCE = 16
const OPCODES = [0, 1, 2, 3, 7, 8, 9, 10, 11, 15]
const LENGTHS = [0n, 1n, 125n, 126n, 127n, 65_535n, 65_536n, 2n ** 31n, 2n ** 32n, 2n ** 53n, 2n ** 63n - 1n, 2n ** 63n]
const CONNECT = Buffer.from('CONNECT\naccept-version:1.2\n\n\0')

/** @param claimed as long as it says it is. */
function raw(first: number, masked: boolean, payload: Buffer, claimed = BigInt(payload.length)): Buffer {
  const head = Buffer.alloc(10)
  head[0] = first
  const long = claimed > 65_535n ? 127 : claimed > 125n ? 126 : Number(claimed)
  head[1] = (masked ? 0x80 : 0) | long
  if (long === 126) head.writeUInt16BE(Number(claimed), 2)
  else if (long === 127) head.writeBigUInt64BE(claimed, 2)
  const length = long === 127 ? 10 : long === 126 ? 4 : 2
  // A mask of zeros leaves the payload as it is.
  return Buffer.concat([head.subarray(0, length), masked ? Buffer.alloc(4) : Buffer.alloc(0), payload])
}

/** A fragmented message of good frames with control frames between, each part changed now and then. */
function hostile(random: Random): Buffer[] {
  const rarely = (chance: number) => random(chance) === 0
  const parts = cut(pick(random, FRAMES), random).slice(0, 8)
  return parts.flatMap((part, i) => {
    const last = i === parts.length - 1 && !rarely(60)
    const opcode = rarely(60) ? pick(random, OPCODES) : i === 0 ? 1 + random(2) : 0
    const reserved = rarely(60) ? 0x10 << random(3) : 0
    const claimed = rarely(60) ? pick(random, LENGTHS) : undefined
    const frame = raw((last ? 0x80 : 0) | reserved | opcode, !rarely(100), part, claimed)
    const control = rarely(2)
      ? [raw(0x80 | (rarely(60) ? 8 : 9 + random(2)), true, Buffer.alloc(rarely(100) ? 126 : random(126), 97))]
      : []
    return rarely(60) ? [frame.subarray(0, random(frame.length))] : [frame, ...control]
  })
}

export const websocket: Target = {
  name: 'websocket',
  about: 'WebSocket fragments, control frames, masks, reserved bits, lengths up to 2⁶³, the deflate bit',
  short: 1500,
  long: 100_000,
  async open(stage) {
    const replica = await stage.replica()

    async function speak(random: Random): Promise<{ frames: number; code: string }> {
      const deflate = random(4) === 0 ? 'Sec-WebSocket-Extensions: permessage-deflate\r\n' : ''
      const frames = Array.from({ length: 1 + random(4) }, () => hostile(random)).flat()
      const said = Buffer.concat([upgrade('/ws', deflate), raw(0x82, true, CONNECT), ...frames])
      const end = raw(0x82, true, TOO_MUCH)
      const back = (await converse(replica.url, [...cut(said, random), end], '\ncode:')).toString('latin1')
      hold(/^HTTP\/1\.1 (101|4\d\d|503) /.test(back), `answered with ${back.slice(0, 80)}`)
      hold(!/sec-websocket-extensions/i.test(back), 'an extension was agreed on')
      return { frames: frames.length, code: /\ncode:([A-Z_]+)\n/.exec(back)?.[1] ?? 'CLOSED' }
    }

    return {
      replica,
      async strike(random): Promise<Struck> {
        const spoken = await Promise.all(Array.from({ length: AT_ONCE }, () => speak(random)))
        hold(!spoken.some(({ code }) => code === 'INTERNAL'), 'refused with INTERNAL')
        return { frames: spoken.reduce((sum, { frames }) => sum + frames, 0), refusals: spoken.map(({ code }) => code) }
      }
    }
  }
}
