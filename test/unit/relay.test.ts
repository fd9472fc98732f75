import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { createMemoryClaims } from '../../src/memory/claims.ts'
import { bodyOf } from '../../src/message.ts'
import { createMetrics } from '../../src/metrics.ts'
import type { Commit, KafkaRecord, PartitionControl } from '../../src/ports.ts'
import { createRelay, type DeadLetter } from '../../src/relay.ts'
import { decodeReply } from '../../src/reply.ts'
import { createRoutes } from '../../src/routes.ts'
import { away, countOf, createServer, silent } from '../support/flows.ts'
import { configOf } from './config-of.ts'

const CHAT = {
  topic: 't',
  channel: 'chat:{room}',
  destination: '/sub/{room}',
  log: { size: 2, maxBodyBytes: 60 },
  history: { except: { type: 'ENTER' } }
}
const LOGIN = {
  topic: 'questions',
  send: { http: 'POST /login', reply: { topic: 'answers', match: { request: '{id}', reply: '{for}' } } }
}
const REPLICA = '0f8fad5b-d9cb-469f-a165-70867728950e'
const ID = `${REPLICA}.7c9e6679-7425-40de-944b-e07fc1f90ae7`
const AUDIT = { topic: 't', channel: 'audit:{type}', destination: '/audit/{type}' }

/** A relay that owns one partition, and what it does, in order. */
async function setUp(deadLetter: DeadLetter['send'] = async () => undefined, topic = 't') {
  const claims = createMemoryClaims()
  const server = createServer()
  const metrics = createMetrics()
  const calls: string[] = []
  const { append } = server.log
  server.log.append = chunk => {
    if (chunk.appends.length > 0) calls.push(`append ${chunk.appends.map(({ offset }) => offset)}`)
    return append(chunk)
  }
  const relay = createRelay(
    { startFrom: 'earliest', refill: { maxAgeMs: 0, maxRecords: 0 } },
    {
      routes: createRoutes(configOf({ routes: { chat: CHAT, audit: AUDIT, login: LOGIN } }).routes),
      log: server.log,
      claims,
      deadLetter: {
        async send(record, cause) {
          await deadLetter(record, cause)
          calls.push(`dead-letter ${record.topic}/${record.partition}/${record.offset} ${cause.code}`)
        }
      },
      metrics,
      logger: silent
    }
  )
  let commit: Commit | null = null
  const control: PartitionControl = {
    topic,
    partition: 0,
    group: 'a group/of ours',
    topicId: async () => undefined,
    readCommit: async () => commit,
    commit: async stored => {
      commit = stored
    },
    bounds: async () => ({ earliest: 0, latest: 0 }),
    offsetAt: async () => 0,
    seek: () => undefined
  }
  const owner = await relay.assigned(control)
  const take = (values: (object | string)[], headers: KafkaRecord['headers'] = []) => {
    const records = values.map(
      (value, offset): KafkaRecord => ({
        offset,
        timestampMs: 1000 + offset,
        key: null,
        value: Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)),
        headers
      })
    )
    const batch = { records, highWatermark: records.length, lastOffset: records.length - 1 }
    return owner.batch(batch, { heartbeat: async () => undefined, stale: () => false })
  }
  return { server, metrics, calls, owner, take, claims }
}

test('a record goes to every channel that its routes name, as its routes keep it', async () => {
  const { server, calls, take } = await setUp()
  const long = { room: 7, type: 'TALK', text: '긴'.repeat(30) }
  await take([{ room: 7, type: 'TALK' }, { room: 7, type: 'ENTER' }, long])
  assert.deepEqual(calls, ['append 0,0,1,1,2,2'])
  const [room, talk] = await Promise.all([server.log.read('chat:7'), server.log.read('audit:TALK')])
  assert.deepEqual(
    room.entries.map(({ coordinate, timestampMs, hidden, omitted }) => [
      coordinate?.offset,
      timestampMs,
      hidden,
      omitted
    ]),
    [
      [1, 1001, true, false],
      [2, 1002, false, true]
    ]
  )
  assert.match(room.head.coordinate?.source ?? '', /^a%20group%2Fof%20ours\/t\/0~i[0-9a-f]{12}$/)
  assert.deepEqual(
    talk.entries.map(message => [message.omitted, bodyOf(message).toString()]),
    [
      [false, '{"room":7,"type":"TALK"}'],
      [false, JSON.stringify(long)]
    ]
  )
})

