import type { SendConfig } from '../config/normalize.ts'
import { BatonError } from '../errors.ts'
import type { OutgoingRecord } from '../ports.ts'
import type { Faults } from './faults.ts'
import { isReservedHeader } from './headers.ts'
import { compilePartition } from './partition.ts'
import { compileProjection, compileText, compileTexts, type Lookup, type Text } from './projection.ts'
import { field, isField } from './record.ts'
import {
  type Draft,
  exactly,
  invalid,
  lookupOf,
  pointerTo,
  provenNames,
  requireAll,
  type Sender,
  tooDeep
} from './send-record.ts'

// How one SEND becomes a record, or with `forEach` one for each item of a list.

/** One of `send.produce`, or `send` itself. */
export interface RecordTemplate {
  topic: string
  /** Everything that the templates ask for. */
  asked: readonly string[]
  needsJson: boolean
  /** A member of the body goes into the record as it came. */
  keeps(member: string): boolean
  /** @throws BatonError INVALID_BODY, UNAUTHENTICATED when what a template asks for is not there. */
  stamp(draft: Draft, sender: Sender, now: Date): Iterable<Stamped>
}

export interface Stamped {
  record: OutgoingRecord
  /** Those by which it will be routed. */
  names: Record<string, string>
}

export interface RecordTemplateContext extends Pick<Faults, 'attempt'> {
  topic: string
  /** Where the settings are, such as `send.produce.0`. */
  at: string
  /** Names that every way in gives. */
  given: readonly string[]
  facts: TopicFacts
}

/** What all the routes say of one topic. */
export interface TopicFacts {
  /** The names by which its records become messages. */
  names: readonly string[]
  /** As declared. */
  partitions: number | undefined
}

type RecordConfig = Pick<SendConfig, 'forEach' | 'key' | 'partition' | 'value' | 'body' | 'set' | 'headers'>

/** What templates read of one item, and how a fault names it. */
interface Scope {
  lookup: Lookup
  pointer(name: string): string
}

const ITEM = /^item(?=\.|$)/

export function compileRecordTemplate(config: RecordConfig, context: RecordTemplateContext): RecordTemplate {
  const { topic, at, given, facts } = context
  const attempt = <T>(setting: string, compile: () => T) => context.attempt(`${at}.${setting}`, compile)
  const usable = <T extends { names: readonly string[] }>(compiled: T): T => {
    checkNames(compiled.names, given)
    return compiled
  }
  const { forEach } = config
  attempt('forEach', () => forEach !== undefined && checkField(forEach))
  const value = attempt('value', () => compileValue(config, usable))
  const body = attempt('body', () => (config.body === undefined ? undefined : usable(compileProjection(config.body))))
  const set = attempt('set', () => config.set && usable(compileProjection(config.set)))
  const headers = attempt('headers', () => config.headers && usable(compileTexts(config.headers)))
  const keyText = config.key ?? (given.includes('key') ? '{key}' : undefined)
  const key = attempt('key', () => (keyText === undefined ? undefined : usable(compileText(keyText))))
  const partition = attempt('partition', () => usable(compilePartition(config.partition, facts.partitions)))
  const asked = [...new Set([value, body, set, headers, key, partition].flatMap(part => part?.names ?? []))]
  const fromBody = [...asked.filter(name => !given.includes(name)), ...(value ? [] : facts.names)]

  /** What the destination says of where the record goes; a key of its own goes where it will. */
  const pinned = ({ key: named, ...names }: Draft['names']) =>
    config.key === undefined && named !== undefined ? { ...names, key: named } : names

  function contentOf(draft: Draft, { lookup, pointer }: Scope): { json: unknown; bytes: Buffer } {
    if (value) return { json: undefined, bytes: Buffer.from(textOf(value, lookup, pointer)) }
    if (!body && !set) return { json: draft.json, bytes: draft.body }
    const base = body ? body.apply(lookup) : draft.json
    if (set && (typeof base !== 'object' || base === null || Array.isArray(base))) {
      throw new BatonError('INVALID_BODY', 'the body must be a JSON object')
    }
    const json = set ? { ...(base as object), ...(set.apply(lookup) as object) } : base
    try {
      return { json, bytes: Buffer.from(JSON.stringify(json)) }
    } catch {
      throw tooDeep()
    }
  }

  return {
    topic,
    asked,
    needsJson: Boolean(body || set || forEach) || fromBody.some(isField),
    keeps: member => !value && !body && !Object.hasOwn(config.set ?? {}, member),

    *stamp(came, sender, now) {
      const draft = body || set ? { ...came, json: exactly(came) } : came
      const lookup = lookupOf(draft, sender, now, topic)
      for (const scope of scopesOf(draft, lookup, forEach)) {
        requireAll(asked, scope.lookup, scope.pointer)
        const { json, bytes } = contentOf(draft, scope)
        const own = Object.entries(draft.headers).filter(
          ([name]) => !isReservedHeader(name) && !(value && name === 'content-type')
        )
        const chosen = partition?.choose(scope.lookup, scope.pointer)
        const record: OutgoingRecord = {
          topic,
          key: key ? textOf(key, scope.lookup, scope.pointer) : null,
          ...(chosen !== undefined && { partition: chosen }),
          value: bytes,
          headers: Object.fromEntries([
            ...(body || set ? [['content-type', 'application/json']] : []),
            ...own,
            ...(headers ? headers.apply(scope.lookup) : [])
          ]) as Record<string, string>
        }
        yield { record, names: provenNames(record, json, facts.names, pinned(draft.names)) }
      }
    }
  }
}

function compileValue(
  { value, body, set }: RecordConfig,
  usable: <T extends { names: readonly string[] }>(compiled: T) => T
): Text | undefined {
  if (value === undefined) return undefined
  if (body !== undefined || set !== undefined)
    throw new SyntaxError('stands in place of body and set: take one of them')
  return usable(compileText(value))
}

function checkField(path: string): void {
  if (!isField(path)) throw new SyntaxError(`${path} must be a field of the body that holds a list`)
}

/** @throws SyntaxError for a name that a SEND never has. */
export function checkNames(names: readonly string[], given: readonly string[]): void {
  const foreign = names.find(name => name === 'partition' || (name === 'key' && !given.includes(name)))
  if (foreign !== undefined) throw new SyntaxError(`a SEND has no {${foreign}}, but where its destination names {key}`)
}

function* scopesOf({ json }: Draft, lookup: Lookup, forEach: string | undefined): Iterable<Scope> {
  if (forEach === undefined) return yield { lookup, pointer: pointerTo }
  const items = field(json, forEach)
  if (!Array.isArray(items) || items.length === 0)
    throw invalid(pointerTo(forEach), 'must be a list with an item at least: each becomes a record')
  for (const [index, item] of items.entries()) {
    const at = `${pointerTo(forEach)}/${index}`
    yield {
      lookup: name =>
        name === 'item' ? item : ITEM.test(name) ? field(item, name.slice('item.'.length)) : lookup(name),
      pointer: name => (ITEM.test(name) ? `${at}${pointerTo(name).slice('/item'.length)}` : pointerTo(name))
    }
  }
}

function textOf(text: Text, lookup: Lookup, pointer: Scope['pointer']): string {
  const rendered = text.render(lookup)
  if (rendered !== undefined) return rendered
  const wrong = text.names.find(name => compileText(`{${name}}`).render(lookup) === undefined) as string
  throw invalid(pointer(wrong), 'must be text, a boolean, or a number that JSON holds exactly')
}
