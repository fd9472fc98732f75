import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { BatonError } from '../../src/errors.ts'
import { createAllowance, createAllowances, type Rate } from '../../src/rates.ts'

const UNBOUNDED: Rate = { perSecond: 0, burst: 1 }

/** @returns undefined, or after how many seconds it is to be tried again. */
function attempt(take: () => void): number | undefined {
  try {
    take()
    return undefined
  } catch (error) {
    assert.ok(error instanceof BatonError && error.code === 'RATE_LIMITED', String(error))
    return error.retryAfterS
  }
}

describe('an allowance', () => {
  const rate = fc.record({
    perSecond: fc.oneof(fc.integer({ min: 1, max: 1000 }), fc.double({ min: 0.01, max: 3, noNaN: true })),
    burst: fc.integer({ min: 1, max: 20 })
  })
  const pauses = fc.array(fc.integer({ min: 0, max: 400 }), { maxLength: 200 })

  test('is that of a bucket of tokens', () => {
    const property = fc.property(rate, pauses, (bounds, all) => {
      let nowMs = 5
      let tokens = bounds.burst
      const take = createAllowance(bounds, () => nowMs)
      for (const pauseMs of all) {
        nowMs += pauseMs
        tokens = Math.min(bounds.burst, tokens + (pauseMs * bounds.perSecond) / 1000)
        // Within what adding fractions may be off by, either is right.
        if (Math.abs(tokens - 1) < 1e-4) return
        assert.equal(attempt(() => take('a', undefined)) === undefined, tokens > 1, `at ${nowMs} ms with ${tokens}`)
        if (tokens > 1) tokens--
      }
    })
    fc.assert(property, { numRuns: 300 })
  })

  test('says when the next may come, not too early, and less than a second too late', () => {
    const property = fc.property(rate, bounds => {
      let nowMs = 0
      const take = createAllowance(bounds, () => nowMs)
      for (let n = 0; n < bounds.burst; n++)
        assert.equal(
          attempt(() => take('a', undefined)),
          undefined
        )
      const waitS = attempt(() => take('a', undefined)) as number
      assert.ok(waitS > 1 / bounds.perSecond - 0.0001 && waitS < 1 / bounds.perSecond + 1.0001, `${waitS} s`)
      nowMs += waitS * 1000
      assert.equal(
        attempt(() => take('a', undefined)),
        undefined
      )
    })
    fc.assert(property, { numRuns: 1000 })
  })

  test('of a route bounds that route alone, and what it refuses is not counted for all', () => {
    let nowMs = 0
    const own = { perSecond: 0.1, burst: 2 }
    const take = createAllowance({ perSecond: 1, burst: 4 }, () => nowMs)
    for (let n = 0; n < 2; n++) take('slow', own)
    for (let n = 0; n < 5; n++)
      assert.equal(
        attempt(() => take('slow', own)),
        10
      )
    for (let n = 0; n < 2; n++) take('quick', undefined)
    assert.equal(
      attempt(() => take('quick', undefined)),
      1
    )
    assert.equal(
      attempt(() => take('slow', own)),
      10
    )
    nowMs += 10_000
    take('slow', own)
    assert.equal(
      attempt(() => take('slow', own)),
      10
    )
  })

  test('without a bound is endless, but for the bound of a route', () => {
    const take = createAllowance(UNBOUNDED, () => 0)
    for (let n = 0; n < 1000; n++) take('a', undefined)
    take('b', { perSecond: 1, burst: 1 })
    assert.equal(
      attempt(() => take('b', { perSecond: 1, burst: 1 })),
      1
    )
  })
})

test('of senders without a session ten thousand are remembered, those that sent last', () => {
  const allowanceOf = createAllowances({ perSecond: 0.001, burst: 1 })
  const isRefused = (sender: string) => attempt(() => allowanceOf(sender)('a', undefined)) !== undefined
  assert.deepEqual([isRefused('ann'), isRefused('ann'), isRefused('bob')], [false, true, false])
  for (let n = 0; n < 9_998; n++) assert.equal(isRefused(`other ${n}`), false)
  assert.equal(isRefused('ann'), true)
  assert.equal(isRefused('one more'), false)
  assert.equal(isRefused('bob'), false, 'the one that had not sent for the longest was not let go of')
  assert.equal(isRefused('ann'), true)
})
