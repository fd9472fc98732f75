import assert from 'node:assert/strict'
import type { Message } from 'kafkajs'
import { rewinds } from '../effects.ts'
import type { Scenario } from '../scenario.ts'
import { PARTITIONS } from '../settings.ts'

// Records that no route can take, records of another time, and replicas whose clocks are wrong. The clocks of Kafka and Redis are not moved.

const ALL = 'Every client has every record, once and in order, and is told of no gap.'
const HOUR_MS = 3_600_000
/** By default; no other scenario has records for it. */
const DEAD_LETTER = 'baton.dead-letter'

const POISON: (string | Buffer | null)[] = [
  null,
  '',
  'no JSON',
  '{"room":"room-1","n":',
  Buffer.from([0x7b, 0x22, 0xff, 0xfe, 0x22, 0x7d]),
  '{"n":1}',
  '{"n":1,"room":null}',
  '{"n":1,"room":""}',
  '{"n":1,"room":{"name":"room-1"}}',
  `{"n":1,"room":"${'r'.repeat(257)}"}`
]

export const recordScenarios: Scenario[] = [
  {
    name: 'poison',
    about: 'Records that no route can take come between good ones: ten kinds, in every partition.',
    expects: `${ALL} Each poisonous record is in the dead-letter topic, with its coordinate.`,
    async run(stage) {
      const { kafka } = stage.world
      const partitions = Array.from({ length: PARTITIONS }, (_, partition) => partition)
      let count = 0
      for (let round = 0; round < stage.pick(20, 3); round++) {
        const messages = POISON.flatMap(value =>
          partitions.map((partition): Message => ({ key: 'k', value, partition }))
        )
        await kafka.produce(stage.topic, messages)
        count += messages.length
        await stage.goesOn()
      }
      const dead = await kafka.consumeAll(DEAD_LETTER, count)
      const coordinates = dead.map(({ headers }) => `${headers?.['baton-partition']}/${headers?.['baton-offset']}`)
      assert.equal(new Set(coordinates).size, count)
    }
  },
  {
    name: 'clock-moved',
    about: 'The clock of one replica after the other is set an hour ahead, then an hour behind, then right.',
    expects: ALL,
    stage: { senders: 'all' },
    async run(stage) {
      for (let move = 0; move < 3; move++)
        for (const replica of stage.replicas) {
          await replica.moveClock()
          await stage.goesOn(stage.pick(500, 50))
        }
    }
  },
  {
    name: 'other-times',
    about: 'The producer stamps its records an hour into the past, then an hour into the future (CreateTime).',
    expects: ALL,
    async run(stage) {
      for (const shiftMs of [-HOUR_MS, HOUR_MS, -HOUR_MS]) {
        stage.production.shiftMs = shiftMs
        await stage.goesOn(stage.pick(1000, 200))
      }
    }
  },
  {
    name: 'other-times-flushall',
    about:
      'Redis is emptied while records come that are stamped an hour into the past, older than kafka.refill reaches.',
    expects: 'Clients that stay connected miss nothing and get nothing twice.',
    async run(stage) {
      stage.production.shiftMs = -HOUR_MS
      await stage.goesOn(200)
      await rewinds(stage, async () => void (await stage.admin.flushall()))
    }
  },
  {
    name: 'log-append-time',
    about: 'The brokers stamp the records (LogAppendTime); the producer is an hour ahead; Redis is emptied meanwhile.',
    expects: ALL,
    stage: { topic: { 'message.timestamp.type': 'LogAppendTime' } },
    async run(stage) {
      stage.production.shiftMs = HOUR_MS
      await stage.goesOn(200)
      await rewinds(stage, async () => void (await stage.admin.flushall()))
    }
  }
]
