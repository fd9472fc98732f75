import { waitFor } from '../support/wait.ts'
import type { Replica } from './replica.ts'
import type { Stage } from './stage.ts'

// That a harm was one: a scenario whose fault did nothing must fail.

/** Each look is a request to every replica, or to Redis or Kafka. */
const PATIENCE = { deadlineMs: 30_000, everyMs: 100 }

/** Does something, and waits until it raised a metric. @param of the replicas it is summed over, of which none may be killed meanwhile. */
export async function raises(stage: Stage, metric: string, harm: () => Promise<void>, of?: Replica[]): Promise<void> {
  const before = await stage.metric(metric, of)
  await harm()
  const risen = async () => (await stage.metric(metric, of)) > before
  await waitFor(risen, { ...PATIENCE, what: `${metric} to rise above ${before}` })
}

/** A relay goes back: it finds that Redis lost what it had acknowledged. */
export function rewinds(stage: Stage, harm: () => Promise<void>): Promise<void> {
  return raises(stage, 'baton_relay_rewinds_total', harm)
}

/** Waits until the group has so many members. */
export async function membersAre({ world, groupId }: Stage, count: number): Promise<void> {
  const members = async () => {
    const { groups } = await world.kafka.admin.describeGroups([groupId])
    return groups[0]?.members.length === count
  }
  await waitFor(members, { ...PATIENCE, what: `the group to have ${count} members` })
}

/** A counter of Redis: `info` names it as `INFO section` does. Errors that never occurred count 0. */
async function redisCount({ admin }: Stage, section: 'stats' | 'errorstats', counter: string): Promise<number> {
  return Number(new RegExp(`^${counter}:(?:count=)?(\\d+)`, 'm').exec(await admin.info(section))?.[1] ?? 0)
}

/** Does something, and waits until it raised a counter of Redis. */
export async function raisesInRedis(
  stage: Stage,
  section: 'stats' | 'errorstats',
  counter: string,
  harm: () => Promise<unknown>
): Promise<void> {
  const before = await redisCount(stage, section, counter)
  await harm()
  const risen = async () => (await redisCount(stage, section, counter)) > before
  await waitFor(risen, { ...PATIENCE, what: `${counter} of Redis to rise above ${before}` })
}
