import type { Logger } from 'pino'
import { BatonError } from '../errors.ts'
import { type Coordinate, decodeMessage, type Vector } from '../message.ts'
import type { ChannelLog, Claims, Head } from '../ports.ts'
import { createAppender, keysOf } from './append.ts'
import { faultsOfLog } from './check.ts'
import { createRedisClaims } from './claims.ts'
import type { RedisOptions } from './client.ts'
import { createLink } from './link.ts'

/** The log in Redis, and the claims on its connection. Every call is one round trip and fails at once while Redis is away. */
export function createRedisLog(options: RedisOptions, deps: { logger: Logger }): ChannelLog & { claims: Claims } {
  const keys = keysOf(options.prefix)
  const append = createAppender(options.prefix)
  const link = createLink(options, { ...deps, name: 'log', faults: client => faultsOfLog(client, options.prefix) })

  return {
    get ready() {
      return link.up
    },
    claims: createRedisClaims(options.prefix, link),
    start: link.start,
    close: link.close,

    append: chunk => link.ask(client => append(client, chunk)),

    async forget(sources) {
      if (sources.length > 0) await link.ask(client => client.hdel(keys.fence, ...sources))
    },

    async fences() {
      return vectorOf(await link.ask(client => client.hgetall(keys.fence)))
    },

    async claim(group) {
      return (await link.ask(client => client.set(keys.group, group, 'NX', 'GET'))) ?? group
    },

    async read(channel, last) {
      const [fences, meta, envelopes] = await link.ask(client => {
        const multi = client.multi().hgetall(keys.fence).hgetall(keys.meta(channel))
        if (last !== 0) multi.lrangeBuffer(keys.log(channel), last === undefined ? 0 : -last, -1)
        return replies<[Fields, Fields, Buffer[]?]>(multi.exec())
      })
      const { e, s, c, ...sources } = meta
      const head = headOf(e, s, c)
      return {
        head: head.position ? { ...head, vector: vectorOf(sources) } : head,
        entries: (envelopes ?? []).map(envelope => decodeMessage(envelope)),
        fences: vectorOf(fences)
      }
    },

    async heads(channels) {
      const all = await link.ask(client => {
        const pipeline = client.pipeline()
        for (const channel of channels) pipeline.hmget(keys.meta(channel), 'e', 's', 'c')
        return replies<[Field, Field, Field][]>(pipeline.exec())
      })
      return all.map(([e, s, c]) => headOf(e, s, c))
    }
  }
}

type Field = string | null | undefined
type Fields = Record<string, string>

/** The replies of a pipeline or transaction. @throws the first error among them. */
async function replies<T>(executed: Promise<[Error | null, unknown][] | null>): Promise<T> {
  const results = await executed
  if (!results) throw new BatonError('REDIS_UNAVAILABLE', 'the transaction was discarded')
  return results.map(([error, reply]) => {
    if (error) throw error
    return reply
  }) as T
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
