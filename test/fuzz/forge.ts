import type { Random } from '../contract/model/random.ts'
import { BODIES, ENVELOPE_WORDS, EVIL_HEADER_LINES, HEADER_LINES } from './corpus.ts'
import { mutate, pick } from './mutate.ts'

const LINES = [...HEADER_LINES, ...EVIL_HEADER_LINES]

/** An envelope but for one of its header lines, and its body. */
export function forge(random: Random): Buffer {
  const lines = Array.from({ length: random(4) }, () => pick(random, HEADER_LINES))
  const put = (line: Buffer) => lines.splice(random(lines.length + 1), 0, line)
  const body = pick(random, BODIES)
  if (random(3) > 0) put(Buffer.from(`content-length:${body.length}\n`))
  put(random(2) === 0 ? pick(random, LINES) : mutate(pick(random, LINES), random, LINES, ENVELOPE_WORDS))
  const headers = Buffer.concat(lines)
  const head = Buffer.from(`B1 n1 ${1 + random(20)} g/t/0~i1 ${random(1000)} 1700000000000 - ${headers.length}\n`)
  return Buffer.concat([head, headers, Buffer.from('\n'), body])
}
