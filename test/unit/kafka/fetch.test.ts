import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { test } from 'node:test'
import fc from 'fast-check'
import type { KafkaMessage } from 'kafkajs'
import { mendFetch } from '../../../src/kafka/fetch.ts'
import { toRecord } from '../../../src/kafka/fetched.ts'
import { fetched as answer, type Encoder, RecordBatch, recordOf } from '../../support/kafka-bytes.ts'

const require = createRequire(import.meta.url)

type Message = KafkaMessage & { isControlRecord: boolean; batchContext: { producerId: string; inTransaction: boolean } }
interface Response {
  decode(bytes: Buffer): Promise<{ responses: { topicName: string; partitions: { messages: Message[] }[] }[] }>
}

const protocol = 'kafkajs/src/protocol'
const MessageSet = require(`${protocol}/messageSet/index.js`) as (set: object) => Encoder

const RESPONSE = require.resolve(`${protocol}/requests/fetch/v11/response.js`)
const load = (): Response['decode'] => {
  delete require.cache[RESPONSE]
  return (require(RESPONSE) as Response).decode
}
/** As kafkajs reads a fetch, and as we do, who mend the module that is loaded last. */
const theirs = load()
const ours = (() => {
  load()
  mendFetch()
  return (require(RESPONSE) as Response).decode
})()

const bytes = fc.uint8Array({ maxLength: 200 }).map(array => Buffer.from(array))
const record = fc.record({
  timestampDelta: fc.integer({ min: -5_000_000_000, max: 5_000_000_000 }),
  key: fc.option(bytes),
  value: fc.option(bytes),
  headers: fc.dictionary(
    // It takes the names of every object's members for repeated ones.
    fc.string({ maxLength: 6 }).filter(name => !(name in {})),
    fc.oneof(bytes, fc.array(bytes, { minLength: 2, maxLength: 3 })),
    { maxKeys: 3 }
  )
})
const batch = fc.record({
  firstOffset: fc.oneof(fc.nat(300), fc.integer({ min: 2 ** 40, max: 2 ** 52 })),
  firstTimestamp: fc.integer({ min: 1e10, max: 4e12 }),
  maxTimestamp: fc.integer({ min: 1e10, max: 4e12 }),
  producerId: fc.integer({ min: -1, max: 2 ** 40 }),
  compression: fc.constantFrom(0, 1),
  /** LogAppendTime, transactional, control. */
  flags: fc.subarray([0x08, 0x10, 0x20]),
  records: fc.array(record, { maxLength: 5 })
})

async function encode({ flags, records, ...rest }: typeof batch extends fc.Arbitrary<infer T> ? T : never) {
  const encoded = records.map((one, offsetDelta) => recordOf({ ...one, offsetDelta }))
  const { buffer } = await RecordBatch({ ...rest, records: encoded })
  const own = Buffer.from(buffer)
  own[22] = (own[22] as number) | flags.reduce((all, flag) => all | flag, 0)
  return own
}

const fetched = (set: Buffer) => answer(set, [{ producerId: 42, firstOffset: 6 }])

/** All of it, in the shape that both have, and as records. */
async function read(decode: Response['decode'], response: Buffer) {
  const { responses, ...rest } = await decode(response)
  const both = (message: Message) => ({ shown: messageOf(message), record: toRecord(message) })
  return {
    ...rest,
    responses: responses.map(({ partitions, ...topic }) => ({
      ...topic,
      partitions: partitions.map(({ messages, ...partition }) => ({ ...partition, messages: messages.map(both) }))
    }))
  }
}

function messageOf({ offset, timestamp, attributes, key, value, headers, isControlRecord, batchContext }: Message) {
  const { producerId, inTransaction } = batchContext
  return { offset, timestamp, attributes, key, value, headers, isControlRecord, producerId, inTransaction }
}

test('a fetch is read as kafkajs reads it, wherever it is cut off after its first batch', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(batch, { maxLength: 4 }), fc.nat(), async (batches, cut) => {
      const encoded = await Promise.all(batches.map(encode))
      const set = Buffer.concat(encoded)
      const most = cut % 3 === 0 ? Math.max(encoded[0]?.length ?? 0, cut % (set.length + 1)) : set.length
      const response = fetched(set.subarray(0, most))
      assert.deepEqual(await read(ours, response), await read(theirs, response))
    }),
    { numRuns: 300 }
  )
})

test('what is corrupt is an error, and no fewer records than there are', async () => {
  const one = {
    timestampDelta: 0,
    key: Buffer.from('key'),
    value: Buffer.from('value'),
    headers: { a: Buffer.from('1') }
  }
  const head = { firstOffset: 7, firstTimestamp: 1e12, maxTimestamp: 1e12, producerId: -1, compression: 0 as const }
  const set = await encode({ ...head, flags: [], records: [one, one] })
  const spoiled = (change: (bytes: Buffer) => unknown) => {
    const bytes = Buffer.from(set)
    change(bytes)
    return bytes
  }
  const record = 61
  const headerCount = record + 17
  assert.equal(set[headerCount], 2)
  const corrupt: [what: string, set: Buffer][] = [
    ['a first batch that is cut off', set.subarray(0, -1)],
    ['less than the head of a batch', set.subarray(0, 17)],
    ['a batch that is longer than all', spoiled(bytes => bytes.writeInt32BE(2 ** 30, 8))],
    ['a batch that is shorter than its head', spoiled(bytes => bytes.writeInt32BE(20, 8))],
    ['a count of fewer', spoiled(bytes => bytes.writeInt32BE(1, 57))],
    ['a count of none', spoiled(bytes => bytes.writeInt32BE(-1, 57))],
    ['a count of more', spoiled(bytes => bytes.writeInt32BE(2 ** 31 - 1, 57))],
    ['a record that is longer', spoiled(bytes => bytes.writeUInt8(0x7e, record))],
    ['a record that is shorter', spoiled(bytes => bytes.writeUInt8(2, record))],
    ['a number without an end', spoiled(bytes => bytes.fill(0xff, record + 2))],
    ['more headers than there is room for', spoiled(bytes => bytes.write('feffffff0f', headerCount, 'hex'))]
  ]
  for (const [what, bytes] of corrupt) await assert.rejects(ours(fetched(bytes)), /corrupt/, what)
})

test('records of before Kafka 0.11 are left to kafkajs', async () => {
  const entries = [{ key: 'k', value: 'v', timestamp: 5, compression: 0 }]
  const set = MessageSet({ messageVersion: 1, entries }).buffer
  const response = fetched(set)
  const decoded = await ours(response)
  const messages = decoded.responses[0]?.partitions[0]?.messages
  assert.equal(messages?.length, 1)
  const parts = { key: Buffer.from('k'), value: Buffer.from('v'), headers: [] }
  assert.deepEqual(messages.map(toRecord), [{ offset: 0, timestampMs: 5, ...parts }])
  assert.deepEqual(decoded, await theirs(response))
})
