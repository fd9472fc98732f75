import assert from 'node:assert/strict'
import type { Commit, KafkaRecord, PartitionControl, PartitionHandler } from '../../../src/ports.ts'
import type { Random, Shape } from './random.ts'
import { type Fate, type Tap, TIMED_OUT } from './tap.ts'

export const GROUP = 'g'
/** The timestamp of a transaction marker: kafkajs never shows it (I4). */
const CONTROL = -1
const FENCED = new Error('fenced by the group')

/** A partition as Kafka would keep it. */
export interface Partition {
  topic: string
  number: number
  /** From `earliest` on. */
  records: KafkaRecord[]
  earliest: number
  /** As Kafka says it since 2.8. */
  topicId: string | undefined
  commit: Commit | null
  /** Of the group: commits of an older one are refused. */
  generation: number
}

export function createPartition(topic: string, number: number): Partition {
  return { topic, number, records: [], earliest: 0, topicId: undefined, commit: null, generation: 0 }
}

export const endOf = ({ earliest, records }: Partition): number => earliest + records.length

export function addRecord(partition: Partition, key: string, value: string, flags: string[] = []): void {
  partition.records.push({
    offset: endOf(partition),
    timestampMs: Date.now(),
    key: Buffer.from(key),
    value: Buffer.from(value),
    headers: flags.map(flag => [flag, Buffer.of()])
  })
}

export function addControl(partition: Partition): void {
  const offset = endOf(partition)
  partition.records.push({ offset, timestampMs: CONTROL, key: null, value: null, headers: [] })
}

const isShown = ({ timestampMs }: KafkaRecord): boolean => timestampMs !== CONTROL

/** The last offset that a consumer gets to see; −1: none. */
export const lastShown = ({ records }: Partition): number => records.findLast(isShown)?.offset ?? -1

export interface ConsumerDeps {
  /** Its own. */
  relay: PartitionHandler
  tap: Tap
  random: Random
  shape: Shape
}

export type Consumer = Awaited<ReturnType<typeof createConsumer>>

/** A member of the group that was just assigned the partition; the one before it is a zombie from here on (I2). */
export async function createConsumer(partition: Partition, { relay, tap, random, shape }: ConsumerDeps) {
  const generation = ++partition.generation
  let position = partition.commit?.offset ?? 0
  let sought = false
  let refilling = false

  const control: PartitionControl = {
    topic: partition.topic,
    partition: partition.number,
    group: GROUP,
    topicId: async () => partition.topicId,
    readCommit: async () => partition.commit,
    async commit(commit) {
      if (generation !== partition.generation) throw FENCED
      partition.commit = commit
    },
    bounds: async () => ({ earliest: partition.earliest, latest: endOf(partition) }),
    async offsetAt(timestampMs) {
      refilling = true
      return partition.records.find(record => record.timestampMs >= timestampMs)?.offset ?? endOf(partition)
    },
    seek(offset) {
      if (refilling) assertRefill(offset)
      refilling = false
      position = offset
      sought = true
    }
  }

  /** I9: live waits behind the refill, so it is bounded; and within its bounds it brings all. */
  function assertRefill(offset: number): void {
    const { maxRecords, maxAgeMs } = shape.refill
    const end = partition.commit?.offset ?? 0
    const ageOf = (record: KafkaRecord | undefined) => Date.now() - (record?.timestampMs ?? Number.POSITIVE_INFINITY)
    const shown = partition.records.filter(record => record.offset < end && isShown(record))
    const oldest = shown.find(record => record.offset >= offset)
    assert.ok(end - offset <= maxRecords, `a refill goes back by ${end - offset} records, the bound is ${maxRecords}`)
    assert.ok(ageOf(oldest) <= maxAgeMs, `a refill goes back by ${ageOf(oldest)} ms, the bound is ${maxAgeMs}`)
    const next = shown.findLast(record => record.offset < offset && end - record.offset <= maxRecords)
    assert.ok(!next || ageOf(next) > maxAgeMs, `a refill goes back by ${end - offset} records only, not ${maxRecords}`)
  }

  let { topicId } = partition
  const owner = await relay.assigned(control)

  return {
    partition,
    get position() {
      return position
    },
    /** The topic was made anew, and it has not looked since. */
    get isUnaware() {
      return topicId !== partition.topicId
    },
    /** One fetch; an idle partition is probed instead (I3). @param fate of its append. */
    async step(fate?: Fate): Promise<void> {
      // Out of range: kafkajs goes on at the first retained record.
      if (position < partition.earliest || position > endOf(partition)) position = partition.earliest
      const from = position - partition.earliest
      const fetched = partition.records.slice(from, from + 1 + random(6))
      const lastOffset = fetched.at(-1)?.offset
      if (lastOffset === undefined) return owner.probe()
      const records = fetched.filter(isShown)
      sought = false
      if (records.length > 0) {
        const after = topicId === partition.topicId ? undefined : 'anew'
        topicId = partition.topicId
        const beat = { heartbeat: async () => undefined, stale: () => sought }
        tap.meet(fate)
        try {
          await owner.batch({ records, highWatermark: endOf(partition), lastOffset, ...(after && { after }) }, beat)
        } catch (error) {
          // kafkajs fetches again what was not resolved.
          if (error === TIMED_OUT || error === FENCED) return
          throw error
        } finally {
          tap.meet(undefined)
        }
      }
      if (!sought) position = lastOffset + 1
    },
    /** Commits what may be committed, as the consumer's timer does. */
    commit(): void {
      const commit = owner.committable()
      if (!commit || generation !== partition.generation) return
      partition.commit = commit
      owner.committed(commit)
    }
  }
}
