import assert from 'node:assert/strict'
import { test } from 'node:test'
import pino from 'pino'
import type { BatonError } from '../../src/errors.ts'
import { createMemoryBroker } from '../../src/memory/broker.ts'
import { createMemoryLog } from '../../src/memory/log.ts'
import { createPartition } from '../../src/memory/partition.ts'
import type { OutgoingRecord, PartitionOwner } from '../../src/ports.ts'
import { allOf } from '../support/records.ts'
import { waitFor } from '../support/wait.ts'
import { append, chunk } from './log-kit.ts'

// What memory promises beside the contracts: that it stays bounded.

const logger = pino({ level: 'silent' })
const MIB = 1024 * 1024
const record: OutgoingRecord = { topic: 't', key: null, value: null, headers: {} }
const large = { ...record, value: Buffer.alloc(MIB) }

test('a channel whose position has expired begins a new epoch with nothing of the old one', async () => {
  const { log } = createMemoryLog({ metaTtlMs: 30 })
  await log.append(chunk([append('a', 0, 'x', { logTtlMs: 30 })]))
  await waitFor(async () => (await log.heads(['a'])).heads[0]?.position === undefined, {
    what: 'the position to expire'
  })
  await log.append(chunk([append('a', 1)], { expect: 0, token: 'n2' }))
  const { head, entries } = await log.read('a')
  assert.deepEqual(head.position, { epoch: 'n2', seq: 1 })
  assert.equal(entries.length, 1)
})

test('with too many bytes the channels written longest ago lose their entries and keep their positions', async () => {
  const { log } = createMemoryLog()
  const body = Buffer.alloc(2 * MIB)
  for (let i = 0; i < 130; i++) await log.append(chunk([append(`c${i % 65}`, i, body)], { expect: i - 1 }))
  const [oldest, latest] = await Promise.all([log.read('c0'), log.read('c62')])
  assert.deepEqual([oldest.entries.length, oldest.head.position?.seq], [0, 2])
  assert.deepEqual([latest.entries.length, latest.head.position?.seq], [2, 2])
})

test('with too many channels the oldest are forgotten, and no log opened since says that it is whole', async () => {
  const { log } = createMemoryLog()
  const channels = Array.from({ length: 100_001 }, (_, i) => append(`c${i}`, 0, ''))
  await log.append(chunk(channels))
  assert.deepEqual((await log.heads(['c0'])).heads, [{}])
  await log.append(chunk([append('c0', 1)], { expect: 0, token: 'n2' }))
  assert.deepEqual((await log.read('c0')).head.position, { epoch: 'n2', seq: 2 })
})

test('a partition keeps the tail of what was consumed and all that was not', () => {
  const partition = createPartition('t', 0, true)
  for (let i = 0; i < 10_500; i++) partition.append(record)
  assert.equal(partition.earliest, 0)
  partition.next = 10_400
  assert.equal(partition.earliest, 500)
  partition.next = 0
  assert.equal(partition.take(1)[0]?.offset, 500)
})

test('a topic that is not consumed keeps its tail only', () => {
  const partition = createPartition('t', 0, false)
  for (let i = 0; i < 40; i++) partition.append(large)
  assert.ok(partition.earliest > 20 && !partition.full)
})

test('what is consumed too slowly is refused, and taken again once it flows', async () => {
  const { source, sink } = createMemoryBroker({ topics: [{ name: 't', partitions: 1, consumed: true }] }, { logger })
  await assert.rejects(
    async () => {
      for (let i = 0; i < 40; i++) await sink.produce([large])
    },
    ({ code }: BatonError) => code === 'PRODUCE_QUEUE_FULL'
  )
  await source.start({ assigned: async () => keepNothing() })
  await waitFor(() => source.lags().every(({ lag }) => lag === 0), { what: 'all of it consumed' })
  await sink.produce([large])
  await source.close()
})

test('an owner that cannot be had and a batch that fails are tried again', async () => {
  const { source, sink } = createMemoryBroker({ topics: [{ name: 't', partitions: 1, consumed: true }] }, { logger })
  let assignments = 0
  const offsets: number[] = []
  await source.start({
    async assigned() {
      if (++assignments === 1) throw new Error('not yet')
      return {
        ...keepNothing(),
        async batch({ records }) {
          offsets.push(...allOf(records).map(({ offset }) => offset))
          if (offsets.length === 1) throw new Error('once')
        }
      }
    }
  })
  await sink.produce([record])
  await waitFor(() => offsets.length === 2, { what: 'the second attempt' })
  assert.deepEqual([assignments, offsets], [2, [0, 0]])
  await source.close()
})

function keepNothing(): PartitionOwner {
  return {
    batch: async () => undefined,
    probe: async () => undefined,
    committable: () => null,
    committed: () => undefined,
    revoked: () => undefined
  }
}
