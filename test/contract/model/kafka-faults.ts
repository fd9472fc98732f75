import type { Happenings } from './happening.ts'
import { type Consumer, endOf, lastShown, type Partition } from './partition.ts'
import { WIDE } from './random.ts'
import type { World } from './world.ts'

const HOUR_MS = 3_600_000

const anyConsumer = ({ kafka, anyOf }: World) => anyOf(kafka.consumers) as Consumer

/** What came before is out of Kafka's memory: no late process or chunk knows of it, and no failover goes back to it. */
function cutOff(world: World, partition: Partition): void {
  world.zombies = world.zombies.filter(zombie => zombie.partition !== partition)
  world.tap.forgetLate()
  world.remembered = false
}

/** Someone is given the partition, as after a rebalance. */
async function startAnew(world: World, consumer: Consumer): Promise<void> {
  cutOff(world, consumer.partition)
  await world.kafka.takeOver(consumer)
}

/** What Kafka has no more. */
export const KAFKA_FAULTS = {
  // I9: only where a refill is to be narrow.
  aged: {
    weight: 1,
    async happen({ kafka, shape }) {
      if (shape.refill.maxRecords === WIDE) return false
      await kafka.consumeAll()
      const then = Date.now() - HOUR_MS
      for (const { records } of kafka.partitions)
        for (const record of records) record.timestampMs = Math.min(record.timestampMs, then)
      return true
    }
  },
  // I8: deleted and created again, once everything is through, as an operator would.
  recreated: {
    weight: 1,
    async happen(world) {
      await world.heal()
      const consumer = anyConsumer(world)
      Object.assign(consumer.partition, { records: [], earliest: 0, commit: null, topicId: undefined })
      world.refillsAll = false
      await startAnew(world, consumer)
    }
  },
  // I8: so too, while its consumer goes on as if nothing had happened, and with as many records before it looks.
  remade: {
    weight: 1,
    async happen(world) {
      await world.heal()
      const { partition } = anyConsumer(world)
      const end = endOf(partition)
      const topicId = `${world.step}`.padStart(32, '0')
      Object.assign(partition, { records: [], earliest: 0, commit: null, topicId })
      world.refillsAll = false
      cutOff(world, partition)
      while (lastShown(partition) <= end) world.kafka.produceTo(partition)
    }
  },
  // I8: offsets reset by hand, which leaves no metadata; or the group deleted. What Redis had just lost is in it again.
  reset: {
    weight: 1,
    async happen(world) {
      const { kafka, random } = world
      await kafka.consumeAll()
      const consumer = anyConsumer(world)
      const { partition } = consumer
      const back = Math.max(partition.earliest, (partition.commit?.offset ?? 0) - random(6))
      partition.commit = random(3) === 0 ? null : { offset: back, metadata: '' }
      await startAnew(world, consumer)
    }
  },
  // I8: a leader that lacked the tail took over: the partition ends below the fence.
  truncated: {
    weight: 1,
    async happen(world) {
      const { kafka, random } = world
      await kafka.consumeAll()
      const consumer = anyConsumer(world)
      const { partition } = consumer
      const end = Math.min(endOf(partition), consumer.position) - 1 - random(5)
      const kept = { ...partition, records: partition.records.slice(0, Math.max(0, end - partition.earliest)) }
      if (lastShown(kept) < 0) return false
      Object.assign(partition, kept)
      kafka.forget(partition, end)
      world.refillsAll = false
      cutOff(world, partition)
      // Found before the partition grows over the fence again: after that nobody can tell.
      do await consumer.step()
      while (consumer.position < endOf(partition))
      // An owner that knows of nothing acknowledged takes a wiped Redis for a new one.
      consumer.commit()
      return true
    }
  },
  // I9: retention removed what is in Redis; a later refill cannot have it any more.
  retained: {
    weight: 1,
    async happen(world) {
      await world.kafka.consumeAll()
      const { partition, position } = anyConsumer(world)
      const count = Math.min(position, partition.commit?.offset ?? 0) - partition.earliest - world.random(4)
      if (count <= 0) return false
      partition.records.splice(0, count)
      partition.earliest += count
      world.refillsAll = false
      // What Kafka has no more, a failover may not lose (docs/guarantees.md).
      world.remembered = false
      return true
    }
  }
} satisfies Happenings
