import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { isMap, isNode, LineCounter, parseDocument } from 'yaml'
import { crossFaults } from './config/cross.ts'
import { applyEnvironment, type Environment } from './config/env.ts'
import { ConfigError, type Fault, schemaFaults } from './config/faults.ts'
import { type Config, normalize } from './config/normalize.ts'
import type { Settings } from './config/settings.ts'
import { isDeeperThan } from './nesting.ts'

// File, then environment, then defaults. Every fault is found before any is told.

export { type Config, ConfigError }

/** Read when no file is named: everything in memory, the routes of the console. */
const DEFAULT_FILE = fileURLToPath(new URL('../config/default.yaml', import.meta.url))

const DEEPEST = 100

export interface LoadOptions {
  file?: string | undefined
  /** `BATON_*` override the file; nothing else of it is read. */
  env: Environment
  /** Faults that only other rooms can see, such as `checkRoutes`; asked once the settings themselves hold. */
  check?: (config: Config) => Fault[]
}

/** The whole configuration, deep-frozen, with every default filled in. @throws ConfigError with every fault. */
export function loadConfig({ file = DEFAULT_FILE, env, check }: LoadOptions): Config {
  const { settings, lineOf, faults: syntax } = readYaml(file)
  if (syntax.length > 0) throw new ConfigError(syntax)
  const { variables, faults } = applyEnvironment(settings, env)

  const where = ({ path, message }: Fault): string => {
    const variable = variables.find(({ path: set }) => path === set || path.startsWith(`${set}.`))?.name
    const line = lineOf(path)
    const place = variable === undefined ? `${file}${line === undefined ? '' : `:${line}`}` : variable
    return `${place}: ${path === '' ? '' : `${path}: `}${message}`
  }
  const stopAt = (found: Fault[]) => {
    if (faults.length + found.length > 0) throw new ConfigError([...faults, ...found.map(where)])
  }

  if (isDeeperThan(DEEPEST, settings)) stopAt([{ path: '', message: `is nested deeper than ${DEEPEST} levels` }])
  const shape = schemaFaults(settings)
  if (shape.length > 0) stopAt(shape)
  const config = normalize(settings as Settings)
  stopAt([...crossFaults(config), ...(check?.(config) ?? [])])
  return deepFreeze(config)
}

interface Yaml {
  settings: Record<string, unknown>
  /** The line of a path, or of the nearest thing around it that the file holds. */
  lineOf(path: string): number | undefined
  faults: string[]
}

function readYaml(file: string): Yaml {
  const nothing = { settings: {}, lineOf: () => undefined }
  let source: string
  try {
    source = readFileSync(file, 'utf8')
  } catch (error) {
    return { ...nothing, faults: [`${file}: cannot be read: ${(error as Error).message}`] }
  }
  const counter = new LineCounter()
  const document = parseDocument(source, { lineCounter: counter, prettyErrors: false, logLevel: 'error' })
  if (document.errors.length > 0) {
    const faults = document.errors.map(({ pos, message }) => `${file}:${counter.linePos(pos[0]).line}: ${message}`)
    return { ...nothing, faults }
  }
  let settings: unknown
  try {
    settings = document.toJS() ?? {}
  } catch (error) {
    // Of aliases: of nothing, or of so much that it would fill the memory.
    return { ...nothing, faults: [`${file}: ${(error as Error).message}`] }
  }
  if (typeof settings !== 'object' || Array.isArray(settings))
    return { ...nothing, faults: [`${file}: must be an object of settings, such as "http: { port: 8080 }"`] }
  return {
    settings: settings as Record<string, unknown>,
    faults: [],
    lineOf(path) {
      for (let keys = path.split('.'); keys.length > 0; keys = keys.slice(0, -1)) {
        const around = keys.length > 1 ? document.getIn(keys.slice(0, -1), true) : document.contents
        const key = isMap(around) && around.items.find(pair => String(pair.key) === keys.at(-1))?.key
        const node = isNode(key) ? key : document.getIn(keys, true)
        if (isNode(node) && node.range) return counter.linePos(node.range[0]).line
      }
      return undefined
    }
  }
}

function deepFreeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null) return value
  for (const member of Object.values(value)) deepFreeze(member)
  return Object.freeze(value)
}
