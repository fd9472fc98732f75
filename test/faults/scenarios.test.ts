import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { full } from '../support/faults.ts'
import { scenarios } from './catalog.ts'
import { createRun, groupsOf } from './scenario.ts'
import { openWorld, type World } from './world.ts'

// Clients that resume get what Kafka holds, once and in order, or are told. `npm run faults` has run the long form by itself.

const OPTIONS = { long: false, seed: 1, recordsPerSecond: 300 }

let world: World | undefined

before(async () => {
  if (!full) world = await openWorld()
})
after(() => world?.[Symbol.asyncDispose]())

const groups = full ? [] : groupsOf(scenarios)
for (const { where, concurrency, those } of [
  { where: 'side by side', concurrency: 4, those: groups.filter(([first]) => !first?.alone) },
  { where: 'alone', concurrency: 1, those: groups.filter(([first]) => first?.alone) }
]) {
  describe(where, { concurrency }, () => {
    for (const group of those) {
      describe(`on one stage: ${group.map(({ name }) => name).join(', ')}`, { concurrency: 1 }, () => {
        let run: ReturnType<typeof createRun>
        before(() => {
          run = createRun(world as World, OPTIONS)
        })
        after(() => run[Symbol.asyncDispose]())
        for (const scenario of group) {
          test(`${scenario.name}: ${scenario.about}`, async () => {
            const { faults } = await run.play(scenario)
            assert.deepEqual(faults, [], faults.join('\n'))
          })
        }
      })
    }
  })
}
