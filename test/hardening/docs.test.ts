import assert from 'node:assert/strict'
import { existsSync, globSync, readFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { parse } from 'yaml'
import { variables } from '../../src/config/env.ts'
import { Settings } from '../../src/config/settings.ts'
import { ERRORS, type ErrorCode } from '../../src/errors.ts'
import { createMetrics } from '../../src/metrics.ts'
import { scenarios } from '../faults/catalog.ts'
import type { Scenario } from '../faults/scenario.ts'
import { type Baton, startBaton } from '../support/baton.ts'
import { launch } from '../support/processes.ts'
import { faultsOf } from '../unit/config-of.ts'

const ROOT = join(import.meta.dirname, '../..')
const FILES = globSync('{*.md,docs/**/*.md,src/stomp/*.md}', { cwd: ROOT })
const SNIPPET_DEADLINE_MS = 10_000

const read = (file: string) => readFileSync(join(ROOT, file), 'utf8')

/** The part of a document below a heading, up to the next one that is as high. */
function section(file: string, heading: string): string {
  const level = heading.split(' ')[0] as string
  const text = read(file).split(`\n${heading}\n`)[1]
  assert.ok(text !== undefined, `${file} has no "${heading}"`)
  return text.split(`\n${level} `)[0] as string
}

/** The rows of the tables that name something in their first cell, without the code marks of cells. */
function rows(markdown: string): string[][] {
  const lines = markdown.match(/^\| *`.*\|$/gm) ?? []
  return lines.map(line =>
    line
      .slice(1, -1)
      .split('|')
      .map(cell => cell.trim().replace(/^`(.*)`$/, '$1'))
  )
}

function blocks(file: string, language: string): string[] {
  return [...read(file).matchAll(new RegExp(`^\`\`\`${language}\\n([^]*?)^\`\`\`$`, 'gm'))].map(
    ([, text]) => text as string
  )
}

interface Schema {
  description?: string
  default?: unknown
  properties?: Record<string, Schema>
  patternProperties?: Record<string, Schema>
  items?: Schema
  anyOf?: Schema[]
}

const VARIABLES = new Map(variables().map(({ path, name }) => [path, name]))

/** Every setting as the table of docs/operating.md must have it: path, variable, default, meaning. */
function settings(schema: Schema, path = ''): string[][] {
  const { properties, patternProperties = {}, items, anyOf = [] } = schema
  const inner = (name: string) => (path === '' ? name : `${path}.${name}`)
  const members = Object.entries(properties ?? {}).flatMap(([name, member]) => settings(member, inner(name)))
  if (properties) return members
  const byDefault = schema.default === undefined ? '' : JSON.stringify(schema.default)
  const own = [path, VARIABLES.get(path) ?? '', byDefault, schema.description ?? '']
  const within = [
    ...anyOf.filter(member => member.properties).flatMap(member => settings(member, path)),
    ...(items?.properties ? settings(items, `${path}.*`) : []),
    ...Object.values(patternProperties).flatMap(value => (value.properties ? settings(value, inner('*')) : []))
  ]
  return [own, ...within]
}

