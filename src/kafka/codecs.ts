import { createRequire } from 'node:module'
import { promisify } from 'node:util'
import { zstdCompress, zstdDecompress } from 'node:zlib'
import kafkajs from 'kafkajs'

interface Codec {
  compress(encoder: { buffer: Buffer }): Promise<Buffer>
  decompress(buffer: Buffer): Promise<Buffer>
}

const compressZstd = promisify(zstdCompress)
const decompressZstd = promisify(zstdDecompress)
const zstd: Codec = {
  compress: ({ buffer }) => compressZstd(buffer),
  decompress: buffer => decompressZstd(buffer)
}

/** Makes every codec of Kafka readable and writable; kafkajs itself brings gzip only, and keeps codecs per process. */
export function registerCodecs(): void {
  // One has no types, the other's types say `default` where there is none.
  const require = createRequire(import.meta.url)
  const createSnappyCodec = require('kafkajs-snappy') as () => Codec
  const Lz4 = require('@2l/kafkajs-lz4') as new () => { codec: () => Codec }
  const { CompressionCodecs, CompressionTypes } = kafkajs
  CompressionCodecs[CompressionTypes.Snappy] = createSnappyCodec
  CompressionCodecs[CompressionTypes.LZ4] = new Lz4().codec
  CompressionCodecs[CompressionTypes.ZSTD] = () => zstd
}
