import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { wholeFrom } from '../support/flags.ts'
import { run } from '../support/processes.ts'

const ROOT = join(import.meta.dirname, '../..')

for (const [main, flag, text, least] of [
  ['fuzz', '--seed', 'x', 0],
  ['faults', '--records', '-1', 0],
  ['contract/mutants', '--runs', '1.5', 0],
  ['bench', '--rounds', '0', 1]
] as const)
  test(`${flag} ${text} ends test/${main} with one line that says what is wrong`, async () => {
    const asked = run({ command: process.execPath, args: [`test/${main}/main.ts`, flag, text], cwd: ROOT })
    await assert.rejects(asked, ({ message }: Error) => {
      const [, ...told] = message.trimEnd().split('\n')
      assert.equal(told.length, 1, message)
      assert.match(told[0] ?? '', new RegExp(`^error: .*${flag} .*'${text}' is invalid.*from ${least}\\.$`))
      return true
    })
  })

test('a whole number is written in digits and exact', () => {
  assert.deepEqual(['0', '7', '9007199254740991'].map(wholeFrom(0)), [0, 7, 9007199254740991])
  for (const text of ['', ' 1', '1e3', '0x10', '9007199254740993'])
    assert.throws(() => wholeFrom(0)(text), /no whole number/)
})
