import type { RecordMetadata } from 'kafkajs'
import { BatonError } from '../errors.ts'
import type { OutgoingRecord, Produced } from '../ports.ts'
import type { Lane, LaneOf } from './lanes.ts'

// Calls of `produce` that are not under way, in call order. A call may begin when no earlier unfinished call shares a lane with
// it, so order holds per topic-partition across batches and transactions alike.

/** One call of `produce`: its records are written all or none. */
export interface Call {
  readonly records: OutgoingRecord[]
  /** Of each record; empty until placed. */
  readonly lanes: Lane[]
  /** To be sent in a batch of its own. */
  alone: boolean
  /** Settles it with its offsets. @returns false when the answer does not cover it. */
  acknowledge(offsets: Offsets): boolean
  reject(error: BatonError): void
}

/** The offset of the next record of a lane, in the order they were sent; undefined: Kafka did not answer for that lane. */
export type Offsets = (lane: Lane) => number | undefined

export interface ProduceQueue {
  readonly length: number
  add(records: OutgoingRecord[]): Promise<Produced[]>
  /** Of the calls not placed yet. */
  topics(): string[]
  /** Gives lanes to calls that have none, up to the first whose topics are not learnt yet; rejects those for which there is none. */
  place(laneOf: LaneOf): void
  /** Removes what may be sent now: one call to more than one lane, or a batch of calls to one lane each. */
  take(underWay: Iterable<Call>, mayTransact: boolean): { transaction?: Call; batch: Call[] }
  /** In front of all others, to be placed anew. */
  putBack(calls: Call[]): void
}

interface QueuedCall extends Call {
  lanes: Lane[]
  /** Distinct. */
  keys: string[]
  bytes: number
  settled: boolean
}

/** Below the least usual max.message.bytes, which bounds what one batch brings to one partition. */
const BATCH_BYTES = 512 * 1024
const RECORD_OVERHEAD_BYTES = 64

export function createQueue(options: { produceTimeoutMs: number; produceQueueBytes: number }): ProduceQueue {
  const { produceTimeoutMs, produceQueueBytes } = options
  /** In call order. A set: calls that time out leave it one by one. */
  let calls = new Set<QueuedCall>()
  let bytesWaiting = 0

  function add(records: OutgoingRecord[]): Promise<Produced[]> {
    const bytes = records.reduce((sum, record) => sum + bytesOf(record), 0)
    if (bytesWaiting + bytes > produceQueueBytes) {
      const detail = `${bytesWaiting} bytes wait already, kafka.produceQueueBytes is ${produceQueueBytes}`
      return Promise.reject(new BatonError('PRODUCE_QUEUE_FULL', detail))
    }
    const { promise, resolve, reject } = Promise.withResolvers<Produced[]>()
    const timer = setTimeout(() => call.reject(timedOut(records, produceTimeoutMs)), produceTimeoutMs)
    const settle = () => {
      if (call.settled) return
      clearTimeout(timer)
      call.settled = true
      bytesWaiting -= bytes
      calls.delete(call)
    }
    const call: QueuedCall = {
      records,
      lanes: [],
      keys: [],
      bytes,
      alone: false,
      settled: false,
      acknowledge(offsets) {
        const produced = call.lanes.map(lane => ({ ...lane, offset: offsets(lane) }))
        if (!produced.every(isWhole)) return false
        settle()
        resolve(produced)
        return true
      },
      reject(error) {
        settle()
        reject(error)
      }
    }
    bytesWaiting += bytes
    calls.add(call)
    return promise
  }

  function unplaced(): QueuedCall[] {
    return [...calls].filter(({ lanes }) => lanes.length === 0)
  }

  function place(laneOf: LaneOf): void {
    for (const call of unplaced()) {
      const lanes = call.records.map(laneOf)
      if (lanes.includes(undefined)) return
      const nowhere = lanes.indexOf(null)
      if (nowhere !== -1) call.reject(noSuchPlace(call.records[nowhere] as OutgoingRecord))
      else {
        call.lanes = lanes as Lane[]
        call.keys = [...new Set(call.lanes.map(({ topic, partition }) => `${topic}/${partition}`))]
      }
    }
  }

  function take(underWay: Iterable<Call>, mayTransact: boolean): { transaction?: Call; batch: Call[] } {
    const held = new Set([...underWay].flatMap(call => (call as QueuedCall).keys))
    const batch: QueuedCall[] = []
    let bytes = 0
    for (const call of calls) {
      if (call.keys.length === 0) break
      const free = call.keys.every(key => !held.has(key))
      const isOrdinary = call.keys.length === 1
      if (free && !isOrdinary && mayTransact && batch.length === 0) {
        calls.delete(call)
        return { transaction: call, batch }
      }
      const fits = batch.length === 0 || (bytes + call.bytes <= BATCH_BYTES && !call.alone && !batch[0]?.alone)
      if (free && isOrdinary && fits) {
        batch.push(call)
        bytes += call.bytes
      } else for (const key of call.keys) held.add(key)
    }
    for (const call of batch) calls.delete(call)
    return { batch }
  }

  return {
    get length() {
      return calls.size
    },
    add,
    topics: () => unplaced().flatMap(({ records }) => records.map(({ topic }) => topic)),
    place,
    take,
    putBack(taken) {
      const back = (taken as QueuedCall[]).filter(({ settled }) => !settled)
      for (const call of back) {
        call.lanes = []
        call.keys = []
      }
      calls = new Set([...back, ...calls])
    }
  }
}

/** Reads the first offsets of a send's answer. */
export function offsetsIn(answer: RecordMetadata[]): Offsets {
  const next = new Map(
    answer.map(({ topicName, partition, baseOffset }) => [`${topicName}/${partition}`, Number(baseOffset)])
  )
  return ({ topic, partition }) => {
    const key = `${topic}/${partition}`
    const offset = next.get(key)
    if (offset !== undefined) next.set(key, offset + 1)
    return offset
  }
}

function isWhole(produced: Lane & { offset: number | undefined }): produced is Produced {
  return produced.offset !== undefined
}

function bytesOf({ key, value, headers }: OutgoingRecord): number {
  let bytes = RECORD_OVERHEAD_BYTES + Buffer.byteLength(key ?? '') + (value?.length ?? 0)
  for (const [name, content] of Object.entries(headers)) bytes += name.length + Buffer.byteLength(content)
  return bytes
}

function timedOut(records: OutgoingRecord[], timeoutMs: number): BatonError {
  return new BatonError('KAFKA_UNAVAILABLE', `topic "${records[0]?.topic}": no acknowledgement within ${timeoutMs} ms`)
}

function noSuchPlace({ topic, partition }: OutgoingRecord): BatonError {
  const what = typeof partition === 'number' ? `partition ${partition} of topic "${topic}"` : `topic "${topic}"`
  return new BatonError(
    'KAFKA_UNAVAILABLE',
    `Kafka does not have ${what}: declare it in the configuration, or create it`
  )
}
