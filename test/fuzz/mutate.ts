import type { Random } from '../contract/model/random.ts'

const BYTES = [0, 1, 9, 10, 13, 32, 34, 37, 42, 46, 47, 58, 92, 123, 125, 127, 128, 192, 224, 237, 240, 254, 255]
const NUMBERS = [-1, 0, 1, 255, 256, 65_535, 65_536, 2 ** 31 - 1, 2 ** 31, 2 ** 32, 2 ** 53 - 1, 2 ** 53, 2 ** 63]
const MAX_BYTES = 32 * 1024

export const pick = <T>(random: Random, list: readonly T[]): T => list[random(list.length)] as T

/** One to six changes: bits and bytes, parts doubled, dropped or taken from another input, numbers, words. */
export function mutate(input: Buffer, random: Random, others: readonly Buffer[], words: readonly Buffer[]): Buffer {
  let bytes = input
  for (let left = 1 + random(6); left > 0; left--) bytes = change(bytes, random, others, words)
  return bytes.subarray(0, MAX_BYTES)
}

function change(bytes: Buffer, random: Random, others: readonly Buffer[], words: readonly Buffer[]): Buffer {
  const at = random(bytes.length + 1)
  const to = Math.min(bytes.length, at + 1 + random(random(4) === 0 ? bytes.length + 1 : 8))
  const with_ = (from: number, part: Buffer, end: number) =>
    Buffer.concat([bytes.subarray(0, from), part, bytes.subarray(end)])
  switch (random(10)) {
    case 0: {
      const flipped = Buffer.from(bytes)
      if (at < bytes.length) flipped[at] = (bytes[at] as number) ^ (1 << random(8))
      return flipped
    }
    case 1:
      return with_(at, Buffer.of(pick(random, BYTES)), at)
    case 2:
      return with_(at, Buffer.of(random(256)), Math.min(bytes.length, at + 1))
    case 3:
      return with_(at, Buffer.alloc(0), to)
    case 4:
      return with_(at, bytes.subarray(at, to), at)
    case 5:
      return bytes.subarray(0, at)
    case 6: {
      const other = pick(random, others)
      const from = random(other.length + 1)
      return with_(at, other.subarray(from, from + 1 + random(64)), random(2) === 0 ? at : to)
    }
    case 7:
      return number(bytes, random)
    case 8:
      return with_(at, Buffer.alloc(1 + random(300), bytes[at] ?? 0), at)
    default:
      return with_(at, pick(random, words), random(2) === 0 ? at : to)
  }
}

/** Another number in the place of one in digits; where there is none, four or eight bytes of one. */
function number(bytes: Buffer, random: Random): Buffer {
  const value = pick(random, NUMBERS)
  const text = bytes.toString('latin1')
  const found = [...text.matchAll(/\d+/g)]
  if (found.length > 0) {
    const { 0: digits, index } = pick(random, found)
    const put = random(2) === 0 ? `${value}` : `${Number(digits) + random(3) - 1}`
    return Buffer.from(text.slice(0, index) + put + text.slice(index + digits.length), 'latin1')
  }
  const size = random(2) === 0 ? 4 : 8
  if (bytes.length < size) return bytes
  const out = Buffer.from(bytes)
  const at = random(bytes.length - size + 1)
  if (size === 4) out.writeUInt32BE(Math.abs(value) % 2 ** 32, at)
  else out.writeBigInt64BE(BigInt.asIntN(64, BigInt(value)), at)
  return out
}

/** The bytes in pieces, cut anywhere. */
export function cut(bytes: Buffer, random: Random): Buffer[] {
  const most = random(20) === 0 ? 1 : 1 + random(bytes.length + 1)
  const pieces: Buffer[] = []
  for (let at = 0; at < bytes.length; ) {
    const to = at + 1 + random(most)
    pieces.push(bytes.subarray(at, to))
    at = to
  }
  return pieces
}

const SHRINKS = 400
const SHRINK_MS = 5000

/** Leaves out whatever is not needed for `fails`: halves first, single bytes last. */
export async function shrink(input: Buffer, fails: (input: Buffer) => Promise<boolean>): Promise<Buffer> {
  const end = performance.now() + SHRINK_MS
  let bytes = input
  let left = SHRINKS
  for (let size = Math.ceil(bytes.length / 2); size > 0; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let at = 0; at < bytes.length && left > 0 && performance.now() < end; left--) {
      const without = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + size)])
      if (await fails(without)) bytes = without
      else at += size
    }
  }
  return bytes
}
