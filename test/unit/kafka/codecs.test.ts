import assert from 'node:assert/strict'
import { test } from 'node:test'
import kafkajs from 'kafkajs'
import { MAX_UNPACKED_BYTES, registerCodecs } from '../../../src/kafka/codecs.ts'
import { type Encoder, fetchDecoder, fetched, RecordBatch, recordOf } from '../../support/kafka-bytes.ts'

registerCodecs()
const { CompressionTypes } = kafkajs
const codecs: Record<number, () => Record<'compress' | 'decompress', (of: unknown) => Promise<Buffer>>> =
  kafkajs.CompressionCodecs
const pack = async (type: number, buffer: Buffer) => (await codecs[type]?.().compress({ buffer })) as Buffer
const unpack = async (type: number, bytes: Buffer) => (await codecs[type]?.().decompress(bytes)) as Buffer

const { GZIP, Snappy, LZ4, ZSTD } = CompressionTypes
const TOO_MUCH = /over 128 MiB/
const MIB = 2 ** 20
const XERIAL_HEAD = Buffer.from('\x82SNAPPY\0\0\0\0\x01\0\0\0\x01', 'latin1')
const XERIAL = (...blocks: Buffer[]) =>
  Buffer.concat([XERIAL_HEAD, ...blocks.flatMap(block => [uint32(block.length), block])])

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}

for (const [name, type] of Object.entries({ GZIP, LZ4, ZSTD }))
  test(`${name} unpacks to the bound, and not to a byte more`, async () => {
    const whole = Buffer.alloc(MAX_UNPACKED_BYTES + 1)
    const most = await unpack(type, await pack(type, whole.subarray(1)))
    assert.equal(most.length, MAX_UNPACKED_BYTES)
    await assert.rejects(unpack(type, await pack(type, whole)), TOO_MUCH)
  })

test('Snappy that states more than the bound is not unpacked, in whole or in blocks', async () => {
  const [half, more] = [64 * MIB, 64 * MIB + 1].map(length => {
    // A block that begins with its length and holds nothing else.
    const bytes = Buffer.alloc(4)
    for (const at of bytes.keys()) bytes[at] = ((length >> (7 * at)) & 0x7f) | (at < 3 ? 0x80 : 0)
    return bytes
  }) as [Buffer, Buffer]
  assert.equal((await unpack(Snappy, XERIAL(half, half))).length, MAX_UNPACKED_BYTES)
  await assert.rejects(unpack(Snappy, XERIAL(half, more)), TOO_MUCH)
  await assert.rejects(unpack(Snappy, Buffer.from('ffffffff07', 'hex')), TOO_MUCH)
  await assert.rejects(unpack(Snappy, Buffer.from('ffffffff0f', 'hex')), TOO_MUCH)
  await assert.rejects(unpack(Snappy, XERIAL(XERIAL(half, half), half)), /Invalid Snappy/)
})

test('Snappy is read in whole and in the blocks that Java writes', async () => {
  const [one, two] = [Buffer.from('hello '.repeat(100)), Buffer.from('world')]
  assert.deepEqual(await unpack(Snappy, await pack(Snappy, one)), one)
  const blocks = XERIAL(await pack(Snappy, one), await pack(Snappy, two))
  assert.deepEqual(await unpack(Snappy, blocks), Buffer.concat([one, two]))
  await assert.rejects(unpack(Snappy, blocks.subarray(0, -1)), /Invalid Snappy/)
})

test('LZ4 that hides its blocks behind an empty one, or in the frame of old, is not unpacked', async () => {
  const bomb = await pack(LZ4, Buffer.alloc(MAX_UNPACKED_BYTES + 1))
  const head = 7
  const hidden = Buffer.concat([bomb.subarray(0, head), Buffer.from('00000080', 'hex'), bomb.subarray(head)])
  await assert.rejects(unpack(LZ4, hidden), TOO_MUCH)
  const old = Buffer.concat([Buffer.from('02214c18', 'hex'), bomb.subarray(head)])
  await assert.rejects(unpack(LZ4, old), /Invalid LZ4/)
})

test('a fetch says which batch is over the bound, and takes no more batches than unpack to about that', async () => {
  const decode = fetchDecoder()
  const record = (bytes: number, headers = 0) => {
    const h = Array.from({ length: headers }, () => Buffer.alloc(0))
    return recordOf({ offsetDelta: 0, timestampDelta: 0, key: null, value: Buffer.alloc(bytes), headers: { h } })
  }
  const batchAt = async (firstOffset: number, one: Encoder, times = 1) => {
    const head = { firstTimestamp: 1e12, maxTimestamp: 1e12, producerId: -1, compression: ZSTD }
    return (await RecordBatch({ ...head, firstOffset, records: Array.from({ length: times }, () => one) })).buffer
  }
  const bombs = await Promise.all([
    batchAt(7, record(MAX_UNPACKED_BYTES)),
    batchAt(7, record(0), 600_000),
    batchAt(7, record(0, 6000), 100)
  ])
  for (const bomb of bombs)
    await assert.rejects(decode(fetched(bomb)), /topic t, partition 3: the batch at offset 7 .*over 128 MiB/)
  const batches = await Promise.all([0, 1, 2].map(offset => batchAt(offset, record(65 * MIB))))
  const { responses } = await decode(fetched(Buffer.concat([...batches, ...bombs])))
  assert.deepEqual(
    responses[0]?.partitions[0]?.messages.map(({ offset }) => offset),
    ['0', '1']
  )
})
