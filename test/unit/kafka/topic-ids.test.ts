import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { AdminLink } from '../../../src/kafka/link.ts'
import { createTopicIds } from '../../../src/kafka/topic-ids.ts'

test('the id of a topic stays known to who asks often, is asked for anew meanwhile, and is not known once it is old', async t => {
  let nowMs = 1000
  t.mock.method(performance, 'now', () => nowMs)
  const asked: number[] = []
  const admin = {
    async use() {
      asked.push(nowMs)
      return { topics: [{ partitions: [{ topicId: `id of ${nowMs}` }] }] }
    }
  } as unknown as AdminLink
  const ids = createTopicIds(admin)
  assert.equal(ids.known('t'), undefined)
  assert.equal(await ids.of('t'), 'id of 1000')
  nowMs = 1049
  assert.equal(ids.known('t')?.id, 'id of 1000')
  assert.deepEqual(asked, [1000])
  nowMs = 1099
  assert.equal(ids.known('t')?.id, 'id of 1000')
  assert.equal(ids.known('t')?.id, 'id of 1000')
  assert.deepEqual(asked, [1000, 1099])
  // The answer to that question.
  assert.equal(await ids.of('t'), 'id of 1099')
  nowMs = 1198
  assert.equal(ids.known('t')?.id, 'id of 1099')
  nowMs = 1199
  assert.equal(ids.known('t'), undefined)
})
