import assert from 'node:assert/strict'
import type { ConsumedMessage, KafkaClient } from './kafka-client.ts'
import type { Follower } from './stomp-follower.ts'
import { waitFor } from './wait.ts'

// What is true is what Kafka holds: every reader of a room must have just that, in the order of its partition, once.

/** How many records a topic holds. */
export async function recordCount(kafka: KafkaClient, topic: string): Promise<number> {
  const offsets = await kafka.admin.fetchTopicOffsets(topic)
  return offsets.reduce((sum, { low, high }) => sum + Number(high) - Number(low), 0)
}

/** All records of a topic as another program reads them, each partition in its order. */
export async function recordsOf(kafka: KafkaClient, topic: string): Promise<ConsumedMessage[]> {
  return kafka.consumeAll(topic, await recordCount(kafka, topic))
}

/** The values of the records of a topic by the destination that delivers each key; default: `/topic/{+key}`. */
export async function recordsByRoom(
  kafka: KafkaClient,
  topic: string,
  destinationOf = (key: string) => `/topic/${key}`
): Promise<Map<string, string[]>> {
  const rooms = Map.groupBy(await recordsOf(kafka, topic), ({ key }) => destinationOf(`${key}`))
  return new Map([...rooms].map(([room, records]) => [room, records.map(({ value }) => `${value}`)]))
}

const DEADLINE_MS = 40_000

/** Waits until every follower has as many messages of each of its rooms as there are; then none may be missing, doubled or misplaced. */
export async function assertAllCame(followers: Follower[], truth: Map<string, string[]>) {
  const pairs = followers.flatMap(follower => follower.destinations.map(room => ({ follower, room })))
  assert.deepEqual(new Set(pairs.map(({ room }) => room)), new Set(truth.keys()))
  const texts = (follower: Follower, room: string) => follower.messages(room).map(({ body }) => `${body}`)
  const assertSame = () => {
    for (const { follower, room } of pairs) assert.deepEqual(texts(follower, room), truth.get(room), room)
  }
  const complete = () =>
    pairs.every(({ follower, room }) => follower.messages(room).length >= (truth.get(room)?.length ?? 0))
  await waitFor(complete, { deadlineMs: DEADLINE_MS, what: 'every reader to have all of its rooms' }).catch(error => {
    assertSame()
    throw error
  })
  assertSame()
  assert.deepEqual(
    followers.flatMap(({ gaps }) => gaps),
    []
  )
}
