import { startGateway } from '../gateways.ts'
import { startLoad } from '../load.ts'
import { interleave } from '../measure.ts'
import { startProgram } from '../peers.ts'
import type { Scenario } from '../world.ts'

const PARTITIONS = 4
const ROOMS = 8
const CLIENTS = 100
const PRODUCER = 'kafkajs'

/** From SEND to RECEIPT, which comes when all in-sync replicas have the record. */
export const sendReceiptScenario: Scenario = {
  name: 'send-receipt',
  about: 'SEND with a receipt, one after the other, by 1 client and by 100; one acks=all after the other by kafkajs.',
  async run(world) {
    const kafka = await world.kafka()
    const topic = await kafka.createTopic(PARTITIONS)
    await using baton = await startGateway(world, topic, { roles: ['edge'] })
    const { warmMs, ms } = world

    async function measure(contender: string, connections: number) {
      const name = { scenario: 'send-receipt', work: `${connections} at once`, contender }
      if (contender === PRODUCER) {
        if (connections > 1) return
        const args = [kafka.brokers.join(), topic, warmMs, ms]
        const program = startProgram<{ p50Ms: number; p99Ms: number }>('kafkajs-producer.ts', args)
        const { p50Ms, p99Ms } = await program.result()
        world.take({ ...name, unit: 'p50 ms' }, p50Ms)
        world.take({ ...name, unit: 'p99 ms' }, p99Ms)
        return
      }
      const settings = { rooms: ROOMS, members: 0, connections, bytes: 300, warmMs, ms }
      const load = await startLoad('send', { ...baton.load, pid: baton.pid, ...settings })
      const loaded = await load.result()
      world.heard(contender, loaded)
      world.take({ ...name, unit: 'p50 ms' }, loaded.p50Ms)
      world.take({ ...name, unit: 'p99 ms' }, loaded.p99Ms)
      world.take({ ...name, unit: 'RECEIPTs/CPU-s' }, (loaded.messages * 1000) / loaded.cpuMs)
    }
    await interleave(world.rounds, [1, CLIENTS], [baton.name, PRODUCER], measure)
  }
}
