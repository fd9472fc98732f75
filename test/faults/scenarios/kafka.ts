import assert from 'node:assert/strict'
import { setTimeout as delay } from 'node:timers/promises'
import { waitFor } from '../../support/wait.ts'
import type { Ledger } from '../ledger.ts'
import type { Scenario } from '../scenario.ts'
import { PARTITIONS } from '../settings.ts'
import type { Stage } from '../stage.ts'

// Brokers die, leaders move, and what Kafka holds or remembers of the group is changed by hand.

const ALL = 'Every client has every record, once and in order, and is told of no gap.'
const ALL_AND_SENT = `${ALL} Every SEND that got its RECEIPT is in Kafka.`
const ONE_RELAY: Scenario['stage'] = { roles: [['relay'], ['edge'], ['edge']] }
const BROKERS = [0, 1, 2]
const DEADLINE_MS = 60_000

export const kafkaScenarios: Scenario[] = [
  {
    name: 'broker-killed',
    about: 'One of three brokers is killed with SIGKILL, and started again.',
    expects: ALL_AND_SENT,
    alone: true,
    stage: { senders: 'all' },
    async run(stage) {
      const { server } = stage.world
      const broker = stage.random.of(BROKERS)
      await server.kill(broker)
      const missed = async () => (await layoutOf(stage)).every(({ isr }) => isr.length < BROKERS.length)
      await waitFor(missed, { deadlineMs: DEADLINE_MS, what: 'the broker to be missed' })
      stage.mark()
      await stage.goesOn(300)
      await server.restart(broker)
      stage.mark()
      await stage.goesOn()
    }
  },
  {
    name: 'kafka-away',
    about: 'All three brokers are killed and away for 30 seconds (short: 3 and their start), then back.',
    expects: ALL_AND_SENT,
    alone: true,
    stage: { senders: 'all' },
    async run({ world: { server }, pick, ledger }) {
      await Promise.all(BROKERS.map(server.kill))
      await standsStill(ledger, pick(30_000, 3000)).finally(() => Promise.all(BROKERS.map(server.restart)))
    }
  },
  {
    name: 'kafka-hangs',
    about: 'All three brokers answer nothing for 20 seconds (short: 6) while their connections stay open (SIGSTOP).',
    expects: ALL_AND_SENT,
    alone: true,
    stage: { senders: 'all' },
    async run({ world: { server }, pick, ledger }) {
      await Promise.all(BROKERS.map(server.pause))
      await standsStill(ledger, pick(20_000, 6000)).finally(() => Promise.all(BROKERS.map(server.resume)))
    }
  },
  {
    name: 'leader-moved',
    about: 'The leader of every partition is taken out of its replicas, and put back behind the others.',
    expects: ALL_AND_SENT,
    stage: { senders: 'all' },
    async run(stage) {
      const before = await layoutOf(stage)
      await reassign(stage, ({ partitionId }) => others(before, partitionId))
      const moved = async () =>
        (await layoutOf(stage)).every(({ partitionId, leader }) => leader !== leaderOf(before, partitionId))
      await waitFor(moved, { deadlineMs: DEADLINE_MS, what: 'other leaders' })
      stage.mark()
      await stage.goesOn()
      await reassign(stage, ({ partitionId }) => [...others(before, partitionId), leaderOf(before, partitionId)])
      await stage.world.whole([stage.topic])
    }
  },
  {
    name: 'topic-recreated',
    about: 'The topic, consumed to its end, is deleted and made anew, so that its offsets begin again.',
    expects:
      "Every client has every record, once and in order, the new topic's from its first one on; a gap may be told, where it was not known yet that the old one was consumed to its end.",
    mayBeTold: () => true,
    stage: { config: { kafka: { startFrom: 'earliest' } } },
    async run(stage) {
      const { topic, witness, production } = stage
      const { admin } = stage.world.kafka
      await production.pause()
      await stage.goesOn(0)
      await witness.read()
      await admin.deleteTopics({ topics: [topic] })
      // Made by us or by a Baton that misses it; until it is gone neither can.
      const anew = async () => {
        await admin.createTopics({ topics: [{ topic, numPartitions: PARTITIONS, replicationFactor: 3 }] })
        return (await admin.fetchTopicOffsets(topic)).every(({ high }) => high === '0')
      }
      await waitFor(anew, { deadlineMs: DEADLINE_MS, what: 'the topic to be gone and made anew' })
      witness.again()
      production.resume()
    }
  },
  {
    name: 'offsets-reset',
    about: 'The offsets of the group are set back by hand, while no relay runs.',
    expects: 'Every client gets the records after the new offsets once more, then all that follow, in order.',
    stage: ONE_RELAY,
    async run(stage) {
      const { topic, groupId, witness, production } = stage
      const { admin } = stage.world.kafka
      await production.pause()
      await stage.goesOn(0)
      await witness.read()
      for (const relay of stage.relays) await relay.stop()
      const [committed] = await admin.fetchOffsets({ groupId, topics: [topic] })
      const partitions = (committed?.partitions ?? []).map(({ partition, offset }) => ({
        partition,
        offset: `${Math.max(0, Number(offset) - stage.random.between(1, 40))}`
      }))
      await admin.setOffsets({ groupId, topic, partitions })
      witness.again(new Map(partitions.map(({ partition, offset }) => [partition, Number(offset)])))
      production.resume()
      for (const relay of stage.relays) await relay.start()
    }
  },
  {
    name: 'retention-passed',
    about: 'While no relay runs, Kafka deletes records that none has consumed yet.',
    expects: 'Every client is told of a gap where records are missing, and gets all others, once and in order.',
    mayBeTold: () => true,
    misses: true,
    stage: ONE_RELAY,
    async run(stage) {
      const { topic, witness, production } = stage
      const { admin } = stage.world.kafka
      for (const relay of stage.relays) await relay.stop()
      const until = stage.ledger.count + 500
      await waitFor(() => stage.ledger.count >= until, { deadlineMs: DEADLINE_MS, what: 'records nobody consumes' })
      await production.pause()
      await witness.read()
      const offsets = await admin.fetchTopicOffsets(topic)
      const partitions = offsets.map(({ partition, high }) => ({ partition, offset: `${Number(high) - 10}` }))
      await admin.deleteTopicRecords({ topic, partitions })
      production.resume()
      for (const relay of stage.relays) await relay.start()
    }
  }
]

