import { isUtf8 } from 'node:buffer'
import { BatonError } from '../errors.ts'
import type { OutgoingRecord } from '../ports.ts'
import type { Lookup } from './projection.ts'
import { field, headerName, isClaim, isField, isHeader, parseExactly, Unroutable, viewRecord } from './record.ts'

// The steps by which a SEND becomes a record. No message here quotes a body.

/** What a SEND or a POST brings. */
export interface Draft {
  /** From the destination or the path. */
  names: Record<string, string>
  body: Buffer
  headers: Record<string, string>
  /** The body as JSON; undefined where the rule passes bytes through. */
  json: unknown
}

/** What templates read of who sends. */
export interface Sender {
  /** '' where there is none. */
  name: string
  claims: Readonly<Record<string, unknown>>
}

/** @throws BatonError UNSUPPORTED_MEDIA_TYPE, INVALID_BODY */
export function parseBody(body: Buffer, headers: Readonly<Record<string, string>>): unknown {
  const type = headers['content-type']
  if (type !== undefined && !/^application\/(?:[\w.+-]+\+)?json\s*(?:;|$)/i.test(type.trim())) {
    throw new BatonError(
      'UNSUPPORTED_MEDIA_TYPE',
      'this destination takes JSON: send content-type application/json, or none'
    )
  }
  if (!isUtf8(body)) throw new BatonError('INVALID_BODY', 'the body must be JSON in UTF-8')
  try {
    return JSON.parse(body.toString())
  } catch {
    throw new BatonError('INVALID_BODY', 'the body must be JSON')
  }
}

/** What a JWT looks like (RFC 7519 §3); anything else in its place is no token. */
export function jwtOf(text: string | undefined): string | undefined {
  return text !== undefined && /^[\w-]+\.[\w-]+\.[\w-]+$/.test(text) ? text : undefined
}

/** What templates of `send` read. Names of the destination come before fields of the body. */
export function lookupOf(draft: Draft, { name: senderName, claims }: Sender, now: Date, topic: string): Lookup {
  return name => {
    if (Object.hasOwn(draft.names, name)) return draft.names[name]
    if (name === 'now') return now.toISOString()
    if (name === 'now.ms') return now.getTime()
    if (name === 'topic') return topic
    if (name === 'principal.name') return senderName || undefined
    if (isClaim(name)) return field(claims, name.slice('principal.'.length))
    if (isHeader(name))
      return Object.hasOwn(draft.headers, headerName(name)) ? draft.headers[headerName(name)] : undefined
    return field(draft.json, name)
  }
}

/** The JSON pointer (RFC 6901) to what a name reads. */
export const pointerTo = (name: string): string => `/${name.replaceAll('.', '/')}`

/** @param pointer of the member (RFC 6901), which a client gets apart from the detail too. */
export function invalid(pointer: string, what: string): BatonError {
  return new BatonError('INVALID_BODY', `${pointer} ${what}`, { extra: { pointer } })
}

/** @throws BatonError UNAUTHENTICATED for a claim, INVALID_BODY for anything else that is not there. */
export function requireAll(names: readonly string[], lookup: Lookup, pointer: (name: string) => string): void {
  const missing = names.find(name => lookup(name) === undefined)
  if (missing === undefined) return
  if (isClaim(missing)) {
    throw new BatonError(
      'UNAUTHENTICATED',
      `this destination needs a credential with the claim ${missing.slice('principal.'.length)}`
    )
  }
  if (isHeader(missing)) throw new BatonError('INVALID_BODY', `the header ${headerName(missing)} is missing`)
  throw invalid(pointer(missing), 'is missing')
}

/**
 * The names of the finished record, as the relay will read them.
 * @throws BatonError INVALID_BODY when it could not be routed, or not to where it was sent.
 */
export function provenNames(
  { topic, key, value, headers }: OutgoingRecord,
  json: unknown,
  routeNames: readonly string[],
  given: Record<string, string>
): Record<string, string> {
  const view = viewRecord(
    {
      ...{ topic, partition: 0, offset: 0, timestampMs: 0, value },
      key: typeof key === 'string' ? Buffer.from(key) : key,
      headers: Object.entries(headers).map(([name, text]) => [name, Buffer.from(text)])
    },
    json
  )
  // Kafka chooses the partition later.
  const names = routeNames
    .filter(name => name !== 'partition')
    .map(name => [name, asInvalid(name, () => view.routable(name))] as const)
  const other = names.find(([name, value]) => Object.hasOwn(given, name) && given[name] !== value)
  if (other) throw invalid(pointerTo(other[0]), 'is not that of the destination')
  return Object.fromEntries(names)
}

/** @throws BatonError INVALID_BODY for what would be unroutable in a record. */
export function asInvalid<T>(name: string, read: () => T): T {
  try {
    return read()
  } catch (error) {
    if (error instanceof Unroutable)
      throw new BatonError('INVALID_BODY', error.detail, isField(name) ? { extra: { pointer: pointerTo(name) } } : {})
    throw error
  }
}

/** The body's JSON again, with every number as it was written. @throws BatonError INVALID_BODY */
export function exactly({ body }: Draft): unknown {
  try {
    return parseExactly(body.toString())
  } catch {
    throw tooDeep()
  }
}

/** Parsed without a word, but too deep for whatever walks over it. */
export function tooDeep(): BatonError {
  return new BatonError('INVALID_BODY', 'the body is nested too deeply')
}
