import { unique } from '../support/ids.ts'
import { withKafka } from '../support/kafka-client.ts'
import { record, startSink } from '../support/kafka-sink.ts'
import { waitFor } from '../support/wait.ts'

// What a Kafka transaction costs: calls of two records each, to one partition (one batch) and to two topics (a transaction).
// `npm run bench`; figures compare within one run only.

const CALLS = 400
const AT_ONCE = 8
const WARM_UP = 40

await using kafka = await withKafka()
const [one, two] = [await kafka.createTopic(AT_ONCE), await kafka.createTopic(AT_ONCE)]
await using sink = await startSink({ brokers: kafka.brokers, instanceId: unique('bench') })
await waitFor(() => sink.ready, { what: 'the sink' })

/** Lane for lane, so that calls of different lanes may run at once. */
const call = (topics: [string, string], lane: number) =>
  sink.produce(topics.map(topic => record(topic, null, '100', { partition: lane })))

async function measure(topics: [string, string]) {
  const times: number[] = []
  for (let i = 0; i < WARM_UP; i++) await call(topics, i % AT_ONCE)
  const cpu = process.cpuUsage()
  for (let i = 0; i < CALLS; i++) {
    const from = performance.now()
    await call(topics, i % AT_ONCE)
    times.push(performance.now() - from)
  }
  const { user, system } = process.cpuUsage(cpu)
  const from = performance.now()
  let left = CALLS
  await Promise.all(
    Array.from({ length: AT_ONCE }, async (_, lane) => {
      while (left-- > 0) await call(topics, lane)
    })
  )
  return {
    p50Ms: times.sort((a, b) => a - b)[CALLS / 2] as number,
    cpuMs: (user + system) / 1000 / CALLS,
    perSecond: (1000 * CALLS) / (performance.now() - from)
  }
}

const batch = await measure([one, one])
const transaction = await measure([one, two])
const rows = {
  'one partition: a batch': batch,
  'two topics: a transaction': transaction,
  ratio: {
    p50Ms: transaction.p50Ms / batch.p50Ms,
    cpuMs: transaction.cpuMs / batch.cpuMs,
    perSecond: transaction.perSecond / batch.perSecond
  }
}
const shown = Object.entries(rows).map(([what, { p50Ms, cpuMs, perSecond }]) => [
  what,
  {
    'p50 ms': p50Ms.toFixed(1),
    'CPU ms': cpuMs.toFixed(1),
    [`per second, ${AT_ONCE} at once`]: perSecond.toFixed(perSecond < 10 ? 2 : 0)
  }
])
console.table(Object.fromEntries(shown))
