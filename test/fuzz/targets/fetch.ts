import { registerCodecs } from '../../../src/kafka/codecs.ts'
import { toRecord } from '../../../src/kafka/fetched.ts'
import { fetchDecoder, fetched, recordSet } from '../../support/kafka-bytes.ts'
import { strikeWithBytes } from '../bytes.ts'
import { HOSTILE_NAMES } from '../corpus.ts'
import { cpuMs } from '../memory.ts'
import { hold, type Struck, type Target } from '../target.ts'

// An answer to a fetch is read as its batches say, or it is an error: never fewer records than they count, never for long.

const MOST_MS = 1000
const AT = { length: 8, magic: 16, attributes: 21, count: 57 }
const HEAD_BYTES = 61

/** How many records the whole batches of a set count; undefined: not one set of batches of today. */
function counted(set: Buffer): number | undefined {
  let count = 0
  for (let at = 0; at + HEAD_BYTES <= set.length; ) {
    const end = at + 12 + set.readUInt32BE(at + AT.length)
    if (end > set.length) break
    count += Math.max(0, set.readInt32BE(at + AT.count))
    at = end
  }
  return set.length > AT.magic && set[AT.magic] !== 2 ? undefined : count
}

async function open() {
  registerCodecs()
  const decode = fetchDecoder()

  async function check(set: Buffer): Promise<Struck> {
    const startedMs = cpuMs()
    const expected = counted(set)
    const read = await decode(fetched(set)).then(
      ({ responses }) => {
        const messages = responses.flatMap(({ partitions }) => partitions).flatMap(partition => partition.messages)
        return messages.map(toRecord).length
      },
      (error: unknown) => {
        hold(error instanceof Error && error.message !== '', 'an error says nothing')
        hold(!/Invalid array length|Maximum call stack|out of memory/i.test(error.message), error.message)
        return undefined
      }
    )
    hold(cpuMs() - startedMs < MOST_MS, 'it took over a second')
    hold(read === undefined || expected === undefined || read === expected, `${read} records of ${expected}`)
    return { frames: 1 + (read ?? 0), refusals: read === undefined ? ['CORRUPT'] : [] }
  }

  const corpus = await Promise.all([0, 1, 2, 3, 4].map(codec => recordSet(codec)))
  return strikeWithBytes({ corpus, words: HOSTILE_NAMES.map(name => Buffer.from(name)), check })
}

export const fetch: Target = {
  name: 'fetch',
  about: 'answers of Kafka to a fetch, of every codec, with any byte changed',
  short: 2000,
  long: 300_000,
  open
}
