import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { describe, test } from 'node:test'

const SRC = join(import.meta.dirname, '../../src')
const FILES = globSync('**/*.ts', { cwd: SRC })
const ENDS = ['kafka', 'redis', 'memory', 'stomp', 'http']

// From the top down. A folder of the same name belongs to the root file, so `config/schema.ts` is part of `config`.
const LAYERS = [
  ['main'],
  ['gateway', 'check'],
  ENDS,
  [
    'relay',
    'owner',
    'chunks',
    'incarnation',
    'hub',
    'channel',
    'known',
    'replay',
    'refill',
    'proof',
    'inbound',
    'replies',
    'revocations'
  ],
  ['routes', 'topics', 'template', 'rates', 'auth'],
  ['message', 'reply', 'network', 'ports', 'errors', 'nesting', 'metrics', 'config']
]

/** The end or the root file's name that a path under src belongs to. */
function partOf(file: string): string {
  const [first = '', ...rest] = file.split('/')
  if (rest.length > 0) return first
  return first.slice(0, -'.ts'.length)
}

function layerOf(file: string): number {
  const layer = LAYERS.findIndex(parts => parts.includes(partOf(file)))
  assert.notEqual(layer, -1, `src/${file} has no layer: put it where it belongs in LAYERS of this test`)
  return layer
}

const STATEMENT =
  /^(?:import|export)\b(?<type> type\b)?[^'=(]*?'(?<specifier>\.[^']*)'|\bimport\('(?<dynamic>\.[^']*)'\)/gm

interface Import {
  target: string
  /** Erased before the program runs. */
  typeOnly: boolean
}

/** What a file imports from src. */
function importsOf(file: string): Import[] {
  const statements = readFileSync(join(SRC, file), 'utf8').matchAll(STATEMENT)
  return [...statements].map(({ groups = {} }) => ({
    target: normalize(join(dirname(file), groups['specifier'] ?? groups['dynamic'] ?? '')),
    typeOnly: groups['type'] !== undefined
  }))
}

const IMPORTS = new Map(FILES.map(file => [file, importsOf(file)]))

/** Each import that is as it should not be, as `from → to`. */
function faults(isFault: (file: string, target: string) => boolean): string[] {
  return [...IMPORTS].flatMap(([file, imports]) =>
    imports
      .filter(({ target }) => target.endsWith('.ts') && isFault(file, target))
      .map(({ target }) => `${file} → ${target}`)
  )
}

describe('imports point down', () => {
  test('every file of src has a layer', () => {
    assert.ok(FILES.length > 0)
    for (const file of FILES) layerOf(file)
  })

  test('no file imports from a layer above its own, not even a type', () => {
    assert.deepEqual(
      faults((file, target) => layerOf(target) < layerOf(file)),
      []
    )
  })

  test('no end imports from another, not even a type', () => {
    const isEnd = (file: string) => ENDS.includes(partOf(file))
    assert.deepEqual(
      faults((file, target) => isEnd(file) && isEnd(target) && partOf(file) !== partOf(target)),
      []
    )
  })

  test('no files load each other in a circle', () => {
    const circles: string[] = []
    const done = new Set<string>()
    const visit = (file: string, path: string[]) => {
      const start = path.indexOf(file)
      if (start >= 0) circles.push([...path.slice(start), file].join(' → '))
      if (start >= 0 || done.has(file)) return
      for (const { target, typeOnly } of IMPORTS.get(file) ?? []) if (!typeOnly) visit(target, [...path, file])
      done.add(file)
    }
    for (const file of FILES) visit(file, [])
    assert.deepEqual(circles, [])
  })
})
