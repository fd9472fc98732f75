import type { RouteConfig } from '../config/normalize.ts'
import type { Scalar } from '../config/route.ts'
import { compileTemplate, namesOf, parseTemplate, type Template } from '../template.ts'
import { collectFaults, type Faults } from './faults.ts'
import { messageHeaders } from './headers.ts'
import { compileProjection, compileText, compileTexts, type Projection } from './projection.ts'
import { onRecord, type RecordView, Unroutable } from './record.ts'
import type { TopicFacts } from './record-template.ts'
import { type CompiledSend, compileSend } from './send-rule.ts'

export interface CompiledRoute {
  name: string
  config: RouteConfig
  /** Absent: a way in only. */
  out: WayOut | undefined
  send: CompiledSend | undefined
}

/** From a topic to a channel and a destination. */
export interface WayOut {
  topic: string
  channel: Template
  destination: Template
  /** Templates with each name replaced by its place in the destination: equal where they give the same texts. */
  shape: { channel: string; destination: string }
  /** Writes JSON of what it reads. */
  projects: boolean
  /** @throws Unroutable */
  resolve(view: RecordView): { channel: string; hidden: boolean; headers: string; body: Buffer }
}

type Compiled = { found: Faults['found']; compiled?: CompiledRoute }

/** @returns the route, or what is wrong with it. */
export function compileRoute(name: string, config: RouteConfig, factsOf: (topic: string) => TopicFacts): Compiled {
  const faults = collectFaults(`routes.${name}`)
  const { found, attempt } = faults
  attempt('channel', () => checkWhole(config))
  const out = compileOut(config, faults)
  if (found.length > 0) return { found }
  const send = config.send && compileSend(name, config.send, config, factsOf, faults)
  const known = out?.channel.names ?? send?.names ?? []
  for (const [verb, condition] of Object.entries(config.allow)) {
    attempt(`allow.${verb}`, () => checkCondition(condition, known))
  }
  return found.length > 0 ? { found } : { found, compiled: { name, config, out, send } }
}

/** A route has a way out, whole, or a way in at least. */
function checkWhole({ topic, channel, destination, send, message }: RouteConfig): void {
  if (channel === undefined && destination === undefined) {
    if (!send) throw new SyntaxError('is missing; only a way in (send) needs neither channel nor destination')
    if (message) throw new SyntaxError('is missing: message says what its subscribers get')
    return
  }
  if (channel === undefined) throw new SyntaxError('is missing: destination needs it')
  if (destination === undefined) throw new SyntaxError('needs a destination')
  if (!topic) throw new SyntaxError('needs a topic')
}

function compileOut(config: RouteConfig, faults: Faults): WayOut | undefined {
  const { attempt } = faults
  const { topic, channel: from, destination: to } = config
  if (!topic || from === undefined || to === undefined) return undefined
  const channel = attempt('channel', () => onRecord(compileTemplate(from)))
  const destination = attempt('destination', () => onRecord(compileTemplate(to)))
  if (!channel || !destination) return undefined
  attempt('destination', () => checkSameNames(destination.names, channel.names))
  const resolve = compileResolve(config, channel, faults)

  const placeOf = (name: string) => destination.names.indexOf(name)
  const shapeOf = ({ parts }: Template) =>
    parts.map(part => (typeof part === 'string' ? part : `{${part.rest ? '+' : ''}${placeOf(part.name)}}`)).join('')
  const shape = { channel: shapeOf(channel), destination: shapeOf(destination) }
  return { topic: topic.name, channel, destination, shape, projects: config.message?.body !== undefined, resolve }
}

/** How a record becomes a message: its address first, so what cannot be routed is known before anything is made of it. */
function compileResolve({ message, history }: RouteConfig, channel: Template, { attempt }: Faults): WayOut['resolve'] {
  const body = attempt('message.body', () => message?.body !== undefined && onRecord(compileProjection(message.body)))
  const headers = attempt('message.headers', () => message?.headers && onRecord(compileTexts(message.headers)))
  const except = Object.entries(history.except ?? {})
  attempt('history.except', () => except.map(([name]) => onRecord(compileText(`{${name}}`))))

  return view => {
    const { record } = view
    const place = channel.expand(view.routable)
    const hidden = except.length > 0 && except.every(([name, values]) => holds(view, name, values))
    const bytes = body ? project(body, view) : (record.value ?? Buffer.alloc(0))
    const own = headers ? headers.apply(view.lookup) : body ? record.headers.filter(isNoContentType) : record.headers
    const contentType = body || view.parsed ? 'application/json' : undefined
    return { channel: place, hidden, headers: messageHeaders(own, contentType, bytes.length), body: bytes }
  }
}

/** History leaves nothing out for want of a field: a value that is no JSON has none. */
function holds(view: RecordView, name: string, values: Scalar | readonly Scalar[]): boolean {
  try {
    return [values].flat().includes(view.lookup(name) as Scalar)
  } catch (error) {
    if (error instanceof Unroutable) return false
    throw error
  }
}

function project(body: Projection, view: RecordView): Buffer {
  const content = body.apply(view.lookup)
  try {
    return Buffer.from(JSON.stringify(content) ?? 'null')
  } catch {
    throw new Unroutable('INVALID_FIELD', 'the value is nested too deeply for the message of its route')
  }
}

const isNoContentType = ([name]: readonly [string, unknown]) => name.toLowerCase() !== 'content-type'

function checkSameNames(names: readonly string[], channelNames: readonly string[]): void {
  const same = names.length === channelNames.length && names.every(name => channelNames.includes(name))
  if (same) return
  const list = channelNames.map(name => `{${name}}`).join(', ') || 'none'
  throw new SyntaxError(`must use the names of the channel (${list}), so that each gives the other`)
}

function checkCondition(condition: RouteConfig['allow']['send'], known: readonly string[]): void {
  if (typeof condition === 'string') return
  const texts = Object.values(condition)
    .flat()
    .filter(value => typeof value === 'string')
  const unknown = texts.flatMap(text => namesOf(parseTemplate(text))).find(name => !known.includes(name))
  if (unknown !== undefined)
    throw new SyntaxError(`{${unknown}} is not a name of the channel, or of the way in where there is none`)
}
