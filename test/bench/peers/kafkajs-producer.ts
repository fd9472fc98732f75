import { Kafka, logLevel } from 'kafkajs'
import { bodyOf } from '../records.ts'

// A bare producer: one record after the other, each acknowledged by all. Arguments: brokers, topic, warm-up and time in ms.

const [brokers = '', topic = '', warmMs, ms] = process.argv.slice(2)
const producer = new Kafka({ brokers: brokers.split(','), logLevel: logLevel.NOTHING }).producer()
const times: number[] = []

await producer.connect()
const began = performance.now() + Number(warmMs)
for (let n = 1; performance.now() < began + Number(ms); n++) {
  const from = performance.now()
  await producer.send({ topic, messages: [{ key: 'r0', value: bodyOf(0, n) }], acks: -1 })
  if (from >= began) times.push(performance.now() - from)
}
await producer.disconnect()
times.sort((a, b) => a - b)
console.log(JSON.stringify({ p50Ms: times[times.length >> 1], p99Ms: times[Math.floor(times.length * 0.99)] }))
