import { unique } from '../../support/ids.ts'
import { record, startSink } from '../../support/kafka-sink.ts'
import { waitFor } from '../../support/wait.ts'
import { interleave } from '../measure.ts'
import type { Scenario } from '../world.ts'

const AT_ONCE = 8
const WARM_UP = 40

/** What a Kafka transaction costs beside a batch of the same records, by the sink of this process. */
export const transactionScenario: Scenario = {
  name: 'transactions',
  about: 'Calls of two records each: to one partition (one batch) and to two topics (a Kafka transaction).',
  async run(world) {
    const kafka = await world.kafka()
    const [one, two] = [await kafka.createTopic(AT_ONCE), await kafka.createTopic(AT_ONCE)]
    await using sink = await startSink({ brokers: kafka.brokers, instanceId: unique('bench') })
    await waitFor(() => sink.ready, { what: 'the sink' })
    const calls = world.size(400)

    /** Lane for lane, so that calls of different lanes may run at once. */
    const call = (topics: string[], lane: number) =>
      sink.produce(topics.map(topic => record(topic, null, '100', { partition: lane })))

    async function measure({ contender, topics }: { contender: string; topics: string[] }, atOnce: number) {
      const times: number[] = []
      for (let i = 0; i < WARM_UP; i++) await call(topics, i % AT_ONCE)
      const began = performance.now()
      const cpu = process.cpuUsage()
      let left = calls
      const lane = async (_: unknown, index: number) => {
        while (left-- > 0) {
          const from = performance.now()
          await call(topics, index)
          times.push(performance.now() - from)
        }
      }
      await Promise.all(Array.from({ length: atOnce }, lane))
      const { user, system } = process.cpuUsage(cpu)
      const name = { scenario: 'transactions', work: `${atOnce} at once`, contender }
      world.take({ ...name, unit: 'p50 ms' }, times.sort((a, b) => a - b)[calls >> 1] as number)
      world.take({ ...name, unit: 'calls/s' }, (calls * 1000) / (performance.now() - began))
      world.take({ ...name, unit: 'calls/CPU-s' }, (calls * 1_000_000) / (user + system))
    }

    const contenders = [
      { contender: 'batch', topics: [one, one] },
      { contender: 'transaction', topics: [one, two] }
    ]
    await interleave(world.rounds, [1, AT_ONCE], contenders, measure)
  }
}
