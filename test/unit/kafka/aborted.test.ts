import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type FetchedMessage, hideAborted } from '../../../src/kafka/aborted.ts'

/** A step of one of four producers: a record of its transaction, or its end. The fifth writes outside of transactions. */
const step = fc.oneof(
  { weight: 3, arbitrary: fc.record({ producer: fc.nat(4), does: fc.constant('write' as const) }) },
  {
    weight: 1,
    arbitrary: fc.record({ producer: fc.nat(3), does: fc.constantFrom('abort' as const, 'commit' as const) })
  }
)
const PLAIN = 4

/** A partition as Kafka keeps it: the list of aborted transactions is in the order of their ends. */
function write(steps: { producer: number; does: 'write' | 'abort' | 'commit' }[]) {
  const messages: FetchedMessage[] = []
  const open = new Map<number, number[]>()
  const ended: { producerId: string; firstOffset: string; lastOffset: number; does: string }[] = []
  const fates = new Map<number, string>()
  const append = (producer: number, isControlRecord: boolean) => {
    const batchContext = { producerId: `${producer}`, inTransaction: producer !== PLAIN }
    messages.push({ offset: `${messages.length}`, isControlRecord, batchContext })
    return messages.length - 1
  }
  const end = (producer: number, does: string) => {
    const offsets = open.get(producer)
    if (!offsets) return
    open.delete(producer)
    for (const offset of offsets) fates.set(offset, does)
    ended.push({ producerId: `${producer}`, firstOffset: `${offsets[0]}`, lastOffset: append(producer, true), does })
  }
  for (const { producer, does } of steps)
    if (does !== 'write') end(producer, does)
    else {
      const offset = append(producer, false)
      if (producer === PLAIN) fates.set(offset, 'commit')
      else open.set(producer, [...(open.get(producer) ?? []), offset])
    }
  for (const producer of [...open.keys()]) end(producer, 'abort')
  return { messages, aborted: ended.filter(({ does }) => does === 'abort'), fates }
}

test('however transactions overlap and wherever a fetch begins, what was committed is shown and nothing that was aborted', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), fc.nat(60), (steps, from) => {
      const { messages, aborted, fates } = write(steps)
      const partition = {
        messages: messages.slice(from),
        abortedTransactions: aborted.filter(({ lastOffset }) => lastOffset >= from)
      }
      hideAborted(partition)
      assert.deepEqual(
        partition.messages.filter(({ isControlRecord }) => !isControlRecord).map(({ offset }) => Number(offset)),
        [...fates]
          .flatMap(([offset, fate]) => (fate === 'commit' && offset >= from ? [offset] : []))
          .sort((a, b) => a - b)
      )
      assert.deepEqual(partition.abortedTransactions, [])
    }),
    { numRuns: 1000 }
  )
})
