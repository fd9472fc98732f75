import { decodeMessage, encodeEntry, envelopeHead, type Message } from '../../../src/message.ts'
import type { Random } from '../../contract/model/random.ts'
import { strikeWithBytes } from '../bytes.ts'
import { ENVELOPE_WORDS, ENVELOPES } from '../corpus.ts'
import { cut } from '../mutate.ts'
import { hold, type Struck, type Target } from '../target.ts'

// What is on the bus is an envelope within bounds, or a text whose bytes are the body.

const MAX_TIME_MS = 8.64e15

function check(input: Buffer, chance: Random): Struck {
  const message = decodeMessage(input, () => 7)
  const { position, coordinate, content, bodyStart, timestampMs } = message
  hold((position === undefined) === (coordinate === undefined), 'a position without a coordinate, or the reverse')
  hold(bodyStart > 0 && bodyStart <= content.length && content[bodyStart - 1] === 10, 'the body begins nowhere')
  if (!position || !coordinate) {
    hold(content.subarray(bodyStart).equals(input), 'a text is not its own body')
    return { frames: 1, refusals: ['PLAIN'] }
  }
  hold(Number.isSafeInteger(position.seq) && Number.isSafeInteger(coordinate.offset), 'a number is none')
  hold(timestampMs >= 0 && timestampMs <= MAX_TIME_MS, 'a time is none')
  same(message, decodeMessage(again(message)))
  // A publish is one payload whole: a part of it is another, and must not throw either.
  for (const piece of cut(input, chance).slice(0, 3)) decodeMessage(piece)
  return { frames: 2, refusals: [] }
}

function again({ position, coordinate, timestampMs, hidden, omitted, content, bodyStart }: Message): Buffer {
  hold(position && coordinate, 'an envelope has both')
  const headers = content.toString('latin1', 0, bodyStart - 1)
  const entry = { coordinate, timestampMs, hidden, headers: '', body: content.subarray(bodyStart) }
  // As bytes: headers that are forged need not be UTF-8.
  const head = encodeEntry({ ...entry, body: Buffer.alloc(0) }, omitted)
    .toString()
    .replace(/0\n\n$/, `${headers.length}\n`)
  return Buffer.concat([Buffer.from(envelopeHead(position) + head), content])
}

function same(a: Message, b: Message): void {
  const text = ({ content, ...rest }: Message) => JSON.stringify(rest) + content.toString('latin1')
  hold(text(a) === text(b), 'an envelope differs when it is written again')
}

export const envelope: Target = {
  name: 'envelope',
  about: 'forged envelopes, and those that were taken written again',
  short: 4000,
  long: 1_500_000,
  open: async () => strikeWithBytes({ corpus: ENVELOPES, words: ENVELOPE_WORDS, check })
}
