import assert from 'node:assert/strict'
import fc from 'fast-check'
import { ConfigError } from '../../../src/config.ts'
import { BatonError } from '../../../src/errors.ts'
import { keysOf } from '../../../src/redis/append.ts'
import { createRoutes, type Routes, Unroutable } from '../../../src/routes.ts'
import type { Random } from '../../contract/model/random.ts'
import { configOf } from '../../unit/config-of.ts'
import { HOSTILE_NAMES, PROTOTYPE_NAMES } from '../corpus.ts'
import { hold, type Struck, type Target } from '../target.ts'

// A hostile name never reaches the channel, the keys or the cluster slot of another room: what differs in any name differs in
// all of them, whichever route it came by.

const RUNS = 40
const ROUTES = {
  one: { topic: 'one', channel: 'chat:{a}', destination: '/sub/chat/{a}' },
  two: { topic: 'two', channel: 'chat:{a}:{b}', destination: '/sub/chat/{a}/{b}' },
  deep: { topic: 'deep', channel: 'user:{user.id}:x-{b}', destination: '/sub/user/{user.id}/x-{b}' },
  head: { topic: 'head', channel: 'h/{headers.a}/{key}', destination: '/sub/h/{headers.a}/{key}' },
  all: { topic: 'all', channel: 'topic:{+key}', destination: '/topic/{+key}' },
  claim: { topic: 'claim', channel: 'c:{a}', destination: '/sub/c/{a}', send: { destination: '/pub/c' } },
  ...Object.fromEntries(
    PROTOTYPE_NAMES.map((name, i) => [
      `p${i}`,
      { topic: `p${i}`, channel: `p${i}:{${name}}`, destination: `/sub/p${i}/{${name}}` }
    ])
  )
}
const ROUTE_TOPICS = Object.keys(ROUTES)
const PREFIXES = ['', 'tenant:']

const name = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(...HOSTILE_NAMES) },
  {
    weight: 2,
    arbitrary: fc.array(fc.constantFrom(...HOSTILE_NAMES), { minLength: 1, maxLength: 3 }).map(parts => parts.join(''))
  },
  { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 8 }) }
)
const said = fc.record({
  topic: fc.constantFrom(...ROUTE_TOPICS),
  a: name,
  b: name,
  json: fc.oneof(fc.string(), fc.integer(), fc.boolean())
})
/** What may stand between two names, or look like it. */
const between = fc.constantFrom(':', '/', '%3A', '%2F', '%253A', ':x-', '/x-', '')
type Said = typeof said extends fc.Arbitrary<infer T> ? T : never

/** Everything that a room is called, beside the names that it was called by; undefined: it is no room. */
function placeOf(routes: Routes, { topic, a, b, json }: Said) {
  const value = { a, b, user: { id: json }, ...Object.fromEntries([...PROTOTYPE_NAMES].map(own => [own, a])) }
  const record = {
    topic,
    partition: 0,
    offset: 0,
    timestampMs: 0,
    key: Buffer.from(b),
    value: Buffer.from(JSON.stringify(value))
  }
  try {
    const [routed] = routes.resolve({ ...record, headers: [['a', Buffer.from(a)]] })
    if (!routed) return undefined
    return { route: routed.route.name, channel: routed.channel }
  } catch (error) {
    if (error instanceof Unroutable) return undefined
    throw error
  }
}

/** Whose a channel is: the destination that gives it, and the names in it. */
function ownerOf({ a, b, json, topic }: Said): string {
  const texts: Record<string, unknown[]> = {
    one: [a],
    two: [a, b],
    deep: [json, b],
    head: [a, b],
    all: [b],
    claim: [a]
  }
  return JSON.stringify([topic, ...(texts[topic] ?? [a]).map(text => Buffer.from(String(text)).toString())])
}

/** The part of a key that a Redis Cluster hashes. */
function tagOf(key: string): string {
  const open = key.indexOf('{')
  const close = key.indexOf('}', open + 1)
  return open < 0 || close <= open + 1 ? key : key.slice(open + 1, close)
}

