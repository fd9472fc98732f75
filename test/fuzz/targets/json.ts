import { setImmediate as nextTurn } from 'node:timers/promises'
import { BatonError } from '../../../src/errors.ts'
import type { Random } from '../../contract/model/random.ts'
import { configOf } from '../../unit/config-of.ts'
import { strikeWithBytes } from '../bytes.ts'
import { JSON_WORDS, JSONS } from '../corpus.ts'
import { pick } from '../mutate.ts'
import { hold, type Struck, type Target } from '../target.ts'
import { openInside } from './inside.ts'

// A body is refused, or becomes a record that the relay routes and history shows: nothing that it holds breaks the way.

const MOST_MS = 1000
const TURNS = 3
const room = (name: string) => ({ channel: `${name}:{roomId}`, destination: `/sub/${name}/{roomId}`, topic: name })
const schema = {
  $ref: '#/definitions/node',
  definitions: { node: { type: ['object', 'array', 'string', 'number', 'null'] } }
}
const list = { type: ['object', 'array'], additionalProperties: { $ref: '#' }, items: { $ref: '#' } }
const tree = { anyOf: [list, { type: ['string', 'number', 'boolean', 'null'] }] }
const SENDS: Record<string, object> = {
  plain: { send: { destination: '/pub/plain' } },
  set: { send: { destination: '/pub/set', key: '{roomId}', set: { at: '{now}', own: '{message}' }, schema } },
  made: {
    send: { destination: '/pub/made', body: { roomId: '{roomId}', all: '{message}', deep: [{ x: '{a.b.c.d}' }] } }
  },
  each: {
    send: { destination: '/pub/each', forEach: 'items', body: { roomId: '{roomId}', item: '{item}', id: '{item.id}' } }
  },
  shown: {
    message: { body: { m: '{message}', id: '{roomId}' }, headers: { kind: '{type}' } },
    send: { destination: '/pub/shown' }
  },
  hidden: { history: { except: { type: 'ENTER', 'a.b.c': 'x' } }, send: { destination: '/pub/hidden' } },
  tree: { send: { destination: '/pub/tree', schema: tree, headers: { x: '{type}' } } }
}
const routes = Object.fromEntries(Object.entries(SENDS).map(([name, rest]) => [name, { ...room(name), ...rest }]))

async function open() {
  const inside = await openInside(configOf({ routes }))

  async function check(input: Buffer, chance: Random): Promise<Struck> {
    const name = pick(chance, Object.keys(SENDS))
    const headers: Record<string, string> = chance(3) === 0 ? {} : { 'content-type': 'application/json' }
    const startedMs = performance.now()
    const refusals: string[] = []
    try {
      const to = inside.routes.sendable(`/pub/${name}`)
      const principal = { name: 'guest', claims: {}, guest: true }
      const prepared = await inside.inbound.prepare({ ...to, body: input, headers, principal })
      await inside.inbound.produce([prepared])
      for (let turn = 0; turn < TURNS; turn++) await nextTurn()
      const { statusCode, body } = await inside.http.inject({
        url: '/history',
        query: { destination: `/sub/${name}/1` }
      })
      hold(statusCode === 200, `history is answered with ${statusCode}: ${body.slice(0, 200)}`)
    } catch (error) {
      if (!(error instanceof BatonError)) throw error
      hold(error.code !== 'INTERNAL', 'INTERNAL')
      refusals.push(error.code)
    }
    hold(performance.now() - startedMs < MOST_MS, 'it took over a second')
    hold(inside.errors.length === 0, `logged: ${inside.errors.splice(0)}`)
    return { frames: 1, refusals }
  }

  return {
    ...strikeWithBytes({ corpus: JSONS, words: JSON_WORDS, check }),
    [Symbol.asyncDispose]: () => inside[Symbol.asyncDispose]()
  }
}

export const json: Target = {
  name: 'json',
  about: 'bodies 10,000 deep, of wild numbers and names, through send rules, projections and history',
  short: 300,
  long: 40_000,
  open
}
