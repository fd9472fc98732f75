import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import { targets } from './catalog.ts'
import { runTarget } from './run.ts'
import { openStage } from './stage.ts'

// The short form of `npm run fuzz`, which is other with each seed, and the same with each run.

const SEED = 1
const stage = await openStage(false)
after(() => stage[Symbol.asyncDispose]())

describe('nothing hostile breaks it', { concurrency: 1 }, () => {
  for (const target of targets) {
    test(`${target.name}: ${target.about}`, async () => {
      const { fault, frames } = await runTarget(target, stage, SEED, target.short)
      const again = `npm run fuzz -- --only ${target.name} --seed ${fault?.seed} --frames 1`
      assert.equal(fault, undefined, `${fault?.message}; again: ${again}; with: ${fault?.input?.toString('latin1')}`)
      assert.ok(frames >= target.short)
    })
  }
})