type Layout = { partitionId: number; leader: number; replicas: number[]; isr: number[] }[]

/** Lets time pass in which no record is acknowledged. @throws when one is. */
async function standsStill(ledger: Ledger, ms: number): Promise<void> {
  // What was taken just before may be acknowledged here later.
  await delay(ms / 3)
  const before = ledger.count
  await delay((2 * ms) / 3)
  assert.equal(ledger.count, before, 'Kafka took records')
}

async function layoutOf({ world, topic }: Stage): Promise<Layout> {
  const { topics } = await world.kafka.admin.fetchTopicMetadata({ topics: [topic] })
  return topics[0]?.partitions ?? []
}

function leaderOf(layout: Layout, id: number): number {
  return layout.find(({ partitionId }) => partitionId === id)?.leader as number
}

function others(layout: Layout, id: number): number[] {
  const { leader, replicas } = layout.find(({ partitionId }) => partitionId === id) as Layout[0]
  return replicas.filter(replica => replica !== leader)
}

async function reassign(stage: Stage, replicasOf: (of: Layout[0]) => number[]): Promise<void> {
  const layout = await layoutOf(stage)
  const partitionAssignment = layout.map(of => ({ partition: of.partitionId, replicas: replicasOf(of) }))
  await stage.world.kafka.admin.alterPartitionReassignments({ topics: [{ topic: stage.topic, partitionAssignment }] })
}
