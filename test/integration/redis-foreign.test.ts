import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { Redis } from 'ioredis'
import { REVOCATIONS_CHANNEL } from '../../src/ports/revocations.ts'
import { keysOf } from '../../src/redis/append.ts'
import { checkRedis } from '../../src/redis/check.ts'
import { type Baton, startBaton } from '../support/baton.ts'
import { unique } from '../support/ids.ts'
import { sharedKafka } from '../support/kafka.ts'
import { type RedisServer, startRedis } from '../support/redis.ts'
import { connectStompjs, type StompClient, type Subscription } from '../support/stomp-client.ts'
import { waitFor } from '../support/wait.ts'
import { Ends, optionsFor } from './redis-kit.ts'

// Another program, or a mistake, puts something else under a key of ours: the log names it, and all goes on once it is deleted.

const ROOM = 'room'
const CHANNEL = `topic:${ROOM}`
const keys = keysOf('')

let redis: RedisServer
let admin: Redis
let baton: Baton
let client: StompClient
let reader: Subscription
let sent = 0

before(async () => {
  redis = await startRedis()
  admin = new Redis(redis.url)
  const topic = { name: unique('foreign'), partitions: 1, replicationFactor: 1 }
  const route = { topic, channel: 'topic:{+key}', destination: '/topic/{+key}', send: {} }
  const kafka = { brokers: (await sharedKafka()).brokers, groupId: unique('group') }
  baton = await startBaton({ config: { kafka, redis: { url: redis.url }, routes: { topic: route } } })
  client = await connectStompjs(baton.wsUrl)
  reader = await client.subscribe(`/topic/${ROOM}`)
})
after(async () => {
  await client[Symbol.asyncDispose]()
  await baton.stop()
  admin.disconnect()
  await redis.stop()
})

const isStatus = async (status: number) => (await fetch(`${baton.url}/readyz`)).status === status
const bodies = () => reader.messages.map(({ body }) => body.toString())
const send = () => client.send(`/topic/${ROOM}`, `${++sent}`)

/** What was sent has come, once and in order. */
async function allCame(): Promise<void> {
  await waitFor(() => bodies().includes(`${sent}`), { deadlineMs: 15_000, what: `message ${sent}` })
  assert.deepEqual(
    bodies(),
    Array.from({ length: sent }, (_, n) => `${n + 1}`)
  )
}

const faultOf = (key: string) =>
  `Redis 127.0.0.1:${redis.port}: ${key}: the key holds what Baton did not write: delete it`
const set = (key: string) => admin.set(key, 'x')
async function spoilFence(key: string): Promise<unknown> {
  const source = (await admin.hkeys(key)).find(field => !/^(floor|ceiling):/.test(field))
  return admin.hset(key, source as string, 'x')
}

const SHARED: [what: string, key: string, spoil: (key: string) => Promise<unknown>][] = [
  ['a string in the place of the fence', keys.fence, set],
  ['a fence that is no number', keys.fence, spoilFence],
  ['a string in the place of the revocations', keys.revocations, set]
]
const OF_A_ROOM: typeof SHARED = [
  ['a string in the place of a log', keys.log(CHANNEL), set],
  ['a string in the place of a position', keys.meta(CHANNEL), set],
  ['a number of a position that is none', keys.meta(CHANNEL), key => admin.hset(key, 's', 'x')],
  ['an epoch that is none', keys.meta(CHANNEL), key => admin.hset(key, 'e', 'x y')],
  ['an epoch that is empty', keys.meta(CHANNEL), key => admin.hset(key, 'e', '')],
  ['an epoch that is too long', keys.meta(CHANNEL), key => admin.hset(key, 'e', 'x'.repeat(25))]
]

describe('what Baton did not write under its keys', { concurrency: 1 }, () => {
  for (const [what, key, spoil] of [...SHARED, ...OF_A_ROOM]) {
    test(`${what} is named in the log; records flow again once it is deleted`, async () => {
      await send()
      await allCame()
      const from = baton.logs.length
      if (spoil === set) await admin.del(key)
      await spoil(key)
      // Read again when they are told to have changed.
      await admin.publish(keys.bus(REVOCATIONS_CHANNEL), '')
      await send()
      const isTold = () => /"level":50[^\n]*holds what Baton did not write: delete it/.test(baton.logs.slice(from))
      await waitFor(isTold, { what: () => `an error that names ${key}: ${baton.logs.slice(from)}` })
      assert.ok(baton.logs.slice(from).includes(key))
      const isShared = SHARED.some(([, shared]) => shared === key)
      await waitFor(() => isStatus(isShared ? 503 : 200), { what: 'the readiness' })
      if (isShared) assert.deepEqual(await checkRedis(optionsFor(redis)), [faultOf(key)])
      await admin.del(key)
      await allCame()
      await waitFor(() => isStatus(200), { what: 'to be ready again' })
    })
  }

  test('in the place of one position holds up no other room when the links are cut', async () => {
    const other = await client.subscribe('/topic/other')
    await admin.del(keys.meta(CHANNEL))
    await set(keys.meta(CHANNEL))
    await admin.call('CLIENT', 'KILL', 'TYPE', 'pubsub')
    await waitFor(
      async () => {
        await admin.publish(keys.bus('topic:other'), 'plain')
        return other.messages.length > 0
      },
      { everyMs: 100, what: 'the other room to be live again' }
    )
    await admin.del(keys.meta(CHANNEL))
    await send()
    await allCame()
  })

  test('in the place of a claim names nobody', async () => {
    await using ends = new Ends()
    const { claims } = await ends.started(optionsFor(redis))
    await admin.rpush(keys.claim('k'), 'x')
    assert.equal(await claims.holder('k'), undefined)
  })

  test('in the place of the group is named at the next start', async () => {
    await admin.del(keys.group)
    await admin.rpush(keys.group, 'x')
    assert.deepEqual(await checkRedis(optionsFor(redis)), [faultOf(keys.group)])
    await admin.del(keys.group)
  })

  test('was no reason to end', () => {
    assert.doesNotMatch(baton.logs, /"level":60/)
  })
})
