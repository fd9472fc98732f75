import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import { BatonError, type ErrorCode } from '../../src/errors.ts'
import type { Prepared } from '../../src/inbound.ts'
import { createMemoryClaims } from '../../src/memory/claims.ts'
import { createMetrics } from '../../src/metrics.ts'
import { createReplies } from '../../src/replies.ts'
import { encodeReply } from '../../src/reply.ts'
import type { Route } from '../../src/routes.ts'
import { countOf } from '../support/flows.ts'
import { waitFor } from '../support/wait.ts'

const REPLICA = '0f8fad5b-d9cb-469f-a165-70867728950e'

/** No timer outlives the tests. */
const ends: (() => void)[] = []
after(() => {
  for (const end of ends) end()
})

/** A replica that asks; what it produced is in `produced`, and acknowledged when `acknowledge` lets it. */
function setUp({ timeoutMs = 10_000 } = {}) {
  const metrics = createMetrics()
  const claims = createMemoryClaims()
  const feed = { ready: true }
  const produced: Prepared[] = []
  const world = { acknowledge: async (): Promise<void> => undefined }
  const inbound = {
    async produce(prepared: Prepared[]) {
      produced.push(...prepared)
      await world.acknowledge()
      return []
    }
  }
  const replies = createReplies({ replicaId: REPLICA }, { feed, inbound, claims, metrics })
  const rule = { topic: 'answers', timeoutMs, claim: undefined }

  function ask(claim?: string, headers: Record<string, string> = {}) {
    const record = { topic: 'questions', key: null, value: Buffer.from('?'), headers }
    const prepared = { route: { name: 'login' } as Route, records: [record], ...(claim !== undefined && { claim }) }
    return replies.ask(prepared, rule)
  }
  const idOf = (index: number) => String(produced[index]?.records[0]?.headers['kafka_correlationId'])
  const bring = (id: string, text: string) =>
    replies.take(encodeReply({ id, headers: 'a:b\n', body: Buffer.from(text) }))
  ends.push(() => {
    for (const index of produced.keys()) bring(idOf(index), 'end')
  })
  const outcome = (name: string) => countOf(metrics.replies, { outcome: name })
  return { replies, feed, claims, world, produced, ask, idOf, bring, outcome }
}

const refusal = (code: ErrorCode) => (error: unknown) => error instanceof BatonError && error.code === code

describe('a request', () => {
  test('carries its correlation id and the topic of replies, whatever headers came', async () => {
    const { replies, produced, ask, idOf } = setUp()
    await ask(undefined, {
      'x-trace': 't',
      kafka_correlationId: 'mine',
      kafka_replyTopic: 'mine',
      kafka_replyPartition: '7'
    })
    assert.deepEqual(produced[0]?.records[0]?.headers, {
      'x-trace': 't',
      kafka_correlationId: idOf(0),
      kafka_replyTopic: 'answers'
    })
    assert.match(idOf(0), new RegExp(`^${REPLICA}\\.[0-9a-f-]{36}$`))
    assert.equal(replies.channel, `reply:${REPLICA}`)
  })

  test('gets its own reply, once; another one is counted as late', async () => {
    const { ask, idOf, bring, outcome } = setUp()
    const [first, second] = [await ask(), await ask()]
    bring(idOf(1), 'for the second')
    bring(idOf(0), 'for the first')
    bring(idOf(0), 'again')
    assert.equal((await first.reply).body.toString(), 'for the first')
    assert.equal((await second.reply).body.toString(), 'for the second')
    assert.deepEqual([await outcome('answered'), await outcome('late')], [2, 1])
  })

  test('may be answered before Kafka has acknowledged it', async () => {
    const { ask, idOf, bring, world, outcome } = setUp({ timeoutMs: 1 })
    const { promise, resolve } = Promise.withResolvers<void>()
    world.acknowledge = () => promise
    const { produced, reply } = await ask()
    bring(idOf(0), 'early')
    assert.equal((await reply).body.toString(), 'early')
    resolve()
    await produced
    assert.equal(await outcome('timeout'), 0)
  })

  test('without a reply in time is told so, and the reply that comes then is counted as late', async () => {
    const { ask, idOf, bring, outcome } = setUp({ timeoutMs: 20 })
    const { produced, reply } = await ask()
    await produced
    await assert.rejects(reply, (error: BatonError) => {
      assert.match(error.detail, /^route login: none within 20 ms; it is not known whether/)
      return error.code === 'REPLY_TIMEOUT'
    })
    bring(idOf(0), 'late')
    assert.deepEqual([await outcome('timeout'), await outcome('late'), await outcome('answered')], [1, 1, 0])
  })

  test('that Kafka did not take gets no reply, and waits for none', async () => {
    const { ask, idOf, bring, world, outcome } = setUp()
    world.acknowledge = () => Promise.reject(new BatonError('PRODUCE_QUEUE_FULL', 'too much'))
    const { produced, reply } = await ask()
    await assert.rejects(produced, refusal('PRODUCE_QUEUE_FULL'))
    await assert.rejects(reply, refusal('PRODUCE_QUEUE_FULL'))
    bring(idOf(0), 'late')
    assert.equal(await outcome('late'), 1)
  })

  test('is refused while its reply could not come, and nothing is produced', async () => {
    const { feed, ask, produced } = setUp()
    feed.ready = false
    await assert.rejects(ask(), refusal('REDIS_UNAVAILABLE'))
    assert.equal(produced.length, 0)
    feed.ready = true
    await ask()
  })

  test('is refused when 10,000 wait, until one of them is answered', async () => {
    const { ask, idOf, bring, produced } = setUp()
    await Promise.all(Array.from({ length: 10_000 }, () => ask()))
    await assert.rejects(ask(), refusal('TOO_MANY_PENDING'))
    assert.equal(produced.length, 10_000)
    bring(idOf(0), 'one')
    await ask()
    await assert.rejects(ask(), refusal('TOO_MANY_PENDING'))
  })
})

