import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Partitioners } from 'kafkajs'
import { startBaton } from '../support/baton.ts'
import { unique } from '../support/ids.ts'
import { withKafka } from '../support/kafka-client.ts'
import { sharedRedis } from '../support/redis.ts'

test('send.partition is murmur2 of the key as the Java client chooses, a number, or one after the other', async () => {
  await using kafka = await withKafka()
  const topic = await kafka.createTopic(5)
  const way = (partition: string | number) => ({ topic, send: { http: `POST /${partition}`, key: '{id}', partition } })
  await using baton = await startBaton({
    config: {
      kafka: { brokers: kafka.brokers, groupId: unique('group') },
      redis: { url: (await sharedRedis()).url, prefix: `${unique('prefix')}:` },
      routes: { murmur2: way('murmur2'), fixed: way(4), turns: way('round-robin') }
    }
  })
  const headers = { 'content-type': 'application/json' }
  async function partitionOf(rule: string | number, id: string): Promise<number> {
    const response = await fetch(`${baton.url}/${rule}`, { method: 'POST', headers, body: JSON.stringify({ id }) })
    const answer = await response.json()
    assert.equal(response.status, 202, JSON.stringify(answer))
    return (answer as { partition: number }).partition
  }
  const { topics } = await kafka.admin.fetchTopicMetadata({ topics: [topic] })
  const partitionMetadata = topics[0]?.partitions ?? []
  const choose = Partitioners.DefaultPartitioner()
  for (const id of Array.from({ length: 20 }, (_, n) => `방 ${n}`)) {
    const java = choose({ topic, partitionMetadata, message: { key: id, value: null } })
    assert.deepEqual([await partitionOf('murmur2', id), await partitionOf(4, id)], [java, 4])
  }
  const turns: number[] = []
  for (let n = 0; n < 10; n++) turns.push(await partitionOf('round-robin', 'one key'))
  assert.deepEqual(turns.toSorted(), [0, 0, 1, 1, 2, 2, 3, 3, 4, 4])
})
