import assert from 'node:assert/strict'
import { waitFor } from '../support/wait.ts'
import { type LogHarness, testing } from './log-kit.ts'

// What every Claims promises.

export function claimsContract(name: string, make: () => Promise<LogHarness>) {
  const it = testing(name, make)

  it('a claim is held by whoever took it first, until it is released', async ({ claims }) => {
    assert.equal(await claims.holder('login:미나 1'), undefined)
    assert.equal(await claims.take('login:미나 1', 'a', 60_000), true)
    assert.equal(await claims.take('login:미나 1', 'b', 60_000), false)
    assert.equal(await claims.take('login:미나 2', 'b', 60_000), true)
    assert.equal(await claims.holder('login:미나 1'), 'a')
    await claims.release('login:미나 1', 'a')
    assert.equal(await claims.holder('login:미나 1'), undefined)
    assert.equal(await claims.holder('login:미나 2'), 'b')
    assert.equal(await claims.take('login:미나 1', 'b', 60_000), true)
  })

  it('of many that come at once one gets a claim', async ({ claims }) => {
    const ids = Array.from({ length: 50 }, (_, n) => `id ${n}`)
    const taken = await Promise.all(ids.map(id => claims.take('k', id, 60_000)))
    const winners = ids.filter((_, n) => taken[n])
    assert.deepEqual(winners, [await claims.holder('k')])
  })

  it('only its holder releases a claim', async ({ claims }) => {
    await claims.release('k', 'a')
    await claims.take('k', 'a', 60_000)
    await claims.release('k', 'b')
    assert.equal(await claims.holder('k'), 'a')
  })

  it('a claim ends with its time, and the release of one that ended leaves the next alone', async ({ claims }) => {
    await claims.take('k', 'a', 50)
    await waitFor(async () => (await claims.holder('k')) === undefined, { what: 'the end of the claim' })
    assert.equal(await claims.take('k', 'b', 60_000), true)
    await claims.release('k', 'a')
    assert.equal(await claims.holder('k'), 'b')
  })

  it('a claim that was released and taken again lasts as long as it was taken for', async ({ claims }) => {
    await claims.take('k', 'a', 50)
    await claims.release('k', 'a')
    await claims.take('k', 'b', 60_000)
    await claims.take('end', 'a', 100)
    await waitFor(async () => (await claims.holder('end')) === undefined, { what: 'the end of a longer claim' })
    assert.equal(await claims.holder('k'), 'b')
  })
}
