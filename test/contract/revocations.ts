import assert from 'node:assert/strict'
import { REVOCATIONS_CHANNEL } from '../../src/ports/revocations.ts'
import { type LogHarness, listen, testing } from './log-kit.ts'

// What every RevocationStore promises.

const NOW_MS = Date.UTC(2026, 0, 2)

export function revocationsContract(name: string, make: () => Promise<LogHarness>) {
  const it = testing(name, make)

  it('what is put is read, whatever the principal is called, and the last word counts', async ({ revocations }) => {
    assert.deepEqual(await revocations.read(NOW_MS), new Map())
    const revoked = new Map([
      ['미나 👋 / %2F "x"', NOW_MS + 1],
      ['__proto__', NOW_MS + 2],
      ['lifted', -(NOW_MS + 3)]
    ])
    await revocations.put(revoked)
    assert.deepEqual(entriesOf(await revocations.read(NOW_MS)), entriesOf(revoked))
    await revocations.put(new Map([['lifted', NOW_MS + 4]]))
    assert.equal((await revocations.read(NOW_MS)).get('lifted'), NOW_MS + 4)
  })

  it('what was put only where absent leaves the rest alone', async ({ revocations }) => {
    await revocations.put(new Map([['a', NOW_MS + 1]]))
    const more = new Map([
      ['a', NOW_MS + 9],
      ['b', NOW_MS + 9]
    ])
    await revocations.put(more, true)
    assert.deepEqual(entriesOf(await revocations.read(NOW_MS)), [
      ['a', NOW_MS + 1],
      ['b', NOW_MS + 9]
    ])
  })

  it('what has lapsed is forgotten, revoked or lifted, and nothing else', async ({ revocations }) => {
    const at = (ms: number) => [`${ms}`, ms] as const
    const kept = [at(NOW_MS), at(-NOW_MS), at(NOW_MS + 1), at(-NOW_MS - 1)]
    await revocations.put(new Map([...kept, at(NOW_MS - 1), at(1 - NOW_MS), at(1), at(-1)]))
    assert.deepEqual(entriesOf(await revocations.read(NOW_MS)), entriesOf(new Map(kept)))
    assert.deepEqual(entriesOf(await revocations.read(0)), entriesOf(new Map(kept)), 'it is gone')
  })

  it('each put is told on the bus, once it can be read', async ({ revocations, createFeed }) => {
    const { received } = await listen(createFeed(), REVOCATIONS_CHANNEL)
    await revocations.put(new Map([['a', NOW_MS + 1]]))
    const [told] = await received(1)
    assert.equal(told?.channel, REVOCATIONS_CHANNEL)
    await revocations.put(new Map([['b', NOW_MS + 1]]), true)
    await received(2)
    assert.equal((await revocations.read(NOW_MS)).size, 2)
  })
}

const entriesOf = (revoked: ReadonlyMap<string, number>) => [...revoked].toSorted(([a], [b]) => (a < b ? -1 : 1))
