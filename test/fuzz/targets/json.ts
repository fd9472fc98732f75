import { setImmediate as nextTurn } from 'node:timers/promises'
import { BatonError } from '../../../src/errors.ts'
import type { Random } from '../../contract/model/random.ts'
import { configOf } from '../../unit/config-of.ts'
import { strikeWithBytes } from '../bytes.ts'
import { HOSTILE_NAMES, JSON_WORDS, JSONS, PROTOTYPE_NAMES } from '../corpus.ts'
import { cpuMs } from '../memory.ts'
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

const NUMBERS = [0, -0, 1, -1, 0.1, 1e21, 1e-7, 2 ** 53, 2 ** 63, Number.MAX_VALUE]
const MEMBERS = ['roomId', 'type', 'message', 'items', 'id', 'item', 'user', 'a', 'b', 'c', 'd', ...PROTOTYPE_NAMES]

/** JSON as it should be, with names and values as they should not. */
function grown(random: Random, levels = 4): unknown {
  const several = <T>(make: () => T) => Array.from({ length: random(5) }, make)
  switch (random(levels > 0 ? 7 : 5)) {
    case 0:
      return pick(random, NUMBERS)
    case 1:
      return pick(random, [true, false, null])
    case 2:
      return pick(random, ['TALK', 'ENTER', '1'])
    case 3:
    case 4:
      return pick(random, HOSTILE_NAMES)
    case 5:
      return several(() => grown(random, levels - 1))
    default:
      return Object.fromEntries(several(() => [pick(random, MEMBERS), grown(random, levels - 1)]))
  }
}

function make(random: Random): Buffer {
  const items = random(3) === 0 ? grown(random) : [grown(random), { id: grown(random, 0) }, grown(random)]
  const known = {
    roomId: pick(random, ['1', 1, grown(random, 0)]),
    type: pick(random, ['TALK', 'ENTER', grown(random)]),
    items
  }
  return Buffer.from(JSON.stringify({ ...known, ...Object(grown(random)) }))
}

async function open() {
  const inside = await openInside(configOf({ routes }))

  async function check(input: Buffer, chance: Random): Promise<Struck> {
    const name = pick(chance, Object.keys(SENDS))
    const headers: Record<string, string> = chance(3) === 0 ? {} : { 'content-type': 'application/json' }
    const startedMs = cpuMs()
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
    hold(cpuMs() - startedMs < MOST_MS, 'it took over a second')
    hold(inside.errors.length === 0, `logged: ${inside.errors.splice(0)}`)
    return { frames: 1, refusals }
  }

  return {
    ...strikeWithBytes({ corpus: JSONS, words: JSON_WORDS, make, check }),
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
