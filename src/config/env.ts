import { readFileSync } from 'node:fs'
import type { TSchema } from 'typebox'
import { parse } from 'yaml'
import { didYouMean } from './faults.ts'
import { Settings } from './settings.ts'

// `http.maxBodyBytes` is BATON_HTTP_MAX_BODY_BYTES, or BATON_HTTP_MAX_BODY_BYTES_FILE for a file that holds the value.
// Text settings are taken as they are; lists may be written a,b; anything else is YAML, of which JSON is a part.

export type Environment = Readonly<Record<string, string | undefined>>

/** A setting that a variable can hold. */
export interface Variable {
  name: string
  path: string
  schema: Schema
}

type Schema = TSchema & {
  type?: string
  enum?: unknown[]
  items?: Schema
  anyOf?: Schema[]
  properties?: Record<string, Schema>
}

/** Variables of the test runner and of tools, none of them settings. */
const NOT_OURS = /^BATON_(?:TEST_|CACHE$)/
/** What Kubernetes sets in every container for a service whose name begins with "baton". */
const KUBERNETES_NAME = /_SERVICE_(?:HOST|PORT)(?:_|$)|_PORT_\d+_(?:TCP|UDP)/
const KUBERNETES_PORT = /^(?:tcp|udp):\/\//

/** Every setting that has a variable, outer ones first. */
export function variables(schema: TSchema = Settings, path: string[] = []): Variable[] {
  const { properties, anyOf } = schema as Schema
  const members = Object.entries(properties ?? {}).flatMap(([name, member]) => variables(member, [...path, name]))
  if (properties) return members
  const words = path.map(word => word.replace(/[A-Z]/g, '_$&').toUpperCase())
  const own = { name: `BATON_${words.join('_')}`, path: path.join('.'), schema: schema as Schema }
  const objects = (anyOf ?? []).filter(member => member.properties)
  return [own, ...objects.flatMap(member => variables(member, path))]
}

/** Puts the variables into `settings`. @returns which settings they are, and what is wrong with the names or with their text. */
export function applyEnvironment(
  settings: Record<string, unknown>,
  env: Environment
): { variables: Variable[]; faults: string[] } {
  const known = new Map(variables().map(variable => [variable.name, variable]))
  const applied: Variable[] = []
  const faults: string[] = []
  const order = [...known.keys()]
  const given = Object.entries(env)
    .filter(([name, text]) => name.startsWith('BATON_') && text && !isForeign(name, text))
    .map(([name, text]) => ({
      name,
      text: text as string,
      setting: known.has(name) ? name : name.replace(/_FILE$/, '')
    }))
    .sort((a, b) => order.indexOf(a.setting) - order.indexOf(b.setting))

  for (const { name, text, setting } of given) {
    const variable = known.get(setting)
    if (!variable) {
      faults.push(`${name}: is not a setting${didYouMean(name, known.keys())}`)
    } else if (name !== setting && env[setting]) {
      faults.push(`${name}: ${setting} is set too; leave one of them`)
    } else {
      try {
        put(settings, variable.path.split('.'), read(variable.schema, name === setting ? text : fileText(text)))
        applied.push({ ...variable, name })
      } catch (error) {
        faults.push(`${name}: ${(error as Error).message}`)
      }
    }
  }
  return { variables: applied, faults }
}

function isForeign(name: string, text: string): boolean {
  return NOT_OURS.test(name) || KUBERNETES_NAME.test(name) || (name.endsWith('_PORT') && KUBERNETES_PORT.test(text))
}

function fileText(file: string): string {
  try {
    return readFileSync(file, 'utf8').replace(/\r?\n$/, '')
  } catch (error) {
    throw new Error(`cannot be read: ${(error as Error).message}`)
  }
}

function read(schema: Schema, text: string): unknown {
  if (schema.type === 'string' || schema.enum) return text
  const items = schema.type === 'array' ? schema.items : undefined
  if ((items?.type === 'string' || items?.enum) && !/^\s*(?:\[|- )/.test(text)) {
    return text.split(',').map(item => item.trim())
  }
  try {
    return parse(text)
  } catch {
    // The parser's own message quotes the text, which may be a secret.
    throw new Error('is neither YAML nor JSON')
  }
}

function put(settings: Record<string, unknown>, [name, ...rest]: string[], value: unknown): void {
  const key = name as string
  if (rest.length === 0) {
    settings[key] = value
    return
  }
  const inner = settings[key]
  const isObject = typeof inner === 'object' && inner !== null && !Array.isArray(inner)
  const object = isObject ? (inner as Record<string, unknown>) : {}
  settings[key] = object
  put(object, rest, value)
}
