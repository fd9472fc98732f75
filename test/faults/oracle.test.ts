import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Told } from '../support/stomp-follower.ts'
import { judge, type Reader, type Verdict } from './oracle.ts'

const NONE = { lost: 0, doubled: 0, reordered: 0, silent: 0, told: 0, undue: 0, strange: 0 }

/** What is found of one reader of a room, without what is right. */
function found(
  expected: number[],
  numbers: number[],
  gaps: Pick<Told, 'from' | 'to' | 'gap'>[] = [],
  more: Pick<Reader, 'plain' | 'mayBeTold'> = {}
): Partial<Verdict> {
  const told = gaps.map(gap => ({ destination: '/room/a', ...gap }))
  const verdict = judge(new Map([['a', expected]]), [{ name: 'client 1', room: 'a', numbers, gaps: told, ...more }])
  const { deliveries, details, ...counts } = verdict
  assert.equal(deliveries, numbers.length)
  const wrong = Object.entries(counts).filter(([name, count]) => count !== NONE[name as keyof typeof NONE])
  return { ...Object.fromEntries(wrong), ...(details.length > 0 && { details }) }
}

describe('the oracle', () => {
  test('finds nothing where all came once, in order, and where there was nothing', () => {
    assert.deepEqual(found([1, 2, 4, 3], [1, 2, 4, 3]), {})
    assert.deepEqual(found([], []), {})
  })

  test('finds what is missing in the midst and at the end, and that nobody was told', () => {
    assert.deepEqual(found([1, 2, 3, 4, 5], [1, 4]), {
      lost: 3,
      silent: 3,
      undue: 3,
      details: [
        'client 1 in a: 2 missing (2…3) before message 1, told: nothing',
        'client 1 in a: 1 missing (5…5) before message 2, told: nothing'
      ]
    })
  })

  test('finds what came twice, even when it came again much later', () => {
    assert.deepEqual(found([1, 2], [1, 2, 1]), { doubled: 1, details: ['client 1 in a: 1 as message 2 is doubled'] })
  })

  test('finds what came too late, and does not call it lost', () => {
    assert.deepEqual(found([1, 2, 3], [1, 3, 2]), {
      reordered: 1,
      details: ['client 1 in a: 2 as message 2 comes too late']
    })
  })

  test('finds what Kafka never held', () => {
    assert.deepEqual(found([1], [1, 7]), { strange: 1, details: ['client 1 in a: 7 as message 1 is strange'] })
  })

  test('lets what is consumed again on purpose come again', () => {
    assert.deepEqual(found([1, 2, 3, 2, 3, 4], [1, 2, 3, 2, 3, 4]), {})
    assert.equal(found([1, 2, 3, 2, 3, 4], [1, 2, 3, 4]).silent, 2)
  })

  test('takes a told gap for told where it is told, and for no fewer than are missing', () => {
    const numbers = [1, 4, 5]
    assert.equal(found([1, 2, 3, 4, 5], numbers, [{ from: 1, to: 1, gap: 'unknown' }]).silent, undefined)
    assert.equal(found([1, 2, 3, 4, 5], numbers, [{ from: 0, to: 2, gap: '2' }]).silent, undefined)
    assert.equal(found([1, 2, 3, 4, 5], numbers, [{ from: 1, to: 1, gap: '1' }]).silent, 2)
    assert.equal(found([1, 2, 3, 4, 5], numbers, [{ from: 2, to: 2, gap: 'unknown' }]).silent, 2)
  })

  test('counts a gap that was told although nothing is missing', () => {
    assert.deepEqual(found([1, 2], [1, 2], [{ from: 1, to: 1, gap: 'unknown' }]), { told: 1, undue: 1 })
  })

  test('lets those be told of what is missing who may', () => {
    const gap = { from: 1, to: 1, gap: '1' }
    assert.equal(found([1, 2, 3], [1, 3], [gap], { mayBeTold: true }).undue, undefined)
    assert.equal(found([1, 2, 3], [1, 3], [gap]).undue, 2)
  })
})

describe('the oracle, of one connection of a plain client,', () => {
  const stays = { plain: { after: 2, left: false } }
  const leaves = { plain: { after: 2, left: true } }
  const never = { plain: { after: Number.POSITIVE_INFINITY, left: true } }

  test('lets it begin before its RECEIPT, or with the first number taken after it, and no later', () => {
    assert.deepEqual(found([1, 2, 3, 4], [2, 3, 4], [], stays), {})
    assert.deepEqual(found([1, 2, 3, 4], [3, 4], [], stays), {})
    assert.equal(found([1, 2, 3, 4], [4], [], stays).silent, 1)
    assert.equal(found([1, 2, 3, 4], [], [], stays).silent, 2)
    assert.deepEqual(found([1, 2], [], [], stays), {})
  })

  test('asks for nothing beyond the last message where the connection ended, and for all where it did not', () => {
    assert.deepEqual(found([1, 2, 3, 4, 5], [3, 4], [], leaves), {})
    assert.deepEqual(found([1, 2, 3, 4, 5], [], [], never), {})
    assert.equal(found([1, 2, 3, 4, 5], [3, 4], [], stays).silent, 1)
  })

  test('finds what is missing in the midst, came twice or too late', () => {
    assert.equal(found([1, 2, 3, 4, 5], [2, 3, 5], [], leaves).silent, 1)
    assert.equal(found([1, 2, 3, 4, 5], [2, 3, 3], [], leaves).doubled, 1)
    assert.equal(found([1, 2, 3, 4, 5], [2, 4, 3], [], leaves).reordered, 1)
    assert.equal(found([1, 2, 3], [0], [], leaves).strange, 1)
  })

  test('takes a number that Kafka holds twice for the one that what follows fits', () => {
    assert.deepEqual(found([3, 4, 5, 3, 4, 6], [4, 6], [], { plain: { after: 5, left: false } }), {})
    assert.deepEqual(found([3, 4, 5, 3, 4, 6], [4, 5, 3, 4, 6], [], { plain: { after: 3, left: false } }), {})
  })
})
