import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BatonError } from '../../src/errors.ts'
import type {
  Commit,
  KafkaRecord,
  OutgoingRecord,
  PartitionControl,
  PartitionHandler,
  PartitionOwner,
  RecordBatch,
  RecordSink,
  RecordSource
} from '../../src/ports.ts'
import { allOf } from '../support/records.ts'
import { waitFor } from '../support/wait.ts'

// What every RecordSource and RecordSink promises, held against real ones only.

export interface RecordHarness extends AsyncDisposable {
  /** Neither is started. The source consumes `topic` alone. */
  source: RecordSource
  sink: RecordSink
  /** A topic of its own, with three partitions. */
  topic: string
}

/** An owner that keeps what it is given. */
class Keeper implements PartitionHandler {
  readonly controls = new Map<number, PartitionControl>()
  readonly taken: (KafkaRecord & { partition: number })[] = []
  readonly batches: RecordBatch[] = []
  readonly commits: Commit[] = []
  readonly revoked: number[] = []

  async assigned(control: PartitionControl): Promise<PartitionOwner> {
    const { partition } = control
    let next = -1
    let committed = -1
    this.controls.set(partition, control)
    return {
      batch: async batch => {
        this.batches.push(batch)
        for (const record of allOf(batch.records)) this.taken.push({ ...record, partition })
        next = batch.lastOffset + 1
      },
      probe: async () => undefined,
      committable: () => (next > committed ? { offset: next, metadata: `baton:p${partition}` } : null),
      committed: commit => {
        committed = commit.offset
        this.commits.push(commit)
      },
      revoked: () => this.revoked.push(partition)
    }
  }

  control(partition: number): PartitionControl {
    const control = this.controls.get(partition)
    assert.ok(control, `partition ${partition} was not assigned`)
    return control
  }

  offsets(partition: number): number[] {
    return this.taken.filter(record => record.partition === partition).map(({ offset }) => offset)
  }
}

