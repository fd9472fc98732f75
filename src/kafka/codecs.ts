import { createRequire } from 'node:module'
import { promisify } from 'node:util'
import { unzip, zstdCompress, zstdDecompress } from 'node:zlib'
import kafkajs from 'kafkajs'

// kafkajs brings gzip only, keeps codecs per process, and unpacks without bound: 1 MiB of gzip may be 1 GiB.

export interface Codec {
  compress(encoder: { buffer: Buffer }): Promise<Buffer>
  decompress(bytes: Buffer): Promise<Buffer>
}

/**
 * The most that a batch may unpack to. Kafka bounds what it stores of one, 1 MiB by default, and producers what they pack, in Java
 * to 1 MiB too: so this is a hundred times what is usual.
 */
export const MAX_UNPACKED_BYTES = 128 * 2 ** 20

const BOUND = { maxOutputLength: MAX_UNPACKED_BYTES }
const [unpackGzip, compressZstd, unpackZstd] = [promisify(unzip), promisify(zstdCompress), promisify(zstdDecompress)]

/** Makes every codec of Kafka readable and writable. What would unpack to more than MAX_UNPACKED_BYTES rejects. */
export function registerCodecs(): void {
  // One has no types, the other's types say `default` where there is none.
  const require = createRequire(import.meta.url)
  const snappy = (require('kafkajs-snappy') as () => Codec)()
  const Lz4 = require('@2l/kafkajs-lz4') as new () => { codec: () => Codec }
  const lz4 = new Lz4().codec()
  const { CompressionTypes } = kafkajs
  const codecs: Record<number, () => Codec> = kafkajs.CompressionCodecs
  const gzip = codecs[CompressionTypes.GZIP]?.() as Codec
  codecs[CompressionTypes.GZIP] = () => ({
    compress: gzip.compress,
    decompress: bytes => unpackGzip(bytes, BOUND).catch(refuse)
  })
  codecs[CompressionTypes.Snappy] = () => ({
    compress: snappy.compress,
    async decompress(bytes) {
      const blocks = snappyBlocks(bytes)
      check(blocks.map(snappyLength))
      return Buffer.concat(await Promise.all(blocks.map(snappy.decompress)))
    }
  })
  codecs[CompressionTypes.LZ4] = () => ({
    compress: lz4.compress,
    async decompress(bytes) {
      check(lz4Lengths(bytes))
      return lz4.decompress(bytes)
    }
  })
  codecs[CompressionTypes.ZSTD] = () => ({
    compress: ({ buffer }) => compressZstd(buffer),
    decompress: bytes => unpackZstd(bytes, BOUND).catch(refuse)
  })
}

function check(lengths: number[]): void {
  if (lengths.reduce((sum, length) => sum + length, 0) > MAX_UNPACKED_BYTES) throw tooMuch()
}

function refuse(error: NodeJS.ErrnoException): never {
  throw error.code === 'ERR_BUFFER_TOO_LARGE' ? tooMuch() : error
}

export function tooMuch(): Error {
  return new Error(`it would be over ${MAX_UNPACKED_BYTES / 2 ** 20} MiB; delete it from Kafka to go on`)
}

/** What Java writes: blocks, each after its length, behind this and two version numbers. */
const XERIAL = Buffer.from('\x82SNAPPY\0', 'latin1')
const XERIAL_HEAD_BYTES = 16

function snappyBlocks(bytes: Buffer): Buffer[] {
  if (!bytes.subarray(0, XERIAL.length).equals(XERIAL)) return [bytes]
  const blocks: Buffer[] = []
  for (let at = XERIAL_HEAD_BYTES; at < bytes.length; ) {
    const from = at + 4
    at = from + bytes.readUInt32BE(at)
    blocks.push(bytes.subarray(from, at))
  }
  return blocks
}

/** As a block states it first, seven bits in a byte. No block begins as a row of them does, which its codec would take it for. */
function snappyLength(block: Buffer): number {
  if (block.subarray(0, XERIAL.length).equals(XERIAL)) throw new Error('Invalid Snappy bitstream')
  let length = 0
  for (const [at, byte] of block.subarray(0, 5).entries()) {
    length += (byte & 0x7f) * 2 ** (7 * at)
    if (byte < 0x80) break
  }
  return length
}

const LZ4_MAGIC = 0x184d2204
const [LZ4_DICTIONARY, LZ4_LENGTH, LZ4_BLOCK_CHECKSUMS] = [0x01, 0x08, 0x10]

/** A frame need not state its length: the most that each of its blocks may hold, all but the last being full. */
function lz4Lengths(bytes: Buffer): number[] {
  if (bytes.readUInt32LE() !== LZ4_MAGIC) throw new Error('Invalid LZ4 frame')
  const flags = bytes.readUInt8(4)
  const blockBytes = 2 ** (8 + 2 * ((bytes.readUInt8(5) >> 4) & 7))
  const checksumBytes = flags & LZ4_BLOCK_CHECKSUMS ? 4 : 0
  const lengths: number[] = []
  let at = 7 + (flags & LZ4_LENGTH ? 8 : 0) + (flags & LZ4_DICTIONARY ? 4 : 0)
  while (at + 4 <= bytes.length) {
    const size = bytes.readUInt32LE(at)
    if (size === 0) break
    lengths.push(blockBytes)
    // The highest bit: stored as it is.
    at += 4 + (size & 0x7fffffff) + checksumBytes
  }
  return lengths
}