test('a record that no route can take is in the dead-letter topic before its chunk is appended', async () => {
  const { metrics, calls, owner, take } = await setUp()
  await take([{ room: 1, type: 'TALK' }, 'no JSON', { type: 'TALK' }, { room: 1, type: 'TALK' }])
  const [notJson, missing, appended] = calls
  assert.match(notJson ?? '', /^dead-letter t\/0\/1 /)
  assert.match(missing ?? '', /^dead-letter t\/0\/2 /)
  assert.deepEqual([calls.length, appended], [3, 'append 0,0,3,3'])
  assert.equal(owner.committable()?.offset, 4)
  assert.equal(await countOf(metrics.deadLettered, { topic: 't' }), 2)
  for (const call of [notJson, missing]) {
    assert.equal(await countOf(metrics.deadLettered, { cause: call?.split(' ').at(-1) as string }), 1)
  }
  assert.equal(await countOf(metrics.records), 4)
  assert.equal(await countOf(metrics.appended), 4)
})

test('a chunk of such records alone is covered like any other', async () => {
  const { owner, take } = await setUp()
  await take(['no', 'JSON'])
  assert.equal(owner.committable()?.offset, 2)
})

test('nothing of a chunk is appended while the dead-letter topic does not take what is due to it', async () => {
  const unavailable = new Error('Kafka is away')
  let isAway = true
  const { metrics, calls, owner, take } = await setUp(async () => {
    if (isAway) throw unavailable
  })
  const values = [{ room: 1, type: 'TALK' }, 'no JSON']
  await assert.rejects(take(values), (error: unknown) => error === unavailable)
  assert.deepEqual([calls, owner.committable(), await countOf(metrics.deadLettered)], [[], null, 0])
  isAway = false
  await take(values)
  assert.equal(calls.at(-1), 'append 0,0')
})

describe('a record of a reply topic', () => {
  test('is published to the replica that asked, once and without a log', async () => {
    const { server, claims, take, owner } = await setUp(undefined, 'answers')
    await claims.take('login:mina', ID, 60_000)
    await take([{ for: 'nobody' }, { for: 'mina', ok: true }])
    await take([{ for: 'nobody' }, { for: 'mina', ok: true }])
    const [append, ...more] = server.chunks.flatMap(({ appends }) => appends)
    assert.deepEqual([append?.channel, append?.offset, append?.logSize, more.length], [`reply:${REPLICA}`, 1, 0, 1])
    const reply = decodeReply(append?.published as Buffer)
    assert.deepEqual([reply?.id, reply?.body.toString()], [ID, '{"for":"mina","ok":true}'])
    assert.deepEqual((await server.log.read(`reply:${REPLICA}`)).head, {})
    assert.equal(owner.committable()?.offset, 2)
  })

  test('needs no claim where it echoes the correlation id', async () => {
    const { server, metrics, take } = await setUp(undefined, 'answers')
    await take(['plain'], [['kafka_correlationId', Buffer.from(ID)]])
    assert.deepEqual(
      server.chunks.flatMap(({ appends }) => appends.map(({ channel }) => channel)),
      [`reply:${REPLICA}`]
    )
    assert.equal(await countOf(metrics.replies), 0)
  })

  test('that nobody waits for is counted and goes nowhere; one that answers nothing goes to the dead letters', async () => {
    const { calls, metrics, take } = await setUp(undefined, 'answers')
    await take([{ for: 'nobody' }, { other: 1 }])
    assert.deepEqual(calls, ['dead-letter answers/0/1 MISSING_FIELD'])
    assert.equal(await countOf(metrics.replies, { outcome: 'late' }), 1)
  })

  test('waits for Redis to say who asked', async () => {
    const { server, claims, take } = await setUp(undefined, 'answers')
    await claims.take('login:mina', ID, 60_000)
    const { holder } = claims
    let asked = 0
    claims.holder = key => (++asked < 3 ? Promise.reject(away()) : holder(key))
    await take([{ for: 'mina' }])
    assert.equal(asked, 3)
    assert.equal(server.chunks.at(-1)?.appends.length, 1)
  })
})
