import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { describe, test } from 'node:test'

const ROOT = join(import.meta.dirname, '../..')
const MAX_LINES = 250
const UNTRACKED = ['node_modules', '.git', '.cache', 'coverage']
const TEXT = /\.(?:ts|js|json|ya?ml|md|html|css|lua|xml|sh|conf)$|(?:Dockerfile|LICENSE|\.ci\/run|ignore)$/

const read = (file: string) => readFileSync(join(ROOT, file), 'utf8')
const glob = (...patterns: string[]) => globSync(patterns, { cwd: ROOT })
const src = glob('src/**/*.ts')
const tests = glob('test/**/*.ts')

/** The files among these that hold a match, with the match. */
function holding(files: string[], pattern: RegExp): string[] {
  return files.flatMap(file => {
    const match = pattern.exec(read(file))
    return match ? [`${file}: ${match[0]}`] : []
  })
}

describe('the house', () => {
  test(`no source file is longer than ${MAX_LINES} lines`, () => {
    const lines = (file: string) => read(file).split('\n').length - 1
    assert.deepEqual(
      src.filter(file => lines(file) > MAX_LINES).map(file => `${file}: ${lines(file)}`),
      []
    )
  })

  test('file names are kebab-case', () => {
    const names = glob('src/**/*.*', 'test/**/*.*', 'config/**/*.*').filter(file => !file.endsWith('.md'))
    assert.deepEqual(
      names.filter(file => !/^[a-z\d]+(?:-[a-z\d]+)*(?:\.[a-z\d]+)+$/.test(basename(file))),
      []
    )
  })

  test('there are no barrels and no drawers for leftovers', () => {
    const drawers = /^(?:index|utils?|helpers?|common|misc)\.ts$/
    assert.deepEqual(
      [...src, ...tests].filter(file => drawers.test(basename(file))),
      []
    )
    assert.deepEqual(holding(src, /^export (?:type )?(?:\*|\{[^}]*\}) from/m), [])
  })

  test('there are no default exports and no enums', () => {
    assert.deepEqual(holding([...src, ...tests], /^\s*export default\b/m), [])
    assert.deepEqual(holding([...src, ...tests], /^\s*(?:export )?(?:declare )?(?:const )?enum \w/m), [])
  })

  test('only the configuration reads the environment, which main hands to it', () => {
    const readers = holding(src, /\bprocess\.env\b/).map(found => basename(found.split(':')[0] as string))
    assert.deepEqual(
      readers.filter(name => !/^(?:main|config(?:-[a-z-]+)?)\.ts$/.test(name)),
      []
    )
  })

  test('no work is left for later', () => {
    assert.deepEqual(holding([...src, ...glob('config/**/*.yaml', 'docs/**/*.md')], /\b(?:TODO|FIXME|XXX)\b/), [])
  })

  test('no test is skipped, alone or to be written', () => {
    assert.deepEqual(holding(tests, /\b(?:test|it|describe|suite|t)\.(?:skip|only|todo)\b/), [])
    assert.deepEqual(holding(tests, /\b(?:skip|only|todo): *(?:true|['"`])/), [])
  })

  test('no file names a path of somebody’s machine or where packages were fetched from', () => {
    const files = globSync('**/*', { cwd: ROOT, exclude: name => UNTRACKED.includes(basename(name)) })
    const hidden = globSync('{.ci,.github}/**/*', { cwd: ROOT })
    const text = [...files, ...hidden].filter(file => TEXT.test(file))
    assert.ok(text.includes('package-lock.json'))
    assert.deepEqual(holding(text, /(?<![\w.:/-])\/(?:root|work|farm|Users)\/\S*/), [])
    assert.deepEqual(holding(['package-lock.json'], /"resolved": "http[^"]*"/), [])
  })

  test('every package is held to its hash, and none but node may run a script when it is installed', () => {
    const lock: { packages: Record<string, { integrity?: string; hasInstallScript?: true }> } = JSON.parse(
      read('package-lock.json')
    )
    const installed = Object.entries(lock.packages).filter(([path]) => path !== '')
    const pathsOf = (which: (about: (typeof lock.packages)[string]) => boolean) =>
      installed.filter(([, about]) => which(about)).map(([path]) => path)
    assert.ok(installed.length > 100)
    assert.deepEqual(
      pathsOf(({ integrity }) => !integrity?.startsWith('sha512-')),
      []
    )
    assert.deepEqual(
      pathsOf(({ hasInstallScript }) => hasInstallScript === true),
      ['node_modules/node']
    )
    assert.deepEqual(JSON.parse(read('package.json')).allowScripts, { node: true })
    assert.match(read('.npmrc'), /^strict-allow-scripts=true$/m)
  })
})
