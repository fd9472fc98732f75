import { isUtf8 } from 'node:buffer'
import type { KafkaRecord } from '../ports.ts'
import { isRoutable, VALUE_BYTES } from '../template.ts'

/** Why no route can take a record. `detail` names what is missing or wrong, never a value. */
export class Unroutable extends Error {
  readonly code: UnroutableCode
  readonly detail: string

  constructor(code: UnroutableCode, detail: string) {
    super(`${code}: ${detail}`)
    this.name = 'Unroutable'
    this.code = code
    this.detail = detail
  }
}

export type UnroutableCode = 'NO_VALUE' | 'BAD_JSON' | 'MISSING_FIELD' | 'INVALID_FIELD' | 'VALUE_TOO_LONG'

export type PlacedRecord = KafkaRecord & { topic: string; partition: number }

/** What templates read of one record. Its value is parsed when the first name asks for a field, and only once. */
export interface RecordView {
  readonly record: PlacedRecord
  /** True once the value was read as JSON. */
  readonly parsed: boolean
  /** Undefined where the record has no such thing. @throws Unroutable when the value is no JSON, or key or header no UTF-8. */
  lookup(name: string): unknown
  /** As an address takes it. @throws Unroutable when it is missing, no scalar, empty or over 256 bytes. */
  routable(name: string): string
}

/**
 * @param json the value's content, where the caller has parsed it already.
 * @param exact keeps numbers that JavaScript cannot hold as they were written, for who writes JSON of them again.
 */
export function viewRecord(record: PlacedRecord, json?: unknown, exact = false): RecordView {
  let content = json
  // No getter: one of those in a literal costs more than all the rest of a view.
  const view = { record, parsed: json !== undefined, lookup, routable: (name: string) => routable(lookup(name), name) }
  return view

  function lookup(name: string): unknown {
    if (name === 'key') return record.key === null ? undefined : utf8(record.key, name)
    if (name === 'topic') return record.topic
    if (name === 'partition') return record.partition
    if (isHeader(name)) {
      const wanted = headerName(name)
      const header = record.headers.find(([candidate]) => candidate === wanted)
      return header && utf8(header[1], name)
    }
    if (!view.parsed) {
      content = parse(record.value, name, exact)
      view.parsed = true
    }
    return field(content, name)
  }
}

/** True for names that are read out of the JSON value. */
export function isField(name: string): boolean {
  return !['key', 'topic', 'partition', 'now', 'now.ms'].includes(name) && !isHeader(name) && !isClaim(name)
}

export const isHeader = (name: string): boolean => name.startsWith('headers.')
export const isClaim = (name: string): boolean => name.startsWith('principal.')
export const headerName = (name: string): string => name.slice('headers.'.length)

/** Passes what asks a record only for what it has. @throws SyntaxError */
export function onRecord<T extends { names: readonly string[] }>(compiled: T): T {
  const foreign = compiled.names.find(name => isClaim(name) || name === 'now' || name === 'now.ms')
  if (foreign === undefined) return compiled
  throw new SyntaxError(`a record has no {${foreign}}; it has fields, {key}, {headers.x}, {topic} and {partition}`)
}

/** The member of that name, or at that path of names with dots between. */
export function field(json: unknown, path: string): unknown {
  return path.includes('.') ? path.split('.').reduce(own, json) : own(json, path)
}

/** Own members only, so no name reaches what every object inherits. */
function own(value: unknown, member: string): unknown {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, member)) return undefined
  return (value as Record<string, unknown>)[member]
}

/** Not yet in TypeScript's types. */
const { rawJSON, isRawJSON } = JSON as unknown as {
  rawJSON(text: string): unknown
  isRawJSON(value: unknown): value is { rawJSON: string }
}

/** JSON whose numbers, where JavaScript cannot hold them, are kept as they were written. @throws SyntaxError, RangeError */
export function parseExactly(text: string): unknown {
  if (!/\d{16}|\d[eE]/.test(text)) return JSON.parse(text)
  const keep = (_: string, value: unknown, context?: { source: string }) =>
    typeof value === 'number' && context && String(value) !== context.source ? rawJSON(context.source) : value
  return JSON.parse(text, keep)
}

/** A scalar as text; undefined for anything else, and for an integer that JSON numbers cannot tell from its neighbours. */
export function scalarText(value: unknown): string | undefined {
  if (typeof value === 'string') return value
  if (typeof value === 'boolean') return String(value)
  const number = isRawJSON(value) ? Number(value.rawJSON) : value
  if (typeof number !== 'number') return undefined
  return Number.isSafeInteger(number) || !Number.isInteger(number) ? String(number) : undefined
}

/** A value as an address takes it. @throws Unroutable as `RecordView.routable`. */
export function routable(value: unknown, name: string): string {
  if (value === undefined || value === null || value === '')
    throw new Unroutable('MISSING_FIELD', `{${name}} is missing or empty`)
  const text = scalarText(value)
  if (text === undefined || !text.isWellFormed())
    throw new Unroutable('INVALID_FIELD', `{${name}} must be a string, a boolean or a number that JSON holds exactly`)
  if (!isRoutable(text)) throw new Unroutable('VALUE_TOO_LONG', `{${name}} is over ${VALUE_BYTES} bytes`)
  return text
}

function parse(value: Buffer | null, name: string, exact: boolean): unknown {
  if (value === null)
    throw new Unroutable('NO_VALUE', `the record has no value (a tombstone), the route needs {${name}}`)
  if (!isUtf8(value)) throw new Unroutable('BAD_JSON', `the value is not UTF-8, the route needs {${name}} of it`)
  try {
    return exact ? parseExactly(value.toString()) : JSON.parse(value.toString())
  } catch {
    // The parser's own message quotes the payload.
    throw new Unroutable('BAD_JSON', `the value is not JSON, the route needs {${name}} of it`)
  }
}

function utf8(bytes: Buffer, name: string): string {
  if (!isUtf8(bytes)) throw new Unroutable('INVALID_FIELD', `{${name}} is not UTF-8`)
  return bytes.toString()
}
