import { Readable } from 'node:stream'
import stompit from 'stompit'
import { createDecoder } from '../../../src/stomp/decoder.ts'
import { encodeFrame } from '../../../src/stomp/frame.ts'
import { bodyOf } from '../records.ts'

// Decodes SEND frames and prints how many in a second of CPU time. Arguments: whose decoder, frames in a chunk, frames.

const [whose, inChunk, frames] = process.argv.slice(2)
const perChunk = Number(inChunk)
const headers = [
  ['destination', '/pub/chat/message'],
  ['content-type', 'application/json'],
  ['receipt', 'r1']
] as const
const frame = encodeFrame('1.2', 'SEND', headers, Buffer.from(bodyOf(1, 1)))
const chunk = Buffer.concat(Array<Buffer>(perChunk).fill(frame))

function ours(chunks: number): number {
  const decoder = createDecoder({ maxHeaders: 64, maxHeaderBytes: 16_384, maxBodyBytes: 1_048_576 })
  decoder.version = '1.2'
  let decoded = 0
  for (let i = 0; i < chunks; i++) {
    decoder.push(chunk)
    while (decoder.next()) decoded++
  }
  return decoded
}

async function theirs(chunks: number): Promise<number> {
  const stream = new stompit.IncomingFrameStream()
  stream.setVersion('1.2')
  function* source() {
    for (let i = 0; i < chunks; i++) yield chunk
  }
  Readable.from(source()).pipe(stream)
  let decoded = 0
  for await (const frame of stream) {
    for await (const _ of frame as Readable);
    decoded++
  }
  return decoded
}

const decode = whose === 'stompit' ? theirs : ours
const chunks = Math.ceil(Number(frames) / perChunk)
await decode(Math.ceil(chunks / 5))
const cpu = process.cpuUsage()
const decoded = await decode(chunks)
const { user, system } = process.cpuUsage(cpu)
if (decoded !== chunks * perChunk) throw new Error(`${decoded} of ${chunks * perChunk} frames were decoded`)
console.log(JSON.stringify({ perCpuSecond: (decoded * 1_000_000) / (user + system) }))
