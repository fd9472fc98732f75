import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bodyOf } from '../../src/message.ts'
import { createMetrics } from '../../src/metrics.ts'
import type { Commit, KafkaRecord, PartitionControl } from '../../src/ports.ts'
import { createRelay, type DeadLetter } from '../../src/relay.ts'
import { createRoutes } from '../../src/routes.ts'
import { countOf, createServer, silent } from '../support/flows.ts'
import { configOf } from './config-of.ts'

const CHAT = {
  topic: 't',
  channel: 'chat:{room}',
  destination: '/sub/{room}',
  log: { size: 2, maxBodyBytes: 60 },
  history: { except: { type: 'ENTER' } }
}
const AUDIT = { topic: 't', channel: 'audit:{type}', destination: '/audit/{type}' }

/** A relay that owns one partition, and what it does, in order. */
async function setUp(deadLetter: DeadLetter['send'] = async () => undefined) {
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
      routes: createRoutes(configOf({ routes: { chat: CHAT, audit: AUDIT } }).routes),
      log: server.log,
      claims: { holder: async () => undefined },
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
    topic: 't',
    partition: 0,
    group: 'a group/of ours',
    readCommit: async () => commit,
    commit: async stored => {
      commit = stored
    },
    bounds: async () => ({ earliest: 0, latest: 0 }),
    offsetAt: async () => 0,
    seek: () => undefined
  }
  const owner = await relay.assigned(control)
  const take = (values: (object | string)[]) => {
    const records = values.map(
      (value, offset): KafkaRecord => ({
        offset,
        timestampMs: 1000 + offset,
        key: null,
        value: Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)),
        headers: []
      })
    )
    const batch = { records, highWatermark: records.length, lastOffset: records.length - 1 }
    return owner.batch(batch, { heartbeat: async () => undefined, stale: () => false })
  }
  return { server, metrics, calls, owner, take }
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
