import { Ajv, type ErrorObject } from 'ajv'
import { Settings } from './settings.ts'

/** Something wrong at a path of the configuration, such as `routes.chat.channel`; '' is the whole of it. */
export interface Fault {
  path: string
  /** What is wrong, and what is allowed. */
  message: string
}

/** Every fault of a configuration: each says where, what is wrong and what is allowed. */
export class ConfigError extends Error {
  readonly faults: readonly string[]

  constructor(faults: readonly string[]) {
    super(`the configuration does not hold:\n${faults.map(fault => `  ${fault}`).join('\n')}`)
    this.name = 'ConfigError'
    this.faults = faults
  }
}

/** Holds `settings` against the schema, and fills in the defaults. */
export function schemaFaults(settings: Record<string, unknown>): Fault[] {
  const ajv = new Ajv({ allErrors: true, useDefaults: true, verbose: true, strictTypes: false })
  ajv.addVocabulary(['allowed'])
  const validate = ajv.compile(Settings)
  validate(settings)
  const faults = telling(validate.errors ?? []).map(error => ({ path: pathOf(error), message: messageOf(error) }))
  return faults.filter(
    ({ path, message }, at) => faults.findIndex(f => f.path === path && f.message === message) === at
  )
}

/** The candidate that `word` most likely was meant to be, as a question; '' where none is near. */
export function didYouMean(word: string, candidates: Iterable<string>): string {
  const near = [...candidates]
    .map(candidate => ({ candidate, distance: distance(word.toLowerCase(), candidate.toLowerCase()) }))
    .filter(({ distance }) => distance <= Math.max(2, word.length / 4))
    .sort((a, b) => a.distance - b.distance)[0]
  return near ? `, did you mean ${near.candidate}?` : ''
}

/** Of a setting with several shapes, the faults within the object it is; else the one that says which shapes there are. */
function telling(errors: ErrorObject[]): ErrorObject[] {
  const unions = errors.filter(({ keyword }) => keyword === 'anyOf')
  const within = ({ schemaPath, instancePath }: ErrorObject, union: ErrorObject) =>
    schemaPath.startsWith(`${union.schemaPath}/`) && `${instancePath}/`.startsWith(`${union.instancePath}/`)
  const isDeep = (error: ErrorObject, union: ErrorObject) =>
    within(error, union) &&
    (error.instancePath !== union.instancePath ||
      error.keyword === 'additionalProperties' ||
      error.keyword === 'required')
  return errors.filter(error => {
    if (unions.some(union => within(error, union) && !isDeep(error, union))) return false
    return error.keyword !== 'anyOf' || !errors.some(other => isDeep(other, error))
  })
}

function pathOf({ instancePath, keyword, params }: ErrorObject): string {
  const path = instancePath
    .split('/')
    .slice(1)
    .map(part => part.replaceAll('~1', '/').replaceAll('~0', '~'))
  if (keyword === 'additionalProperties') path.push(params['additionalProperty'])
  return path.join('.')
}

function messageOf({ keyword, params, parentSchema, message, data }: ErrorObject): string {
  const schema = (parentSchema ?? {}) as { allowed?: string; properties?: object }
  switch (keyword) {
    case 'additionalProperties': {
      const known = Object.keys(schema.properties ?? {})
      if (known.length === 0) return 'is not a name: letters, digits, - and _, a letter first'
      return `is not a setting${didYouMean(params['additionalProperty'], known)} Allowed: ${known.join(', ')}`
    }
    case 'required':
      return `${params['missingProperty']} is missing`
    case 'enum':
      return `must be one of ${params['allowedValues'].join(', ')}`
    case 'type':
      return `must be ${schema.allowed ?? article(params['type'])}, is ${kindOf(data)}`
    case 'anyOf':
    case 'pattern':
      return `must be ${schema.allowed}`
    default:
      return message as string
  }
}

const article = (noun: string) => `${/^[aeiou]/.test(noun) ? 'an' : 'a'} ${noun}`

function kindOf(data: unknown): string {
  return data === null ? 'empty' : Array.isArray(data) ? 'an array' : article(typeof data)
}

/** Levenshtein. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const swap = (row[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1)
      next.push(Math.min(swap, (row[j] as number) + 1, (next[j - 1] as number) + 1))
    }
    row = next
  }
  return row[b.length] as number
}
