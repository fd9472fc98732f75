import { encodeMessageId, MESSAGE_ID_SOURCES, parseMessageId, sourceTag } from '../../../src/message/id.ts'
import type { Random } from '../../contract/model/random.ts'
import { strikeWithBytes } from '../bytes.ts'
import { MESSAGE_ID_WORDS, MESSAGE_IDS } from '../corpus.ts'
import { pick } from '../mutate.ts'
import { hold, type Struck, type Target } from '../target.ts'

// A forged message-id is refused, or names a point within bounds; what is made is read as it was meant.

const OFFSETS = [-1, 0, 1, 2 ** 31, 2 ** 32, Number.MAX_SAFE_INTEGER]

function check(input: Buffer, chance: Random): Struck {
  const point = parseMessageId(input.toString())
  if (point) {
    const offsets = [...point.vector.values()]
    hold(offsets.length <= MESSAGE_ID_SOURCES, 'it names more sources than an id can')
    hold(
      offsets.every(offset => Number.isSafeInteger(offset) && offset >= -1),
      'an offset is none'
    )
    hold(point.position === undefined || Number.isSafeInteger(point.position.seq), 'a seq is none')
    hold(!point.own || point.vector.get(point.own.tag) === point.own.offset, 'its own source is not in its vector')
  }
  made(chance)
  return { frames: 2, refusals: point ? [] : ['INVALID_RESUME'] }
}

function made(chance: Random): void {
  const vector = new Map(
    Array.from({ length: chance(12) }, (_, i) => [`g/t/${i}~n${chance(1000)}`, pick(chance, OFFSETS)] as const)
  )
  const [source, offset] = [...vector][0] ?? []
  const own = source !== undefined && offset !== undefined && chance(2) === 0 ? { source, offset } : undefined
  const position = chance(3) === 0 ? undefined : { epoch: `n${chance(1e9)}`, seq: 1 + chance(1e9) }
  const complete = chance(2) === 0
  const id = encodeMessageId(position, own, vector, complete)
  const point = parseMessageId(chance(2) === 0 ? id : `${id}.p${chance(1e6)}`)
  hold(id.length <= 256 && /^[\w.-]+$/.test(id), 'an id is no id')
  hold(point, 'an id of ours is refused')
  hold(point.position?.seq === position?.seq && point.position?.epoch === position?.epoch, 'the position differs')
  hold(point.complete === (complete && vector.size <= MESSAGE_ID_SOURCES), 'completeness differs')
  hold(point.own?.offset === own?.offset, 'its own offset differs')
  for (const [name, at] of [...vector].slice(0, MESSAGE_ID_SOURCES)) {
    hold(point.vector.get(sourceTag(name)) === at, 'an offset differs')
  }
}

export const messageId: Target = {
  name: 'message-id',
  about: 'forged message-ids, and those of any position and vector read again',
  short: 4000,
  long: 1_500_000,
  open: async () => strikeWithBytes({ corpus: MESSAGE_IDS, words: MESSAGE_ID_WORDS, check })
}
