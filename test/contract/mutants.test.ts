import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { MUTANTS } from './mutants/list.ts'
import { INVARIANTS, type Mutant } from './mutants/mutant.ts'
import { mutate, search } from './mutants/search.ts'
import seeds from './mutants/seeds.json' with { type: 'json' }

const ROOT = join(import.meta.dirname, '../..')
/** From the one that found it. A change of the model may move them: `npm run mutants -- --reseed`. */
const RUNS = 5

const read = (file: string) => readFileSync(join(ROOT, file), 'utf8')

/** The files and mutants that docs/guarantees.md gives an invariant. */
function row(invariant: string): string[][] {
  const cells = new RegExp(`^\\| ${invariant} +\\|(.+)\\|$`, 'm').exec(read('docs/guarantees.md'))?.[1]?.split('|')
  assert.equal(cells?.length, 3, `docs/guarantees.md has no row of ${invariant}`)
  return (cells ?? []).slice(1).map(cell => [...cell.matchAll(/`([^`]+)`/g)].map(([, name]) => name as string))
}

describe('The invariants', () => {
  test('are named in docs/guarantees.md, each with code that names it and with all its mutants', () => {
    for (const invariant of INVARIANTS) {
      const mutants = MUTANTS.filter(mutant => mutant.invariant === invariant).map(({ name }) => name)
      const [files = [], names = []] = row(invariant)
      assert.ok(files.length > 0 && mutants.length > 0, invariant)
      for (const file of files) assert.ok(read(file).includes(`(${invariant})`), `${file} does not name ${invariant}`)
      assert.deepEqual(names, mutants)
    }
  })

  test('can still be broken where the mutants break them', () => {
    for (const mutant of MUTANTS) mutate(mutant)
  })
})

test('A model that complains of nothing, or that crashes, has found nothing', async () => {
  const [mutant] = MUTANTS as [Mutant]
  assert.deepEqual(await search({ ...mutant, replace: mutant.find }, 1, 1), { complaint: 'nothing' })
  const { seed, complaint } = await search({ ...mutant, replace: 'nowhere()' }, 1, 1)
  assert.equal(seed, undefined)
  assert.match(complaint, /Error/)
})

describe('The model finds', { concurrency: availableParallelism() }, () => {
  for (const mutant of MUTANTS) {
    test(`${mutant.name} (${mutant.invariant}): ${mutant.breaks}`, async () => {
      const { seed, complaint } = await search(mutant, seeds[mutant.name as keyof typeof seeds] ?? 1, RUNS)
      assert.ok(seed, `${complaint}: has the model changed? npm run mutants -- --reseed`)
    })
  }
})