function holdApart(routes: Routes, one: Said, other: Said): void {
  const [mine, theirs] = [placeOf(routes, one), placeOf(routes, other)]
  if (!mine || !theirs) return
  const isSame = ownerOf(one) === ownerOf(other)
  hold(
    (mine.channel === theirs.channel) === isSame,
    `${mine.channel} and ${theirs.channel}: one of two rooms, or two of one`
  )
  for (const prefix of PREFIXES) {
    const keys = keysOf(prefix)
    const of = ({ channel }: { channel: string }) => [keys.log(channel), keys.meta(channel), keys.claim(channel)]
    const fixed = [keys.fence, keys.group]
    for (const key of of(mine)) {
      hold(tagOf(key) === key, `${key} chooses its slot`)
      hold(!fixed.includes(key), `${key} is the key of something else`)
      if (!isSame) hold(!of(theirs).includes(key), `${key} is the key of two rooms`)
    }
    if (!isSame) hold(keys.bus(mine.channel) !== keys.bus(theirs.channel), 'two rooms are one on the bus')
  }
}

/** What is subscribed to gives one channel, and no other destination gives it. */
function holdDestination(routes: Routes, destination: string, record: Said): void {
  try {
    const place = routes.subscribable(destination)
    const routed = placeOf(routes, record)
    hold(!/[{}\0-\x1f]/.test(place.channel), `${JSON.stringify(place.channel)} holds what no channel may`)
    if (routed?.channel === place.channel) assert.equal(place.route.name, routed.route)
    const back = Object.fromEntries(Object.entries(place.names))
    assert.deepEqual(routes.subscribable(destination).names, back)
  } catch (error) {
    if (!(error instanceof BatonError)) throw error
    hold(error.code === 'UNKNOWN_DESTINATION' || error.code === 'MALFORMED_DESTINATION', `refused with ${error.code}`)
  }
}

const destination = fc
  .tuple(
    fc.constantFrom('/sub/chat/', '/topic/', '/sub/user/', '/sub/h/', '/sub/p0/', '/pub/', ''),
    fc.array(name, { maxLength: 3 })
  )
  .map(([head, names]) => head + names.join('/'))

/** Two routes of any templates: where they are taken together, their rooms are apart. */
const piece = fc.constantFrom('chat', ':', '/', 'a', '-', '{x}', '{y}', '{+x}', '::', 'a:')
const template = fc.array(piece, { minLength: 1, maxLength: 5 }).map(parts => parts.join(''))

function holdPair([one, other]: [string, string], [x, y]: [string, string], [v, w]: [string, string]): void {
  const route = (topic: string, text: string) => ({ topic, channel: text, destination: `/${topic}/${text}` })
  let routes: Routes
  try {
    routes = createRoutes(configOf({ routes: { r1: route('t1', one), r2: route('t2', other) } }).routes)
  } catch (error) {
    if (error instanceof ConfigError) return
    throw error
  }
  const at = (topic: string, value: object) => {
    try {
      const record = { topic, partition: 0, offset: 0, timestampMs: 0, key: null, headers: [] }
      return routes.resolve({ ...record, value: Buffer.from(JSON.stringify(value)) })[0]?.channel
    } catch (error) {
      if (error instanceof Unroutable) return undefined
      throw error
    }
  }
  const [mine, theirs] = [at('t1', { x, y }), at('t2', { x: v, y: w })]
  hold(mine === undefined || mine !== theirs, `${one} and ${other} meet in ${mine}`)
}

async function open() {
  const routes = createRoutes(configOf({ routes: ROUTES }).routes)
  const property = fc.property(said, said, destination, between, (one, other, to, sign) => {
    holdApart(routes, one, other)
    // The same texts with the border elsewhere.
    const [left, right] = [one.a + sign + one.b, one.b + sign + other.b]
    holdApart(routes, { ...one, topic: 'one', a: left }, { ...one, topic: 'two' })
    const encoded = encodeURIComponent(left.toWellFormed())
    holdApart(routes, { ...one, topic: 'one', a: left }, { ...one, topic: 'one', a: encoded })
    for (const topic of ['two', 'head'])
      holdApart(routes, { ...one, topic, a: left, b: other.b }, { ...one, topic, b: right })
    holdApart(routes, one, { ...one, b: other.b })
    holdDestination(routes, to, one)
  })
  const two = fc.tuple(name, name)
  const pairs = fc.property(fc.tuple(template, template), two, two, holdPair)
  let strikes = 0
  return {
    strike(random: Random): Struck {
      fc.assert(property, { seed: random(2 ** 31), numRuns: RUNS })
      // Each takes a configuration of its own.
      if (strikes++ % 50 === 0) fc.assert(pairs, { seed: random(2 ** 31), numRuns: 2 })
      return { frames: RUNS, refusals: [] }
    }
  }
}

export const rooms: Target = {
  name: 'rooms',
  about: 'hostile names of rooms: no channel, key, cluster slot or destination of another',
  short: 800,
  long: 100_000,
  open
}
