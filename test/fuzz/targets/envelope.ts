import { FrameImpl, Parser } from '@stomp/stompjs'
import { bodyOf, decodeMessage, encodeEntry, envelopeHead, headersOf, type Message } from '../../../src/message.ts'
import { VERSIONS, type Version } from '../../../src/stomp/frame.ts'
import { bytesOf, layOut } from '../../../src/stomp/layout.ts'
import type { Random } from '../../contract/model/random.ts'
import { strikeWithBytes } from '../bytes.ts'
import { ENVELOPE_WORDS, ENVELOPES } from '../corpus.ts'
import { forge } from '../forge.ts'
import { cut, pick } from '../mutate.ts'
import { type ReadFrame, readFrames } from '../read.ts'
import { hold, type Struck, type Target } from '../target.ts'

// What is on the bus is an envelope within bounds, or a text whose bytes are the body; either is one MESSAGE to whoever reads it.

const MAX_TIME_MS = 8.64e15
const LAST = decodeMessage(Buffer.from('last'))

function check(input: Buffer, chance: Random): Struck {
  const message = decodeMessage(input, () => 7)
  const { position, coordinate, bytes, contentStart, bodyStart, timestampMs } = message
  hold((position === undefined) === (coordinate === undefined), 'a position without a coordinate, or the reverse')
  hold(bodyStart > contentStart && bodyStart <= bytes.length && bytes[bodyStart - 1] === 10, 'the body begins nowhere')
  if (!message.omitted) isOneFrame(message, pick(chance, VERSIONS), chance(2) === 0)
  if (!position || !coordinate) {
    hold(bodyOf(message).equals(input), 'a text is not its own body')
    return { frames: 1, refusals: ['PLAIN'] }
  }
  hold(Number.isSafeInteger(position.seq) && Number.isSafeInteger(coordinate.offset), 'a number is none')
  hold(timestampMs >= 0 && timestampMs <= MAX_TIME_MS, 'a time is none')
  same(message, decodeMessage(again(message)))
  // A publish is one payload whole: a part of it is another, and must not throw either.
  for (const piece of cut(input, chance).slice(0, 3)) decodeMessage(piece)
  return { frames: 2, refusals: [] }
}

/** To a stock client, and to a reader that shares nothing with it: it ends where it should, and says nothing for the server. */
function isOneFrame(message: Message, version: Version, acknowledges: boolean): void {
  const id = version === '1.0' && acknowledges ? undefined : bytesOf('own', version)
  const kind = { framing: 'raw', version, id, destination: '/topic/a', acknowledges } as const
  const both = [message, LAST].map((each, i) => ({ message: each, id: `e.${i}` }))
  const { bytes } = layOut(kind, both)
  for (const frames of [readFrames(bytes), stockFrames(bytes, version)]) {
    hold(frames.length === 2 && frames[1]?.body.toString() === 'last', `${frames.length} frames of two messages`)
    const { command, headers, body } = frames[0] as ReadFrame
    hold(command === 'MESSAGE' && body.equals(bodyOf(message)), 'a body is not its own')
    hold(headers['message-id'] === 'e.0' && headers['destination'] === '/topic/a', 'it speaks for the server')
    hold(headers['subscription'] === id, 'it is for another subscription')
    hold(headers['ack'] === (acknowledges ? 'e.0' : undefined) && headers['gap'] === undefined, 'it asks for more')
  }
}

function stockFrames(bytes: Buffer, version: Version): ReadFrame[] {
  const frames: ReadFrame[] = []
  const parser = new Parser(
    raw => {
      const { command, headers, binaryBody } = FrameImpl.fromRawFrame(raw, version !== '1.0')
      frames.push({ command, headers, body: Buffer.from(binaryBody) })
    },
    () => undefined
  )
  parser.parseChunk(new Uint8Array(bytes).buffer)
  return frames
}

function again(message: Message): Buffer {
  const { position, coordinate, timestampMs, hidden, omitted } = message
  hold(position && coordinate, 'an envelope has both')
  const headers = headersOf(message).toString()
  const body = bodyOf(message)
  return Buffer.concat([
    Buffer.from(envelopeHead(position)),
    encodeEntry({ coordinate, timestampMs, hidden, headers, body }, omitted),
    // Left out, it is not looked at.
    ...(omitted ? [body] : [])
  ])
}

function same(a: Message, b: Message): void {
  const text = ({ bytes, contentStart, bodyStart, ...rest }: Message) =>
    `${JSON.stringify(rest)} ${bodyStart - contentStart} ${bytes.toString('latin1', contentStart)}`
  hold(text(a) === text(b), 'an envelope differs when it is written again')
}

export const envelope: Target = {
  name: 'envelope',
  about:
    'forged envelopes and header lines, read by a stock client as one MESSAGE each; those that were taken written again',
  short: 4000,
  long: 1_500_000,
  open: async () => strikeWithBytes({ corpus: ENVELOPES, words: ENVELOPE_WORDS, make: forge, check })
}
