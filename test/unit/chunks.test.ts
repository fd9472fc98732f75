import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { type ChunkSteps, takeInChunks } from '../../src/chunks.ts'
import type { KafkaRecord } from '../../src/ports.ts'
import { waitFor } from '../support/wait.ts'

const records = Array.from(
  { length: 1000 },
  (_, offset): KafkaRecord => ({ offset, timestampMs: 0, key: null, value: null, headers: [] })
)

/** Writes wait until they are answered; what happens is told in order. */
function setUp(more: Partial<ChunkSteps> = {}) {
  const events: string[] = []
  const writes: PromiseWithResolvers<boolean>[] = []
  const taken = takeInChunks(records, {
    isOver: () => false,
    route({ offset }) {
      if (offset % 400 === 0) events.push(`route ${offset}`)
      return []
    },
    write([first]) {
      events.push(`write ${first}`)
      const write = Promise.withResolvers<boolean>()
      writes.push(write)
      return write.promise
    },
    ...more
  }).then(() => void events.push('taken'))
  const answer = async (written: boolean) => {
    writes.shift()?.resolve(written)
    await nextTurn()
  }
  return { events, taken, writes, answer }
}

describe('A batch', () => {
  test('is written chunk by chunk, and the next one is routed meanwhile', async () => {
    const { events, taken, answer } = setUp()
    await nextTurn()
    assert.deepEqual(events, ['route 0', 'write 0', 'route 400'])
    await answer(true)
    assert.deepEqual(events.slice(3), ['write 400', 'route 800'])
    await answer(true)
    assert.deepEqual(events.slice(5), ['write 800'])
    await answer(true)
    await taken
  })

  test('is cut where a chunk reaches 200 channels, so that Redis is not held for long', async () => {
    const append = { published: Buffer.alloc(0), logged: undefined, logSize: 1, logTtlMs: 1 }
    const lengths: number[] = []
    const { taken } = setUp({
      route: ({ offset }) => [0, 1].map(i => ({ channel: `${offset}.${i}`, offset, ...append })),
      async write({ length }, appends) {
        lengths.push(length, appends.length)
        return true
      }
    })
    await taken
    assert.deepEqual(lengths, Array(10).fill([100, 200]).flat())
  })

  test('ends with the chunk that was not written', async () => {
    const { events, taken, answer } = setUp()
    await nextTurn()
    await answer(false)
    await taken
    assert.deepEqual(events, ['route 0', 'write 0', 'route 400', 'taken'])
  })

  const ends: [why: string, () => Partial<ChunkSteps>][] = [
    [
      'it is over',
      () => {
        let asked = 0
        return { isOver: () => asked++ > 0 }
      }
    ],
    ['a record has nowhere to go', () => ({ route: async ({ offset }) => (offset < 400 ? [] : undefined) })]
  ]
  for (const [why, more] of ends)
    test(`waits for what is being written where ${why}`, async () => {
      const { events, taken, writes, answer } = setUp(more())
      await waitFor(() => writes.length > 0, { what: 'the first write' })
      await nextTurn()
      assert.equal(events.includes('taken'), false)
      await answer(true)
      await taken
      assert.deepEqual(events.slice(-2), ['write 0', 'taken'])
    })

  test('fails as the write before fails, also while a record is waited for', async () => {
    const settled = Promise.withResolvers<[]>()
    const { taken, writes } = setUp({ route: ({ offset }) => (offset < 400 ? [] : settled.promise) })
    await nextTurn()
    writes[0]?.reject(new Error('broken'))
    await nextTurn()
    settled.resolve([])
    await assert.rejects(taken, /broken/)
  })
})