export function recordContract(name: string, make: () => Promise<RecordHarness>) {
  const it = (
    sentence: string,
    body: (started: { source: RecordSource; sink: RecordSink; keeper: Keeper; to: Make }) => Promise<void>
  ) =>
    test(`${name}: ${sentence}`, async () => {
      await using harness = await make()
      const { source, sink, topic } = harness
      const keeper = new Keeper()
      try {
        await sink.start()
        await source.start(keeper)
        await waitFor(() => source.ready && keeper.controls.size === 3, {
          deadlineMs: 30_000,
          what: 'three partitions'
        })
        await body({ source, sink, keeper, to: more => ({ topic, key: null, value: null, headers: {}, ...more }) })
      } finally {
        await source.close()
        await sink.close()
      }
    })
  type Make = (more: Partial<OutgoingRecord>) => OutgoingRecord

  it('a record arrives as it was produced, where the acknowledgement said', async ({ sink, keeper, to }) => {
    const value = Buffer.from([0, 255, 10, 0xc3, 0x28])
    const before = Date.now()
    const [at] = await sink.produce([to({ key: '방', value, headers: { 'x-a': '값', 'x-b': Buffer.from([0, 1]) } })])
    const record = await waitFor(() => keeper.taken[0], { what: 'the record' })
    assert.deepEqual(at, { topic: to({}).topic, partition: record.partition, offset: record.offset })
    assert.equal(record.key?.toString(), '방')
    assert.deepEqual(record.value, value)
    assert.deepEqual(
      record.headers.map(([header, bytes]) => [header, bytes.toString('hex')]),
      [
        ['x-a', Buffer.from('값').toString('hex')],
        ['x-b', '0001']
      ]
    )
    assert.ok(record.timestampMs >= before - 1000 && record.timestampMs <= Date.now() + 1000)
  })

  it('a tombstone and a record without a key arrive as null', async ({ sink, keeper, to }) => {
    await sink.produce([to({ partition: 1 })])
    const record = await waitFor(() => keeper.taken[0], { what: 'the record' })
    assert.deepEqual([record.key, record.value, record.partition], [null, null, 1])
  })

  it('the key decides the partition as the Java client would', async ({ sink, to }) => {
    // Hashes of org.apache.kafka.common.utils.UtilsTest.
    const hashes = { '21': -973932308, foobar: -790332482, 'a-little-bit-long-string': -985981536, abc: 479470107 }
    const produced = await sink.produce(Object.keys(hashes).map(key => to({ key })))
    const byHash = Object.values(hashes).map(hash => (hash & 0x7fffffff) % 3)
    assert.deepEqual(
      produced.map(({ partition }) => partition),
      byHash
    )
  })

  it('round-robin takes one partition after the other, whatever the key', async ({ sink, to }) => {
    const calls = Array.from({ length: 9 }, () => sink.produce([to({ key: 'k', partition: 'round-robin' })]))
    const partitions = (await Promise.all(calls)).flat().map(({ partition }) => partition)
    assert.deepEqual(partitions.toSorted(), [0, 0, 0, 1, 1, 1, 2, 2, 2])
  })

  it('records of one partition come in the order of the calls, in batches that say what they cover', async ({
    sink,
    keeper,
    to
  }) => {
    const calls = Array.from({ length: 300 }, (_, i) =>
      sink.produce([to({ partition: 0, value: Buffer.from(`${i}`) })])
    )
    await Promise.all(calls)
    await waitFor(() => keeper.taken.length === 300, { what: () => `300 records; ${keeper.taken.length} came` })
    assert.deepEqual(
      keeper.taken.map(({ value }) => Number(value)),
      Array.from({ length: 300 }, (_, i) => i)
    )
    for (const { records, lastOffset, highWatermark } of keeper.batches) {
      const last = records.at(-1)?.offset ?? -1
      assert.ok(lastOffset >= last && highWatermark > last)
    }
  })

  it('what the owner gives to commit is the commit of the group, with its metadata', async ({ sink, keeper, to }) => {
    await sink.produce([to({ partition: 2 }), to({ partition: 2 })])
    await waitFor(() => keeper.commits.at(-1)?.offset === 2, { what: 'the commit' })
    assert.deepEqual(await keeper.control(2).readCommit(), { offset: 2, metadata: 'baton:p2' })
    assert.equal(await keeper.control(1).readCommit(), null)
    await keeper.control(1).commit({ offset: 0, metadata: 'baton:other' })
    assert.deepEqual(await keeper.control(1).readCommit(), { offset: 0, metadata: 'baton:other' })
  })

  it('seek has the next batch begin there', async ({ sink, keeper, to }) => {
    await sink.produce(Array.from({ length: 5 }, () => to({ partition: 0 })))
    await waitFor(() => keeper.offsets(0).length === 5, { what: 'five records' })
    keeper.control(0).seek(3)
    await sink.produce([to({ partition: 0 })])
    await waitFor(() => keeper.offsets(0).filter(offset => offset === 5).length === 1, { what: 'the sixth record' })
    const again = keeper.offsets(0).slice(keeper.offsets(0).indexOf(4) + 1)
    assert.deepEqual(again.slice(again.indexOf(3)), [3, 4, 5])
  })

  it('bounds and times are those of the partition', async ({ sink, keeper, to }) => {
    const control = keeper.control(0)
    assert.deepEqual(await control.bounds(), { earliest: 0, latest: 0 })
    await sink.produce([to({ partition: 0 }), to({ partition: 0 })])
    assert.deepEqual(await control.bounds(), { earliest: 0, latest: 2 })
    assert.equal(await control.offsetAt(0), 0)
    assert.equal(await control.offsetAt(Date.now() + 3_600_000), 2)
  })

  it('several records in one call are all written or none is', async ({ sink, keeper, to }) => {
    const unknown = to({ topic: `${to({}).topic}-unknown` })
    await assert.rejects(sink.produce([to({ partition: 0 }), unknown]), (error: BatonError) => {
      assert.ok(error instanceof BatonError)
      return true
    })
    await sink.produce([to({ partition: 0, value: Buffer.from('next') })])
    await waitFor(() => keeper.taken.length > 0, { what: 'the next record' })
    assert.deepEqual(
      keeper.taken.map(({ offset, value }) => [offset, value?.toString()]),
      [[0, 'next']]
    )
  })

  it('lags count what is not consumed, and end at none', async ({ source, sink, to }) => {
    await sink.produce([to({ partition: 0 }), to({ partition: 1 })])
    await waitFor(() => source.lags().every(({ lag }) => lag === 0), { what: 'no lag' })
    assert.deepEqual(
      source
        .lags()
        .map(({ partition }) => partition)
        .sort(),
      [0, 1, 2]
    )
  })

  it('closing commits what is done and lets go of every partition, once', async ({ source, sink, keeper, to }) => {
    await sink.produce([to({ partition: 0 })])
    await waitFor(() => keeper.taken.length === 1, { what: 'the record' })
    await Promise.all([source.close(), source.close()])
    assert.equal(source.ready, false)
    assert.deepEqual(keeper.commits.at(-1), { offset: 1, metadata: 'baton:p0' })
    assert.deepEqual(keeper.revoked.sort(), [0, 1, 2])
    await sink.close()
    await sink.close()
    assert.equal(sink.ready, false)
  })
}
