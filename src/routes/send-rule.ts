import { Ajv } from 'ajv'
import formats from 'ajv-formats'
import type { RouteConfig } from '../config/normalize.ts'
import { BatonError } from '../errors.ts'
import type { OutgoingRecord } from '../ports.ts'
import { compileTemplate, type Template } from '../template.ts'
import type { Faults } from './faults.ts'
import { isReservedHeader } from './headers.ts'
import { compileProjection, compileText, compileTexts } from './projection.ts'
import { field, isField } from './record.ts'
import {
  type Draft,
  jwtOf,
  lookupOf,
  parseBody,
  provenNames,
  requireAll,
  type Sender,
  stampJson
} from './send-record.ts'

// The record is routed here as the relay will route it later: what a client may not reach, or could never be routed, is
// refused before Kafka has it, and `allow.send` is asked about the room where the message will truly appear.

/** How SENDs and POSTs become records of a route's topic. Compiled; its steps are taken in order by `inbound.ts`. */
export interface SendRule {
  /** Method and path template of the HTTP way in, such as `POST /rooms/{roomId}`; absent: none. */
  http: string | undefined
  /** `allow.send` asks for names, which are proved only by the finished record. */
  allowedByNames: boolean
  /** Parses the body where the rule needs it. @throws BatonError UNSUPPORTED_MEDIA_TYPE, INVALID_BODY */
  read(came: Omit<Draft, 'json'>): Draft
  /** The JWT in the body, undefined where that holds none: then a guest may not send. Absent: the session's principal sends. */
  token: ((draft: Draft) => string | undefined) | undefined
  /** @throws BatonError INVALID_BODY, with a JSON pointer to what does not hold. */
  validate(draft: Draft): void
  /**
   * The record, and the names by which it will be routed.
   * @throws BatonError INVALID_BODY, UNAUTHENTICATED when what a template asks for is not there.
   */
  stamp(draft: Draft, sender: Sender, now: Date): { record: OutgoingRecord; names: Record<string, string> }
}

export interface CompiledSend {
  rule: SendRule
  destination: Template
}

type SendConfig = NonNullable<RouteConfig['send']>

/** @param routeNames of the channel: each must be found in the record that is made. */
export function compileSend(
  send: SendConfig,
  { topic: { name: topic }, allow }: RouteConfig,
  routeNames: readonly string[],
  { attempt }: Faults
): CompiledSend | undefined {
  const destination = attempt('send.destination', () => compileTemplate(send.destination))
  if (!destination) return undefined
  const path = attempt('send.http', () => compilePath(send.http))
  /** Names that every way in gives. */
  const given = destination.names.filter(name => path?.names.includes(name) ?? true)
  const usable = <T extends { names: readonly string[] }>(compiled: T): T => {
    checkNames(compiled.names, given)
    return compiled
  }
  const body = attempt('send.body', () => send.body !== undefined && usable(compileProjection(send.body)))
  const set = attempt('send.set', () => send.set && usable(compileProjection(send.set)))
  const headers = attempt('send.headers', () => send.headers && usable(compileTexts(send.headers)))
  const keyText = send.key ?? (given.includes('key') ? '{key}' : undefined)
  const key = attempt('send.key', () => (keyText === undefined ? undefined : usable(compileText(keyText))))
  const token = attempt('send.token', () => (send.token === undefined ? undefined : compileText(send.token)))
  const validate = attempt('send.schema', () => (send.schema === undefined ? undefined : compileSchema(send.schema)))
  /** What the record is made of. */
  const asked = [body, set, headers, key].flatMap(part => (part ? part.names : []))
  if (token) attempt('send.token', () => checkNotRelayed(token.names, asked, send))
  const fromBody = [...asked.filter(name => !given.includes(name)), ...routeNames]
  const needsJson = Boolean(body || set || validate || token) || fromBody.some(isField)

  const rule: SendRule = {
    http: send.http,
    allowedByNames: JSON.stringify(Object.values(allow.send)).includes('{'),
    read: came => ({ ...came, json: needsJson ? parseBody(came.body, came.headers) : undefined }),
    token: token && (draft => jwtOf(token.render(name => field(draft.json, name)))),

    validate(draft) {
      const error = validate?.(draft.json)
      if (error) throw new BatonError('INVALID_BODY', error)
    },

    stamp(draft, sender, now) {
      const lookup = lookupOf(draft, sender, now, topic)
      requireAll(asked, lookup)
      const stamped = body || set ? stampJson(draft, lookup, body, set) : undefined
      const own = Object.entries(draft.headers).filter(([name]) => !isReservedHeader(name))
      const record = {
        topic,
        key: key?.render(lookup) ?? null,
        value: stamped?.bytes ?? draft.body,
        headers: Object.fromEntries([
          ...(stamped ? [['content-type', 'application/json']] : []),
          ...own,
          ...(headers ? headers.apply(lookup) : [])
        ]) as Record<string, string>
      }
      return { record, names: provenNames(record, stamped?.json ?? draft.json, routeNames, draft.names) }
    }
  }
  return { rule, destination }
}

/** A path as the router takes it: a segment is a literal or one name. */
function compilePath(http: string | undefined): Template | undefined {
  if (http === undefined) return undefined
  const path = http.slice(http.indexOf(' ') + 1)
  const segment = path.split('/').find(text => !/^(?:[^{}:*?#]*|\{[^{}+]+\})$/.test(text))
  if (segment !== undefined)
    throw new SyntaxError(`the segment "${segment}" must be a literal without : * ? #, or one {name}`)
  return compileTemplate(path)
}

function checkNames(names: readonly string[], given: readonly string[]): void {
  const foreign = names.find(name => name === 'partition' || (name === 'key' && !given.includes(name)))
  if (foreign !== undefined) throw new SyntaxError(`a SEND has no {${foreign}}, but where its destination names {key}`)
}

/** A token that came in the body must not go out to everyone. */
function checkNotRelayed(
  tokenNames: readonly string[],
  asked: readonly string[],
  { body, set = {} }: SendConfig
): void {
  for (const name of tokenNames) {
    if (!isField(name)) throw new SyntaxError(`{${name}} must be a field of the body`)
    const member = name.split('.')[0] as string
    const replaced = body !== undefined || Object.hasOwn(set, member)
    const copied = asked.some(other => other === member || other.startsWith(`${member}.`))
    if (!replaced || copied)
      throw new SyntaxError(`{${name}} would reach every client: put another ${member} in its place by set`)
  }
}

/** @returns what is wrong with a body, by JSON pointer, or undefined. */
function compileSchema(schema: object | boolean): (json: unknown) => string | undefined {
  const ajv = new Ajv({ strictTypes: false, strictRequired: false })
  formats.default(ajv)
  const validate = ajv.compile(schema)
  return json => {
    if (validate(json)) return undefined
    const [error] = validate.errors ?? []
    return `${error?.instancePath || 'the body'} ${error?.message}`
  }
}
