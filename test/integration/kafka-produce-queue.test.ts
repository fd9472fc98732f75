import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { BatonError } from '../../src/errors.ts'
import { type Call, createQueue, offsetsIn } from '../../src/kafka/produce-queue.ts'
import type { OutgoingRecord, Produced } from '../../src/ports.ts'

const record = (topic: string, value: string): OutgoingRecord => ({
  topic,
  key: null,
  value: Buffer.from(value),
  headers: {}
})
const onePartition = ({ topic }: OutgoingRecord) => ({ topic, partition: 0 })

/** A Kafka of one partition for each topic. */
function createLog() {
  const log = new Map<string, string[]>()
  return {
    log,
    write(calls: Call[]) {
      const before = new Map<string, number>()
      for (const { topic, value } of calls.flatMap(({ records }) => records)) {
        const values = log.get(topic) ?? []
        if (!before.has(topic)) before.set(topic, values.length)
        log.set(topic, [...values, String(value)])
      }
      const answer = [...before].map(([topicName, offset]) => ({
        topicName,
        partition: 0,
        errorCode: 0,
        baseOffset: `${offset}`
      }))
      const offsets = offsetsIn(answer)
      for (const call of calls) assert.ok(call.acknowledge(offsets))
    }
  }
}

const step = fc.oneof(
  fc.record({ add: fc.uniqueArray(fc.constantFrom('a', 'b', 'c'), { minLength: 1, maxLength: 3 }) }),
  fc.record({ take: fc.boolean() }),
  fc.record({ settle: fc.nat(4), fails: fc.boolean() })
)

test('whatever fails and whenever, each topic-partition gets its records in call order, with the offsets told', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 120 }), async steps => {
      const queue = createQueue({ produceTimeoutMs: 60_000, produceQueueBytes: 1e9 })
      const kafka = createLog()
      const sent: { topics: string[]; number: string; done: Promise<Produced[]> }[] = []
      /** Groups under way: at most one of them a batch. */
      let groups: { calls: Call[]; isBatch: boolean }[] = []
      const take = (mayTransact: boolean) => {
        if (groups.some(({ isBatch }) => isBatch)) return false
        queue.place(onePartition)
        const { batch, transaction } = queue.take(
          groups.flatMap(({ calls }) => calls),
          mayTransact
        )
        if (transaction) groups.push({ calls: [transaction], isBatch: false })
        else if (batch.length > 0) groups.push({ calls: batch, isBatch: true })
        return transaction !== undefined || batch.length > 0
      }
      const settle = (at: number, fails: boolean) => {
        const group = groups[at % Math.max(1, groups.length)]
        groups = groups.filter(other => other !== group)
        if (group && fails) queue.putBack(group.calls)
        else if (group) kafka.write(group.calls)
      }
      for (const each of steps)
        if ('add' in each) {
          const number = `${sent.length}`
          sent.push({ topics: each.add, number, done: queue.add(each.add.map(topic => record(topic, number))) })
        } else if ('take' in each) take(each.take)
        else settle(each.settle, each.fails)
      while (queue.length > 0 || groups.length > 0) if (!take(true)) settle(0, false)
      for (const topic of ['a', 'b', 'c'])
        assert.deepEqual(
          kafka.log.get(topic) ?? [],
          sent.filter(({ topics }) => topics.includes(topic)).map(({ number }) => number)
        )
      for (const { number, done } of sent)
        for (const { topic, offset } of await done) assert.equal(kafka.log.get(topic)?.[offset], number)
    })
  )
})

test('a call whose topics are not learnt yet holds those behind it, so none overtakes', async () => {
  const queue = createQueue({ produceTimeoutMs: 60_000, produceQueueBytes: 1e9 })
  const log = createLog()
  const done = [queue.add([record('new', '0'), record('a', '0')]), queue.add([record('a', '1')])]
  queue.place(({ topic }) => (topic === 'new' ? undefined : { topic, partition: 0 }))
  assert.deepEqual(queue.take([], true), { batch: [] })
  queue.place(onePartition)
  const { transaction } = queue.take([], true)
  log.write([transaction as Call])
  log.write(queue.take([], true).batch)
  assert.deepEqual(log.log.get('a'), ['0', '1'])
  await Promise.all(done)
})

test('a call that is not acknowledged in time is rejected and no longer waits', async () => {
  const queue = createQueue({ produceTimeoutMs: 20, produceQueueBytes: 100 })
  const isAway = (error: unknown) => error instanceof BatonError && error.code === 'KAFKA_UNAVAILABLE'
  await assert.rejects(queue.add([record('a', 'x')]), isAway)
  assert.equal(queue.length, 0)
  const again = queue.add([record('a', 'x')])
  await assert.rejects(again, isAway)
})
