import { CHANNELS } from './edge.ts'
import type { Happenings } from './happening.ts'

/** What Redis loses. */
export const REDIS_FAULTS = {
  // I3, I5: a failover loses the tail. Not back to before an incarnation whose refill does not bring all (docs/guarantees.md).
  replicaLagged: {
    weight: 3,
    async happen(world) {
      const { consumers } = world.kafka
      if (world.remembered || consumers.some(({ isUnaware, partition }) => isUnaware || !partition.commit)) return false
      await world.server.remember()
      world.remembered = true
      return true
    }
  },
  failedOver: {
    weight: 4,
    async happen(world) {
      if (!world.remembered) return false
      await world.server.goBack()
      world.remembered = false
      world.rolledBack = true
      for (const edge of world.edges) if (edge.hears !== 'nothing') edge.reconnect(world.random(2) === 0)
      return true
    }
  },
  // I9. Where a refill does not bring all, it brings what an edge lags behind, and what a failover has just lost is there again.
  wiped: {
    weight: 1,
    async happen(world) {
      if (!world.refillsAll) {
        for (const edge of world.edges) if (edge.hears === 'late') edge.hear()
        if (world.rolledBack) await world.kafka.consumeAll()
        await world.settle()
        // What was lost on the way, and no message has shown yet.
        for (const edge of world.edges) edge.compare()
        await world.settle()
      }
      await world.server.wipe()
      world.remembered = false
      world.rolledBack = false
    }
  },
  // A channel that nobody wrote to for days; everyone has seen all of it.
  expired: {
    weight: 1,
    async happen(world) {
      await world.heal()
      await world.server.expire(world.anyOf(CHANNELS) as string)
    }
  }
} satisfies Happenings