describe('the documents', () => {
  test('name every setting with its variable, default and meaning', () => {
    assert.deepEqual(rows(section('docs/operating.md', '## Settings')).sort(), settings(Settings as Schema).sort())
  })

  test('name every metric with its type, labels and meaning', () => {
    const { registry } = createMetrics()
    const metrics = registry.getMetricsAsArray() as unknown as Record<
      'name' | 'type' | 'help' | 'labelNames',
      unknown
    >[]
    assert.deepEqual(
      rows(section('docs/operating.md', '## Metrics')),
      metrics.map(({ name, type, labelNames, help }) => [name, type, String(labelNames).replaceAll(',', ', '), help])
    )
  })

  test('name every error code with its title, close code, status and when to try again', () => {
    const told = rows(read('docs/errors.md'))
    assert.deepEqual(
      told.map(row => row.slice(0, 5)),
      Object.entries(ERRORS).map(([code, { title, close, status, retryAfterS }]) => [
        ...[code, title, `${close}`, `${status}`, retryAfterS === undefined ? '' : `${retryAfterS} s`]
      ])
    )
    for (const [code, , , , , meaning = ''] of told) assert.ok(meaning.length > 10, `${code} is not explained`)
  })

  test('say of every limit its default, its code, its metric, when to come back and the test that shows it', () => {
    const told = rows(section('docs/operating.md', '## Limits'))
    const known = new Map(settings(Settings as Schema).map(([path, , byDefault]) => [path, byDefault]))
    const metrics = new Set(
      createMetrics()
        .registry.getMetricsAsArray()
        .map(({ name }) => name)
    )
    for (const [setting = '', byDefault, code = '', metric = '', again, shown = ''] of told) {
      assert.equal(byDefault, known.get(setting), setting)
      assert.match(shown, /^`test\/.*\.test\.ts`: /)
      if (setting === 'stomp.maxPendingFrames') continue
      const row = ERRORS[code as ErrorCode]
      assert.equal(again, row?.retryAfterS === undefined ? 'no' : `${row.retryAfterS} s`, `${setting} ${code}`)
      assert.ok(metrics.has(metric), metric)
    }
    const others = ['http.port', 'stomp.flushMs', 'stomp.heartBeatMs']
    const numbers = [...known].filter(
      ([path, byDefault]) => /^(?:http|stomp)\./.test(path ?? '') && /^\d/.test(byDefault ?? '')
    )
    const untold = numbers.map(([path]) => path as string).filter(path => !told.some(([setting]) => setting === path))
    assert.deepEqual(untold.sort(), others)
  })

  test('say of every dependency why it is there', () => {
    const { dependencies, devDependencies } = JSON.parse(read('package.json'))
    const told = rows(section('CONTRIBUTING.md', '## Dependencies'))
    assert.deepEqual(
      told.map(([name]) => name),
      [...Object.keys(dependencies), ...Object.keys(devDependencies)]
    )
    for (const [name, reason = ''] of told) assert.ok(reason.length > 10, `${name} has no reason`)
  })

  test('link to files and headings that are there', () => {
    const slug = (heading: string) =>
      heading
        .toLowerCase()
        .replace(/[^\w -]/g, '')
        .replaceAll(' ', '-')
    for (const file of FILES) {
      for (const [, link = ''] of read(file).matchAll(/\]\(((?!\w+:)[^)]+)\)/g)) {
        const [path, anchor] = link.split('#') as [string, string?]
        const target = path === '' ? file : join(dirname(file), path)
        assert.ok(existsSync(join(ROOT, target)), `${file} links to ${link}`)
        const headings = [...read(target).matchAll(/^#+ (.*)$/gm)].map(([, heading]) => slug(heading as string))
        assert.ok(anchor === undefined || headings.includes(anchor), `${file} links to ${link}`)
      }
    }
  })

  test('name tests that are there', () => {
    const named = FILES.flatMap(file => [...read(file).matchAll(/\| `(test\/\S+\.test\.ts)`: (.+) \|$/gm)])
    assert.ok(named.length > 15)
    for (const [row, file = '', words = ''] of named) assert.ok(read(file).includes(words), row)
  })

  test('say of each control which test shows it', () => {
    const lines = section('SECURITY.md', '## What stops what').match(/^\| (?!Way in|---).*$/gm) ?? []
    assert.ok(lines.length > 30)
    for (const line of lines) {
      const [, file = '', words = ''] = /\| `(test\/\S+\.ts)`: (.+) \|$/.exec(line) ?? []
      assert.ok(existsSync(join(ROOT, file)) && file !== '' && read(file).includes(words), line)
    }
  })

  test('say of every fault scenario what happens and what is expected', () => {
    const all = 'Every client has every record, once and in order, and is told of no gap.'
    const expected = ({ expects }: Scenario) =>
      expects.startsWith(all) ? expects.slice(all.length).trim() : `Instead: ${expects}`
    assert.deepEqual(
      rows(section('docs/guarantees.md', '## The scenarios')),
      scenarios.map(scenario => [scenario.name, scenario.about, expected(scenario)])
    )
    const promises = rows(section('docs/guarantees.md', '## What holds').replace(/^\| [^|]+ \|/gm, '|'))
    const named = promises.flat().flatMap(cell => cell.split('`, `'))
    assert.ok(named.length > 40)
    for (const name of named)
      assert.ok(scenarios.some(scenario => scenario.name === name) || existsSync(join(ROOT, name)), name)
  })

  test('hold examples of configurations that are valid', () => {
    const examples = FILES.flatMap(file => blocks(file, 'yaml').map(text => ({ file, text })))
    assert.ok(examples.length > 5)
    for (const { file, text } of examples) assert.deepEqual(faultsOf(text), [], `${file}:\n${text}`)
  })

  test('show of each preset what is in it', () => {
    for (const page of globSync('docs/presets/*.md', { cwd: ROOT })) {
      const [shown = ''] = blocks(page, 'yaml')
      const preset = parse(read(`config/presets/${basename(page, '.md')}.yaml`))
      assert.partialDeepStrictEqual(preset.routes, parse(shown).routes, page)
    }
  })
})

describe('the clients in docs/stomp.md', () => {
  let baton: Baton
  before(async () => {
    baton = await startBaton()
  })
  after(() => baton.stop())

  for (const [index, code] of blocks('docs/stomp.md', 'js').entries()) {
    test(`number ${index + 1} sends a message and gets it`, async () => {
      const resume = pathToFileURL(join(ROOT, 'src/http/console/resume.js')).href
      const program = code.replaceAll('ws://127.0.0.1:8080/ws', baton.wsUrl).replaceAll('./resume.js', resume)
      const client = launch({ command: process.execPath, args: ['--input-type=module', '-e', program], cwd: ROOT })
      await client.match(/hello/, SNIPPET_DEADLINE_MS)
      assert.doesNotMatch(client.output, /Error|refused/)
      await client.stop()
    })
  }
})
