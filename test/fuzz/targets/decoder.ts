import { BatonError } from '../../../src/errors.ts'
import { createDecoder, type DecoderLimits } from '../../../src/stomp/decoder.ts'
import { encodeFrame, escapingOf, type Frame, VERSIONS, type Version } from '../../../src/stomp/frame.ts'
import type { Random } from '../../contract/model/random.ts'
import { strikeWithBytes } from '../bytes.ts'
import { EVIL_FRAMES, FRAME_WORDS, FRAMES } from '../corpus.ts'
import { cut, pick } from '../mutate.ts'
import { hold, type Struck, type Target } from '../target.ts'

// The frames of an input are the same wherever it is cut, and so is what it is refused with; a frame that was taken is written
// and read again as the same.

const LIMITS: DecoderLimits = { maxHeaders: 64, maxHeaderBytes: 8192, maxBodyBytes: 4096 }
/** Escapes and a content-length make a frame longer than it came. */
const WIDE: DecoderLimits = { maxHeaders: 65, maxHeaderBytes: 65_536, maxBodyBytes: 4096 }

interface Decoded {
  frames: Frame[]
  refusal: string | undefined
}

function decode(version: Version | undefined, chunks: readonly Buffer[], limits = LIMITS): Decoded {
  const decoder = createDecoder(limits)
  decoder.version = version
  const frames: Frame[] = []
  try {
    for (const chunk of chunks) {
      decoder.push(chunk)
      for (let frame = decoder.next(); frame; frame = decoder.next()) frames.push(frame)
      hold(decoder.waiting.bytes === 0, 'bytes wait that nobody looked at')
    }
  } catch (error) {
    if (!(error instanceof BatonError)) throw error
    return { frames, refusal: error.code }
  }
  return { frames, refusal: undefined }
}

const LENGTH = 'content-length'

function textOf({ command, headers, body }: Frame): string {
  const own = [...headers].filter(([name]) => name !== LENGTH)
  return JSON.stringify([command, own, body.toString('latin1')])
}

/** As it comes back: nothing that 1.0 cannot say is written. */
function sayable(frame: Frame, version: Version): Frame {
  if (escapingOf(version, frame.command) !== '1.0') return frame
  const plain = (text: string) => text.replaceAll('\r', ' ')
  return { ...frame, headers: new Map([...frame.headers].map(([name, value]) => [plain(name), plain(value)])) }
}

function check(input: Buffer, chance: Random): Struck {
  const version = pick(chance, [...VERSIONS, undefined])
  const whole = decode(version, [input])
  const refusals = whole.refusal === undefined ? [] : [whole.refusal]
  const expected = whole.frames.map(textOf)
  const cuts = cut(input, chance)
  for (const chunks of [cuts, ...(input.length < 300 ? [[...input].map(byte => Buffer.of(byte))] : [])]) {
    const { frames, refusal } = decode(version, chunks)
    hold(frames.length === expected.length, `${expected.length} frames whole, ${frames.length} in pieces`)
    for (const [i, frame] of frames.entries())
      hold(textOf(frame) === expected[i], 'a frame differs where it came in pieces')
    // Too large shows before the rest has come, and with it what else is wrong.
    const same = refusal === whole.refusal || (whole.refusal !== undefined && refusal === 'FRAME_TOO_LARGE')
    hold(same, `${whole.refusal} whole, ${refusal} in pieces`)
  }
  for (const frame of whole.frames) {
    hold(
      ![frame.command, ...frame.headers.keys(), ...frame.headers.values()].some(text => text.includes('\0')),
      'a NUL was taken'
    )
    again(frame, version ?? '1.0')
  }
  return { frames: 3 * whole.frames.length + 3, refusals }
}

function again(frame: Frame, version: Version): void {
  const headers = [...frame.headers].filter(([name]) => name !== LENGTH)
  const { frames, refusal } = decode(version, [encodeFrame(version, frame.command, headers, frame.body)], WIDE)
  hold(refusal === undefined && frames.length === 1, `what was taken is refused when it is written again: ${refusal}`)
  const expected = sayable(frame, version)
  hold(textOf(frames[0] as Frame) === textOf(expected), 'what was taken differs when it is written again')
}

export const decoder: Target = {
  name: 'decoder',
  about: 'STOMP frames whole, cut anywhere and byte by byte, and what was taken written again',
  short: 12_000,
  long: 6_500_000,
  open: async () => strikeWithBytes({ corpus: FRAMES, evil: EVIL_FRAMES, words: FRAME_WORDS, most: 40, check })
}
