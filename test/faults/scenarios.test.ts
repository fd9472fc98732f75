import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { full } from '../support/faults.ts'
import { scenarios } from './catalog.ts'
import { runScenario } from './scenario.ts'
import { openWorld, type World } from './world.ts'

// Clients that resume get what Kafka holds, once and in order, or are told. `npm run faults` has run the long form by itself.

const OPTIONS = { long: false, seed: 1, recordsPerSecond: 300, records: 0 }

let world: World | undefined

before(async () => {
  if (!full) world = await openWorld()
})
after(() => world?.[Symbol.asyncDispose]())

const chosen = full ? [] : scenarios
for (const { where, concurrency, those } of [
  { where: 'side by side', concurrency: 2, those: chosen.filter(({ alone }) => !alone) },
  { where: 'alone', concurrency: 1, those: chosen.filter(({ alone }) => alone) }
]) {
  describe(where, { concurrency }, () => {
    for (const scenario of those) {
      test(`${scenario.name}: ${scenario.about}`, async () => {
        const { faults } = await runScenario(world as World, scenario, OPTIONS)
        assert.deepEqual(faults, [], faults.join('\n'))
      })
    }
  })
}
