import { isDeepStrictEqual } from 'node:util'
import type { Fault } from '../config/faults.ts'
import { OWN_CHANNELS } from '../ports/revocations.ts'
import { REPLY_CHANNELS, TEMPORARY_DESTINATIONS } from '../reply.ts'
import { BOUNDARY, compileTemplate, type Part, type Template } from '../template.ts'
import type { CompiledRoute } from './compile.ts'

/** Faults between two routes: whose is a channel, a destination, a SEND, a reply? Each must have one answer. */
export function pairFaults(routes: readonly CompiledRoute[]): Fault[] {
  return routes.flatMap((route, index) => [
    ...reservedFaults(route),
    ...routes.slice(0, index).flatMap(other => faultsOf(route, other))
  ])
}

const RESERVED = [
  ['channel', REPLY_CHANNELS, 'replies'],
  ['channel', OWN_CHANNELS, 'what replicas tell each other'],
  ['destination', TEMPORARY_DESTINATIONS, 'replies']
] as const

/** What is for replies, or among replicas, is nobody's to subscribe to. */
function reservedFaults({ name, out }: CompiledRoute): Fault[] {
  return RESERVED.filter(([setting, begin]) => out && meet(out[setting], compileTemplate(`${begin}{+any}`))).map(
    ([setting, begin, what]) => ({
      path: `routes.${name}.${setting}`,
      message: `could begin with ${begin}, which is for ${what}`
    })
  )
}

/** A SEND there would never reach its route. */
export function refreshFaults(routes: readonly CompiledRoute[], refreshDestination: string | undefined): Fault[] {
  return routes.flatMap(({ name, send }) => {
    if (refreshDestination === undefined || !send?.destination?.match(refreshDestination)) return []
    const message = `is what routes.${name}.send.destination takes: choose another`
    return [{ path: 'auth.refreshDestination', message }]
  })
}

function faultsOf(one: CompiledRoute, other: CompiledRoute): Fault[] {
  const faults: Fault[] = []
  const say = (setting: string, message: string) =>
    faults.push({
      path: `routes.${one.name}.${setting}`,
      message: message.replace('$', `routes.${other.name}.${setting}`)
    })

  if (one.out && other.out) {
    const [a, b] = [one.out, other.out]
    const overlap = { channel: meet(a.channel, b.channel), destination: meet(a.destination, b.destination) }
    const same = isDeepStrictEqual(a.shape, b.shape)
    if (overlap.channel && a.topic === b.topic) {
      say('channel', `could be the same as $, and both take ${a.topic}: its records would come twice`)
    } else if ((overlap.channel || overlap.destination) && !same) {
      const setting = overlap.destination ? 'destination' : 'channel'
      say(
        setting,
        'could be the same as $; routes may share them only with equal templates for channel and destination'
      )
    } else if (same && !isDeepStrictEqual(shared(one), shared(other))) {
      say('destination', 'is the same as $: then log, history, slow and allow must be the same too')
    }
  }
  if (one.send?.destination && other.send?.destination && meet(one.send.destination, other.send.destination)) {
    say('send.destination', 'could be the same as $')
  }
  const claims = [one.send?.reply, other.send?.reply].filter(reply => reply?.claimOf)
  if (claims.length === 2 && claims[0]?.rule.topic === claims[1]?.rule.topic)
    say('send.reply.match', 'cannot be told from $, for both take one topic: give each a topic of its own')
  const http = [one.send?.rule.http, other.send?.rule.http]
  if (http[0] !== undefined && parameterless(http[0]) === parameterless(http[1])) say('send.http', 'is the same as $')
  return faults
}

function shared({ config: { log, history, slow, allow } }: CompiledRoute) {
  return {
    log,
    slow,
    size: history.size,
    maxAgeMs: history.maxAgeMs,
    subscribe: allow.subscribe,
    history: allow.history
  }
}

function parameterless(http: string | undefined): string | undefined {
  return http?.replace(/\{[^{}]*\}/g, '{}')
}

/** A character, or any one of a name's value; `again`: any number of times, none included. */
interface Step {
  character: string | undefined
  rest: boolean
  again: boolean
}

/** True when a text exists that both templates can give. */
function meet(a: Template, b: Template): boolean {
  const left = a.parts.flatMap(steps)
  const right = b.parts.flatMap(steps)
  const seen = new Set<number>()
  const reach = (i: number, j: number): boolean => {
    const state = i * (right.length + 1) + j
    if (seen.has(state)) return false
    seen.add(state)
    const [l, r] = [left[i], right[j]]
    if (!l && !r) return true
    if ((l?.again && reach(i + 1, j)) || (r?.again && reach(i, j + 1))) return true
    return l !== undefined && r !== undefined && agree(l, r) && reach(l.again ? i : i + 1, r.again ? j : j + 1)
  }
  return reach(0, 0)
}

function steps(part: Part): Step[] {
  if (typeof part === 'string') return [...part].map(character => ({ character, rest: false, again: false }))
  const some = { character: undefined, rest: part.rest }
  return [
    { ...some, again: false },
    { ...some, again: true }
  ]
}

function agree(a: Step, b: Step): boolean {
  if (a.character !== undefined && b.character !== undefined) return a.character === b.character
  const { rest } = a.character === undefined ? a : b
  const character = a.character ?? b.character
  return character === undefined || rest || !BOUNDARY.test(character)
}
