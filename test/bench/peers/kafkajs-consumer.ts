import { Kafka, logLevel } from 'kafkajs'
import { nowUs, sentUs } from '../records.ts'

// A bare consumer: kafkajs and JSON.parse. Arguments: brokers, topic, group, records before measuring begins, all records.
// Prints what the measured records cost and how old they were.

const [brokers = '', topic = '', groupId = '', skip, count] = process.argv.slice(2)

const kafka = new Kafka({ brokers: brokers.split(','), logLevel: logLevel.NOTHING })
const consumer = kafka.consumer({ groupId, maxWaitTimeInMs: 100 })
const ages: number[] = []
let seen = 0
let cpu = process.cpuUsage()
let done = false

await consumer.connect()
await consumer.subscribe({ topic, fromBeginning: true })
consumer.on(consumer.events.GROUP_JOIN, () => console.log('live'))
await consumer.run({
  autoCommit: false,
  eachBatch: async ({ batch }) => {
    const before = seen
    for (const { value } of batch.messages) {
      const age = nowUs() - sentUs(JSON.parse(String(value)))
      if (seen++ >= Number(skip)) ages.push(age)
    }
    if (before < Number(skip) && seen >= Number(skip)) {
      ages.length = 0
      cpu = process.cpuUsage()
    }
    if (seen >= Number(count)) tell()
  }
})

function tell() {
  if (done) return
  done = true
  const { user, system } = process.cpuUsage(cpu)
  const sorted = ages.sort((a, b) => a - b)
  const quantileMs = (part: number) => (sorted[Math.floor(part * sorted.length)] as number) / 1000
  const told = { records: ages.length, cpuMs: (user + system) / 1000, p50Ms: quantileMs(0.5), p99Ms: quantileMs(0.99) }
  console.log(JSON.stringify(told))
  void consumer.disconnect()
}
