import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Admin } from 'kafkajs'
import { startBaton } from '../support/baton.ts'
import { unique } from '../support/ids.ts'
import { sharedKafka } from '../support/kafka.ts'
import { withKafka } from '../support/kafka-client.ts'
import { sharedRedis } from '../support/redis.ts'
import { follow } from '../support/stomp-follower.ts'
import { waitFor } from '../support/wait.ts'

// A topic that is deleted and made anew begins again at offset 0. Before anyone has seen it empty, it may hold more records than the old one had.

const OLD = 20
const NEW = 60
const DEADLINE_MS = 60_000

async function makeAnew(admin: Admin, topic: string): Promise<void> {
  await admin.deleteTopics({ topics: [topic] })
  const isMade = () => admin.createTopics({ topics: [{ topic, numPartitions: 1 }] }).catch(() => false)
  await waitFor(isMade, { deadlineMs: DEADLINE_MS, what: 'the old topic to be gone' })
}

for (const startFrom of ['latest', 'earliest']) {
  test(`of a topic made anew every record comes, from its first one on (startFrom: ${startFrom})`, async () => {
    const [{ brokers }, { url }] = await Promise.all([sharedKafka(), sharedRedis()])
    await using client = await withKafka({ brokers })
    const [topic, groupId] = [unique('topic'), unique('group')]
    const admin = client.kafka.admin()
    const producer = client.kafka.producer()
    await Promise.all([admin.connect(), producer.connect()])
    const produce = async (name: string, count: number) => {
      const messages = Array.from({ length: count }, (_, n) => ({ key: 'k', value: `${name} ${n}` }))
      const isThere = () => producer.send({ topic, messages }).then(Boolean, () => false)
      await waitFor(isThere, { deadlineMs: DEADLINE_MS, what: `the ${name} records to be written` })
    }
    try {
      await admin.createTopics({ topics: [{ topic, numPartitions: 1 }] })
      await using baton = await startBaton({
        config: {
          kafka: { brokers, groupId, startFrom, sessionTimeoutMs: 6000 },
          redis: { url, prefix: `${groupId}:` },
          routes: { all: { topic: { name: topic }, channel: 'all', destination: '/all' } }
        }
      })
      await using follower = await follow([baton.wsUrl], ['/all'])
      const bodies = () => follower.messages('/all').map(({ body }) => String(body))
      await produce('old', OLD)
      await waitFor(() => bodies().length === OLD, { deadlineMs: DEADLINE_MS, what: 'the old records' })
      await makeAnew(admin, topic)
      await produce('new', NEW)
      const isLast = () => bodies().at(-1) === `new ${NEW - 1}`
      await waitFor(isLast, { deadlineMs: DEADLINE_MS, what: () => `the last new record; ${bodies().at(-1)}` })
      assert.deepEqual(
        bodies().slice(OLD),
        Array.from({ length: NEW }, (_, n) => `new ${n}`)
      )
      assert.deepEqual(follower.gaps, [], 'the old topic was consumed to its end')
    } finally {
      await Promise.all([admin.disconnect(), producer.disconnect()])
    }
  })
}
