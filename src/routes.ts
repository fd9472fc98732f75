import { ConfigError, type Fault } from './config/faults.ts'
import type { Config } from './config/normalize.ts'
import { fullest, namedTopics } from './config/topics.ts'
import { BatonError } from './errors.ts'
import type { Slow } from './message.ts'
import { pairFaults, refreshFaults } from './routes/check.ts'
import { type CompiledRoute, compileRoute } from './routes/compile.ts'
import { type PlacedRecord, Unroutable, viewRecord } from './routes/record.ts'
import type { TopicFacts } from './routes/record-template.ts'
import { type Answer, answerOf } from './routes/reply.ts'
import type { SendRule } from './routes/send-rule.ts'
import { isMalformed, namesOf, parseTemplate } from './template.ts'

export { type SendRule, Unroutable }

/** The rule that ties a topic, a channel and a destination; compiled from one entry of `routes:` in the configuration. */
export interface Route {
  name: string
  /** What the log keeps of each of its channels. */
  log: { size: number; ttlMs: number; maxBodyBytes: number }
  /** What people may read of the log. */
  history: { size: number; maxAgeMs: number | undefined }
  slow: Slow
  send: SendRule | undefined
  allow: { [verb in Verb]: Condition }
}

/** What a principal may do with a route. */
export type Verb = 'send' | 'subscribe' | 'history'

/** `anyone`: guests too. `authenticated`: any principal but a guest. An object: every claim named equals (or, an array, contains) one of the values; a value may be a template over the route's names. */
export type Condition =
  | 'anyone'
  | 'authenticated'
  | 'nobody'
  | Record<string, string | number | boolean | (string | number | boolean)[]>

/** Names taken out of a destination, channel or path by matching its template backwards; values are decoded. */
export type Names = Record<string, string>

/** A channel that can be subscribed to. */
export interface Place {
  route: Route
  channel: string
  destination: string
  names: Names
  /** Topics of every route whose records can reach this channel. */
  topics: ReadonlySet<string>
}

/** A record's way into one channel. */
export interface Routed {
  route: Route
  channel: string
  /** Excepted from history (`history.except`). */
  hidden: boolean
  /** STOMP 1.2 encoded header lines, each closed by LF, content-length last; reserved names dropped. */
  headers: string
  body: Buffer
}

export interface Routes {
  readonly all: readonly Route[]
  /**
   * OUT. The channels of a record; empty where every route of its topic leaves it out on purpose.
   * @throws Unroutable when a route needs what the record does not have.
   */
  resolve(record: PlacedRecord): Routed[]
  /** OUT. What a record of a reply topic answers; undefined for one of another topic. @throws Unroutable */
  answer(record: PlacedRecord): Answer | undefined
  /** SUBSCRIBE and history. @throws BatonError UNKNOWN_DESTINATION, MALFORMED_DESTINATION: each names the destination. */
  subscribable(destination: string): Place
  /** SEND. @throws as `subscribable`. */
  sendable(destination: string): { route: Route; rule: SendRule; names: Names }
}

/** What is wrong with the routes of a configuration, for `loadConfig`. */
export function checkRoutes({ routes, auth }: Pick<Config, 'routes' | 'auth'>): Fault[] {
  const { compiled, faults } = compileRoutes(routes)
  return [...faults, ...refreshFaults(compiled, auth.refreshDestination)]
}

/** @throws ConfigError with every fault of the routes. */
export function createRoutes(config: Config['routes']): Routes {
  const { compiled, faults } = compileRoutes(config)
  if (faults.length > 0) throw new ConfigError(faults.map(({ path, message }) => `${path}: ${message}`))
  const table = compiled.map(route => ({ ...route, route: routeOf(route) }))
  const ways = table.flatMap(({ route, out }) => (out ? [{ route, ...out }] : []))
  const byTopic = new Map(
    [...Map.groupBy(ways, ({ topic }) => topic)].map(([topic, all]) => [
      topic,
      { all, exact: all.some(({ projects }) => projects) }
    ])
  )
  /** Routes of equal destinations share their channels: one place, for which the first of them stands. */
  const places = Map.groupBy(ways, ({ shape }) => shape.destination)
    .values()
    .toArray()

  const byReplyTopic = Map.groupBy(
    table.flatMap(({ send }) => send?.reply ?? []),
    ({ rule }) => rule.topic
  )

  return {
    all: table.map(({ route }) => route),

    resolve(record) {
      const found = byTopic.get(record.topic)
      if (!found) return []
      const view = viewRecord(record, undefined, found.exact)
      return found.all.map(({ route, resolve }) => {
        const { channel, hidden, headers, body } = resolve(view)
        return { route, channel, hidden, headers, body }
      })
    },

    answer(record) {
      const replies = byReplyTopic.get(record.topic)
      return replies && answerOf(viewRecord(record), replies.find(({ claimOf }) => claimOf)?.claimOf)
    },

    subscribable(destination) {
      for (const sharing of places) {
        const [first] = sharing
        const names = first?.destination.match(destination)
        if (!first || !names) continue
        const channel = first.channel.expand(name => names[name] as string)
        return {
          route: first.route,
          channel,
          destination,
          names,
          topics: new Set(sharing.map(({ topic }) => topic))
        }
      }
      throw refusal(destination, 'subscribe to')
    },

    sendable(destination) {
      for (const { route, send } of table) {
        const names = send?.destination?.match(destination)
        if (send && names) return { route, rule: send.rule, names }
      }
      throw refusal(destination, 'send to')
    }
  }
}

function compileRoutes(config: Config['routes']): { compiled: CompiledRoute[]; faults: Fault[] } {
  const all = Object.entries(config).map(([name, route]) => compileRoute(name, route, topic => factsOf(config, topic)))
  const compiled = all.flatMap(({ compiled }) => compiled ?? [])
  return { compiled, faults: [...all.flatMap(({ found }) => found), ...pairFaults(compiled)] }
}

/** What all the routes say of one topic. */
function factsOf(config: Config['routes'], topic: string): TopicFacts {
  const channels = Object.values(config).flatMap(route => (route.topic?.name === topic ? (route.channel ?? []) : []))
  const { partitions } = fullest(namedTopics(config).filter(named => named.topic.name === topic))
  return { names: [...new Set(channels.flatMap(namesIn))], partitions }
}

function namesIn(template: string): string[] {
  try {
    return namesOf(parseTemplate(template))
  } catch {
    // A fault of the route that it belongs to.
    return []
  }
}

function routeOf({ name, config: { log, history, slow, allow }, send }: CompiledRoute): Route {
  const { size, maxAgeMs } = history
  return { name, log, history: { size, maxAgeMs }, slow, send: send?.rule, allow }
}

const SHOWN = 120

function refusal(destination: string, verb: string): BatonError {
  const shown = destination.length > SHOWN ? `${destination.slice(0, SHOWN)}…` : destination
  if (!isMalformed(destination)) return new BatonError('UNKNOWN_DESTINATION', `there is no "${shown}" to ${verb}`)
  const how = 'must not be empty; { } and controls are written %7B, %7D, %00 …, and % alone %25'
  return new BatonError('MALFORMED_DESTINATION', `"${shown}" ${how}`)
}