describe('a request with a claim', () => {
  test('is refused while another one holds it, and taken once that was answered', async () => {
    const { ask, idOf, bring, claims, produced } = setUp()
    const { reply } = await ask('login:mina')
    await assert.rejects(ask('login:mina'), refusal('REQUEST_PENDING'))
    await ask('login:mingi')
    assert.equal(await claims.holder('login:mina'), idOf(0))
    assert.equal(produced.length, 2)
    bring(idOf(0), 'yes')
    await reply
    await ask('login:mina')
    assert.equal(await claims.holder('login:mina'), idOf(2))
  })

  test('leaves it to end by itself after a timeout, so that a late reply is nobody else’s', async () => {
    const { ask, claims } = setUp({ timeoutMs: 100 })
    const { reply } = await ask('login:mina')
    await assert.rejects(reply, refusal('REPLY_TIMEOUT'))
    assert.ok(await claims.holder('login:mina'))
    await assert.rejects(ask('login:mina'), refusal('REQUEST_PENDING'))
    await waitFor(async () => !(await claims.holder('login:mina')), { what: 'the end of the claim' })
    await assert.rejects((await ask('login:mina')).reply, refusal('REPLY_TIMEOUT'))
  })

  test('waits no longer than the claim lasts, however late Kafka acknowledged it', async () => {
    const { ask, world, claims } = setUp({ timeoutMs: 200 })
    const { promise, resolve } = Promise.withResolvers<void>()
    world.acknowledge = () => promise
    const { reply } = await ask('login:mina')
    await waitFor(async () => !(await claims.holder('login:mina')), { what: 'the end of the claim' })
    resolve()
    const since = performance.now()
    await assert.rejects(reply, refusal('REPLY_TIMEOUT'))
    assert.ok(performance.now() - since < 150)
  })

  for (const [code, held] of [
    ['PRODUCE_QUEUE_FULL', false],
    ['KAFKA_UNAVAILABLE', true]
  ] as const) {
    test(`${held ? 'keeps' : 'lets go of'} it after ${code}, which ${held ? 'may' : 'cannot'} have written it`, async () => {
      const { ask, world, claims } = setUp({ timeoutMs: 50 })
      world.acknowledge = () => Promise.reject(new BatonError(code, 'no'))
      const { produced } = await ask('login:mina')
      await assert.rejects(produced, refusal(code))
      assert.equal(Boolean(await claims.holder('login:mina')), held)
    })
  }

  test('is refused and forgotten when Redis cannot be asked', async () => {
    const { ask, claims, produced } = setUp()
    const { take } = claims
    claims.take = () => Promise.reject(new BatonError('REDIS_UNAVAILABLE', 'no answer'))
    await assert.rejects(ask('login:mina'), refusal('REDIS_UNAVAILABLE'))
    claims.take = take
    assert.equal(produced.length, 0)
  })
})

test('what is no reply is counted and dropped', async () => {
  const { replies, outcome } = setUp()
  replies.take(Buffer.from('hello'))
  assert.equal(await outcome('malformed'), 1)
})
