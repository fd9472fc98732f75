import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { full } from '../support/faults.ts'
import { scenarios } from './catalog.ts'
import { examine } from './examine.ts'
import { createRun, groupsOf, type Scenario } from './scenario.ts'
import type { Plain, Resuming } from './seats.ts'
import { openStage } from './stage.ts'
import { openWorld, type World } from './world.ts'

// Clients that resume get what Kafka holds, once and in order, or are told. `npm run faults` has run the long form by itself.

const OPTIONS = { long: false, seed: 1, recordsPerSecond: 200 }

let world: World | undefined

before(async () => {
  if (!full) world = await openWorld()
})
after(() => world?.[Symbol.asyncDispose]())

const groups = full ? [] : groupsOf(scenarios)
const isAlone = ([first]: Scenario[]) => first?.alone === true

// Most of it is waiting.
describe('side by side', { concurrency: 3 }, () => {
  if (!full) test('what is spoiled between a client and the oracle is found', spoiled)
  for (const group of groups.filter(those => !isAlone(those))) onOneStage(group)
})
describe('alone', { concurrency: 1 }, () => {
  for (const group of groups.filter(isAlone)) onOneStage(group)
})

function onOneStage(group: Scenario[]): void {
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

/** Has Kafka delete records, and then takes from one client what it was told, and from others a message, its place, or its only coming. */
async function spoiled(): Promise<void> {
  const retention = scenarios.find(({ name }) => name === 'retention-passed') as Scenario
  await using stage = await openStage(world as World, retention.stage ?? {}, OPTIONS)
  await retention.run(stage)
  await stage.goesOn(200)
  assert.equal((await examine(stage, () => true)).silent, 0)
  const [untold, dropping, doubling, swapping] = stage.clients
  const [plain] = stage.plain
  const lastOf = (client: Plain | Resuming | undefined) => client?.messages(`${client.destinations[0]}`) ?? []
  Object.assign(untold as Resuming, { gaps: [] })
  lastOf(dropping).splice(-2, 1)
  lastOf(doubling).push(...lastOf(doubling).slice(-1))
  lastOf(swapping).push(...lastOf(swapping).splice(-2, 1))
  lastOf(plain).splice(-2, 1)
  stage.ledger.acknowledge('room-0', stage.ledger.next('room-0'))
  const { details, unwritten } = await examine(stage, () => true)
  const found = new Set(
    details.flatMap(text => /^(.*) in room.* (told: nothing|doubled|too late) /.exec(text)?.slice(1).join() ?? [])
  )
  const expected = ['client 0,told: nothing', 'client 1,told: nothing', 'client 2,doubled', 'client 3,too late']
  assert.deepEqual(found, new Set([...expected, 'plain client 0,told: nothing']))
  assert.equal(unwritten, 1)
}
