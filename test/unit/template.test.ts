import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { compileTemplate, isMalformed, VALUE_BYTES } from '../../src/template.ts'

const hostile = fc.oneof(
  fc.constantFrom(
    '/',
    ':',
    '{',
    '}',
    '%',
    '%2F',
    '%2f',
    '%25',
    '..',
    '\0',
    '\n',
    '\x7f',
    ' ',
    '+',
    '한',
    '😀',
    '\u2028',
    'a'
  ),
  fc.string({ unit: 'binary', maxLength: 6 }),
  fc.string({ unit: 'grapheme', maxLength: 6 })
)
const value = fc
  .array(hostile, { minLength: 1, maxLength: 8 })
  .map(parts => parts.join(''))
  .filter(text => text !== '')
const literal = fc.string({ unit: fc.constantFrom('a', 'b', '-', '.', ' ', '한'), maxLength: 4 })

/** Templates of up to four names with hostile literals between them, and values for the names. */
const filled = fc
  .record({
    head: literal,
    tail: literal,
    values: fc.array(value, { minLength: 1, maxLength: 4 }),
    between: fc.array(fc.tuple(literal, fc.constantFrom('/', ':', '/:', '//'), literal), {
      minLength: 4,
      maxLength: 4
    }),
    rest: fc.boolean()
  })
  .map(({ head, tail, values, between, rest }) => {
    const names = values.map((_, index) => `n${index}`)
    const last = names.length - 1
    const text = names
      .map((name, index) => (index === last ? `{${rest ? '+' : ''}${name}}` : `{${name}}${between[index]?.join('')}`))
      .join('')
    return {
      template: compileTemplate(`${head}${text}${rest ? '' : tail}`),
      values: Object.fromEntries(names.map((name, index) => [name, values[index] as string]))
    }
  })

const expandWith = (values: Record<string, string>) => (name: string) => values[name] as string

describe('templates', () => {
  test('what is expanded matches backwards to the very values', () => {
    fc.assert(
      fc.property(filled, ({ template, values }) => {
        assert.deepEqual(template.match(template.expand(expandWith(values))), values)
      })
    )
  })

  test('what matches is what its values expand to, so no two texts stand for one place', () => {
    const text = fc.array(fc.oneof(hostile, fc.constantFrom('/sub/', 'room:', '%3A', '%41', '%E9')), { maxLength: 8 })
    const templates = ['/sub/{a}', '/sub/{a}/{+b}', 'room:{a}:{b}', '{+a}', '{a}/x-{b}'].map(compileTemplate)
    fc.assert(
      fc.property(text, fc.constantFrom(...templates), (parts, template) => {
        const candidate = parts.join('')
        const values = template.match(candidate)
        fc.pre(values !== undefined)
        assert.equal(template.expand(expandWith(values)), candidate)
      }),
      { numRuns: 50 }
    )
  })

  test('no value reaches into the place of another', () => {
    const template = compileTemplate('chat:{room}:{user}')
    const text = template.expand(expandWith({ room: '1:2', user: '3' }))
    assert.equal(text, 'chat:1%3A2:3')
    assert.deepEqual(template.match('chat:1:2:3'), undefined)
  })

  test('an escape that expanding would not have written does not match', () => {
    const template = compileTemplate('/sub/{a}')
    for (const text of [
      '/sub/%41',
      '/sub/%2f',
      '/sub/%zz',
      '/sub/%',
      '/sub/a:b',
      '/sub/a/b',
      '/sub/',
      '/su/a',
      '/sub/{a}'
    ]) {
      assert.equal(template.match(text), undefined, text)
    }
    assert.deepEqual(template.match('/sub/한 국%2F😀'), { a: '한 국/😀' })
  })

  test('{+name} keeps slashes and colons and takes all that follows', () => {
    const template = compileTemplate('/topic/{+key}')
    assert.deepEqual(template.match('/topic/a/b:c/'), { key: 'a/b:c/' })
    assert.equal(
      template.expand(() => 'a/b:c%'),
      '/topic/a/b:c%25'
    )
    assert.equal(template.match('/topic/'), undefined)
  })

  test(`a value over ${VALUE_BYTES} bytes of UTF-8 does not match`, () => {
    const template = compileTemplate('/sub/{a}')
    assert.ok(template.match(`/sub/${'x'.repeat(VALUE_BYTES)}`))
    assert.equal(template.match(`/sub/${'x'.repeat(VALUE_BYTES + 1)}`), undefined)
    assert.equal(template.match(`/sub/${'한'.repeat(100)}`), undefined)
  })

  test('names with the names of what every object inherits are names like any other', () => {
    const template = compileTemplate('/{__proto__}/{constructor}')
    const names = template.match('/a/b') as Record<string, string>
    assert.deepEqual(Object.entries(names), [
      ['__proto__', 'a'],
      ['constructor', 'b']
    ])
  })

  test('templates whose match could be doubtful are refused', () => {
    const refused: [template: string, why: RegExp][] = [
      ['{a}{b}', /two names need/],
      ['{a}-{b}', /ambiguous: "-"/],
      ['/{a}/{a}', /twice/],
      ['/{+a}/b', /at its end/],
      ['/{a', /never closed/],
      ['/a}', /closes nothing/],
      ['/{}', /not a name/],
      ['/{a..b}', /not a name/],
      ['/a%20', /no %/],
      ['', /empty/],
      [`/${'a'.repeat(1024)}`, /1024/]
    ]
    for (const [template, why] of refused) assert.throws(() => compileTemplate(template), why, template)
  })

  test('a text is malformed when nothing can expand to it', () => {
    for (const text of ['', '/a{b', '/a}', '/a\0', '/a\n', '/%zz', '/%2f', '/%41', '/a%', '/\ud800']) {
      assert.ok(isMalformed(text), JSON.stringify(text))
    }
    for (const text of ['/a', '/%2F%3A%7B%7D%25%00%1F%7F', '/한국/😀 :']) assert.ok(!isMalformed(text), text)
  })
})
