import type { Logger } from 'pino'
import { type Coordinate, type Coverage, decodeMessage, type Vector } from '../message.ts'
import type { RevocationStore } from '../ports/revocations.ts'
import type { ChannelLog, Claims, Head } from '../ports.ts'
import { createAppender, keysOf } from './append.ts'
import { faultsOfLog } from './check.ts'
import { createRedisClaims } from './claims.ts'
import { type Answer, type RedisOptions, replies } from './client.ts'
import { createAskOf } from './foreign.ts'
import { createLink, holdsElse } from './link.ts'
import { createRedisRevocations } from './revocations.ts'

const FLOOR = 'floor:'
const CEILING = 'ceiling:'
const RESTART = `#!lua
if not redis.call('HGET', KEYS[1], ARGV[1]) then redis.call('HSET', KEYS[1], unpack(ARGV)) end`

export interface RedisLog extends ChannelLog {
  claims: Claims
  revocations: RevocationStore
}

/** The log in Redis; claims and revocations on its connection. Every call is one round trip and fails at once while Redis is away. */
export function createRedisLog(options: RedisOptions, deps: { logger: Logger }): RedisLog {
  const keys = keysOf(options.prefix)
  const append = createAppender(options.prefix)
  const link = createLink(options, { ...deps, name: 'log', faults: client => faultsOfLog(client, options.prefix) })
  const askOf = createAskOf(options.prefix, link, deps)

  return {
    get ready() {
      return link.up
    },
    claims: createRedisClaims(options.prefix, link),
    revocations: createRedisRevocations(options.prefix, link),
    start: link.start,
    close: link.close,

    append(chunk) {
      const channels = chunk.appends.map(({ channel }) => channel)
      return askOf(channels, client => append(client, chunk))
    },

    async restart(source, start, end = start - 1) {
      const fields = [source, start - 1, FLOOR + source, start, CEILING + source, end]
      await link.ask(client => client.eval(RESTART, 1, keys.fence, ...fields))
    },

    async forget(sources) {
      const fields = sources.flatMap(source => [source, FLOOR + source, CEILING + source])
      if (fields.length > 0) await link.ask(client => client.hdel(keys.fence, ...fields))
    },

    async fences() {
      return coverageOf(await link.ask(client => client.hgetall(keys.fence))).fences
    },

    async claim(group) {
      return (await link.ask(client => client.set(keys.group, group, 'NX', 'GET'))) ?? group
    },

    async read(channel, last) {
      const [fences, meta, envelopes] = await askOf([channel], client => {
        const multi = client.multi().hgetall(keys.fence).hgetall(keys.meta(channel))
        if (last !== 0) multi.lrangeBuffer(keys.log(channel), last === undefined ? 0 : -last, -1)
        return replies<[Fields, Fields, Buffer[]?]>(multi.exec())
      })
      const { e, s, c, x: _, ...sources } = meta
      const head = headOf(e, s, c)
      return {
        head: head.position ? { ...head, vector: vectorOf(sources) } : head,
        entries: (envelopes ?? []).map(envelope => decodeMessage(envelope)),
        ...coverageOf(fences)
      }
    },

    async heads(channels) {
      const [fences, ...all] = await askOf(channels, client => {
        const pipeline = client.pipeline().hgetall(keys.fence)
        for (const channel of channels) pipeline.hmget(keys.meta(channel), 'e', 's', 'c')
        return replies<[Fields, ...[Field, Field, Field][]]>(pipeline.exec().then(others))
      })
      return { heads: all.map(([e, s, c]) => headOf(e, s, c)), ...coverageOf(fences) }
    }
  }
}

/** A position that cannot be read is none: its channel alone waits until it can, not all that are compared with it. */
function others(answers: Answer[] | null): Answer[] | null {
  const isAway = ([error]: Answer, i: number) => i > 0 && error !== null && holdsElse(error.message)
  return answers?.map((answer, i) => (isAway(answer, i) ? [null, []] : answer)) ?? null
}

type Field = string | null | undefined
type Fields = Record<string, string>

/** No source begins as a floor or a ceiling does: a colon of its group is encoded. */
function coverageOf(fields: Fields): Coverage {
  const fences: Vector = new Map()
  const floors: Vector = new Map()
  const ceilings: Vector = new Map()
  for (const [source, offset] of vectorOf(fields)) {
    if (source.startsWith(FLOOR)) floors.set(source.slice(FLOOR.length), offset)
    else if (source.startsWith(CEILING)) ceilings.set(source.slice(CEILING.length), offset)
    else fences.set(source, offset)
  }
  return { fences, floors, ceilings }
}

function vectorOf(fields: Fields): Vector {
  return new Map(Object.entries(fields).map(([source, offset]) => [source, Number(offset)]))
}

function headOf(epoch: Field, seq: Field, coordinate: Field): Head {
  if (!epoch || !seq || !coordinate) return {}
  return { position: { epoch, seq: Number(seq) }, coordinate: coordinateOf(coordinate) }
}

function coordinateOf(text: string): Coordinate {
  const space = text.lastIndexOf(' ')
  return { source: text.slice(0, space), offset: Number(text.slice(space + 1)) }
}
