import { createRequire } from 'node:module'

// kafkajs 2.2.4 asks for metadata as Kafka had it in 2018: by names alone, so a topic that was deleted and made anew looks like the
// one before. Here it learns version 10, which Kafka has had since 2.8: it says the topic's id too (KIP-516).

const VERSION = 10
const API_KEY = 3
const ID_BYTES = 16

interface Encoder {
  writeInt8(value: number): Encoder
  writeBoolean(value: boolean): Encoder
  writeBuffer(value: Buffer): Encoder
  writeUVarInt(value: number): Encoder
  writeUVarIntString(value: string): Encoder
}

interface Decoder {
  readInt16(): number
  readInt32(): number
  readBoolean(): boolean
  readBytes(length: number): Buffer
  readUVarIntString(): string | null
  readUVarIntArray<T>(read: (decoder: Decoder) => T): T[] | null
  readTaggedFields(): unknown
}

interface Asked {
  topics: string[]
  allowAutoTopicCreation?: boolean
}

interface Metadata {
  versions: string[]
  protocol(which: { version: number }): (asked: Asked) => { request: object; response: object }
}

/** Mends every client in this process: partitions of `admin.fetchTopicMetadata` then have a `topicId`, where brokers say it. */
export function mendMetadata(): void {
  const require = createRequire(import.meta.url)
  const metadata = require('kafkajs/src/protocol/requests/metadata/index.js') as Metadata
  if (metadata.versions.includes(`${VERSION}`)) return
  const EncoderOf = require('kafkajs/src/protocol/encoder.js') as new () => Encoder
  const DecoderOf = require('kafkajs/src/protocol/decoder.js') as new (bytes: Buffer) => Decoder
  const { parse } = metadata.protocol({ version: 6 })({ topics: [] }).response as { parse: unknown }
  const { protocol } = metadata
  const newest = Math.max(...metadata.versions.map(Number))

  function encode({ topics, allowAutoTopicCreation = true }: Asked): Encoder {
    // Tagged fields end the header, each topic and the request: none.
    const encoder = new EncoderOf().writeInt8(0).writeUVarInt(topics.length > 0 ? topics.length + 1 : 0)
    for (const topic of topics) encoder.writeBuffer(Buffer.alloc(ID_BYTES)).writeUVarIntString(topic).writeUVarInt(0)
    return encoder.writeBoolean(allowAutoTopicCreation).writeBoolean(false).writeBoolean(false).writeUVarInt(0)
  }

  const request = (asked: Asked) => ({
    apiKey: API_KEY,
    apiVersion: VERSION,
    apiName: 'Metadata',
    encode: async () => encode(asked)
  })
  const response = { decode: async (bytes: Buffer) => decode(new DecoderOf(bytes)), parse }
  metadata.versions.push(`${VERSION}`)
  metadata.protocol = ({ version }) =>
    version >= VERSION
      ? asked => ({ request: request(asked), response })
      : protocol({ version: Math.min(version, newest) })
}

/** The shape that kafkajs has for version 6, and the topic's id with each partition. */
function decode(decoder: Decoder) {
  decoder.readTaggedFields()
  const clientSideThrottleTime = decoder.readInt32()
  const brokers = list(decoder, broker)
  const clusterId = decoder.readUVarIntString()
  const controllerId = decoder.readInt32()
  return {
    throttleTime: 0,
    clientSideThrottleTime,
    brokers,
    clusterId,
    controllerId,
    topicMetadata: list(decoder, topic)
  }
}

function list<T>(decoder: Decoder, read: (decoder: Decoder) => T): T[] {
  return decoder.readUVarIntArray(read) ?? []
}

function tagged<T>(decoder: Decoder, value: T): T {
  decoder.readTaggedFields()
  return value
}

const int32 = (decoder: Decoder) => decoder.readInt32()

function broker(decoder: Decoder) {
  const nodeId = decoder.readInt32()
  const host = decoder.readUVarIntString()
  return tagged(decoder, { nodeId, host, port: decoder.readInt32(), rack: decoder.readUVarIntString() })
}

function topic(decoder: Decoder) {
  const topicErrorCode = decoder.readInt16()
  const name = decoder.readUVarIntString()
  const topicId = decoder.readBytes(ID_BYTES).toString('hex')
  const isInternal = decoder.readBoolean()
  const partitionMetadata = list(decoder, () => ({ ...partition(decoder), topicId }))
  decoder.readInt32() // what the client may do, not asked for
  return tagged(decoder, { topicErrorCode, topic: name, isInternal, partitionMetadata })
}

function partition(decoder: Decoder) {
  const partitionErrorCode = decoder.readInt16()
  const partitionId = decoder.readInt32()
  const leader = decoder.readInt32()
  decoder.readInt32() // the leader's epoch
  const [replicas, isr, offlineReplicas] = [list(decoder, int32), list(decoder, int32), list(decoder, int32)]
  return tagged(decoder, { partitionErrorCode, partitionId, leader, replicas, isr, offlineReplicas })
}
