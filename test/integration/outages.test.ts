import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { type Baton, startBaton } from '../support/baton.ts'
import { unique } from '../support/ids.ts'
import { sharedKafka, startKafka } from '../support/kafka.ts'
import { type KafkaClient, withKafka } from '../support/kafka-client.ts'
import { assertAllCame, recordsByRoom } from '../support/oracle.ts'
import { startRedis } from '../support/redis.ts'
import { connectStompjs } from '../support/stomp-client.ts'
import { type Follower, follow } from '../support/stomp-follower.ts'
import { waitFor } from '../support/wait.ts'

// Redis or Kafka goes away, or forgets everything, under two replicas whose readers are connected while records flow.

const ROOMS = Array.from({ length: 10 }, (_, n) => `room-${n}`)
const DESTINATIONS = ROOMS.map(room => `/topic/${room}`)

function configOf(topic: string, brokers: string[], url: string) {
  return {
    kafka: { brokers, groupId: unique('group'), sessionTimeoutMs: 6000 },
    redis: { url },
    routes: {
      topic: {
        topic: { name: topic, partitions: 2, replicationFactor: 1 },
        channel: 'topic:{+key}',
        destination: '/topic/{+key}',
        send: {}
      }
    }
  }
}

interface System extends AsyncDisposable {
  kafka: KafkaClient
  topic: string
  replicas: Baton[]
  followers: Follower[]
}

async function system(brokers: string[], url: string): Promise<System> {
  const stack = new AsyncDisposableStack()
  const kafka = stack.use(await withKafka({ brokers }))
  const topic = unique('topic')
  const config = configOf(topic, brokers, url)
  const replicas = [stack.use(await startBaton({ config })), stack.use(await startBaton({ config }))]
  const followers = await Promise.all(replicas.map(({ wsUrl }) => follow([wsUrl], DESTINATIONS)))
  for (const follower of followers) stack.use(follower)
  return { kafka, topic, replicas, followers, [Symbol.asyncDispose]: () => stack.disposeAsync() }
}

/** Another program that goes on producing to all rooms, until it is stopped; what Kafka does not take is not sent. */
function flow({ kafka, topic }: System) {
  let stopped = false
  const flowing = (async () => {
    const producer = kafka.kafka.producer({ retry: { retries: 0 } })
    await producer.connect()
    for (let n = 1; !stopped; n++) {
      const messages = ROOMS.map(room => ({ key: room, value: `${room} ${n}` }))
      await producer.send({ topic, messages, acks: -1 }).catch(() => undefined)
      await delay(10)
    }
    await producer.disconnect()
  })()
  return async () => {
    stopped = true
    await flowing
  }
}

/** Waits until every reader got some more of every room. */
async function moreComes({ followers }: System, deadlineMs = 20_000) {
  const counts = () => followers.flatMap(follower => DESTINATIONS.map(room => follower.messages(room).length))
  const before = counts()
  const grown = () => counts().every((count, index) => count >= (before[index] ?? 0) + 5)
  await waitFor(grown, { deadlineMs, what: 'more messages of every room to every reader' })
}

/** Records flow before, while and after something happens; in the end every reader has them all, in order, once. */
async function survives(running: System, happen: () => Promise<unknown>) {
  const stop = flow(running)
  await moreComes(running)
  await happen()
  await moreComes(running)
  await stop()
  await assertAllCame(running.followers, await recordsByRoom(running.kafka, running.topic))
}

const metricOf = async ({ url }: Baton, name: RegExp) =>
  [...(await (await fetch(`${url}/metrics`)).text()).matchAll(name)].reduce((sum, [, value]) => sum + Number(value), 0)

const statusOf = ({ url }: Baton) => fetch(`${url}/readyz`).then(({ status }) => status)
const closesOf = ({ followers }: System) => followers.flatMap(({ closes }) => closes)

describe('while records flow and readers are connected', () => {
  let server: Awaited<ReturnType<typeof startRedis>>
  let running: System
  let admin: Redis

  before(async () => {
    server = await startRedis()
    running = await system((await sharedKafka()).brokers, server.url)
    admin = new Redis(server.url)
    admin.on('error', () => undefined)
  })
  after(async () => {
    admin.disconnect()
    await running[Symbol.asyncDispose]()
    await server.stop()
  })

  test('the links of the subscribers are cut: nothing is lost, doubled or reordered', async () => {
    await survives(running, async () => {
      for (let cuts = 0; cuts < 5; cuts++) {
        assert.notEqual(await admin.call('CLIENT', 'KILL', 'TYPE', 'pubsub'), 0)
        await moreComes(running)
      }
    })
  })

  test('Redis stops answering for three seconds: nothing is lost, doubled or reordered', async () => {
    await survives(running, async () => {
      await server.pause()
      await delay(3000)
      await server.resume()
    })
  })

  test('Redis forgets everything (FLUSHALL): nothing is lost, doubled or reordered', async () => {
    await survives(running, () => admin.flushall())
    const rewinds = await Promise.all(
      running.replicas.map(baton => metricOf(baton, /^baton_relay_rewinds_total\S* (\d+)/gm))
    )
    assert.ok(rewinds.some(count => count > 0))
  })

  test('Redis restarts empty: nothing is lost, doubled or reordered', async () => {
    await survives(running, () => server.restart())
  })

  test('no reader was disconnected by any of it', () => {
    assert.deepEqual(closesOf(running), [])
  })
})

test('Kafka stops and comes back: readers stay connected, and it goes on by itself', async () => {
  await using kafka = await startKafka()
  await using redis = await startRedis()
  await using running = await system(kafka.brokers, redis.url)
  await survives(running, async () => {
    await kafka.stop()
    const notReady = async () => (await Promise.all(running.replicas.map(statusOf))).every(status => status === 503)
    await waitFor(notReady, { deadlineMs: 20_000, what: 'both replicas to say that Kafka is away' })
    await kafka.restart()
  })
  assert.deepEqual(closesOf(running), [])
})

describe('away at start', () => {
  for (const away of ['Redis', 'Kafka']) {
    test(`${away}: it says so with 503, and becomes ready by itself`, async () => {
      await using kafka = away === 'Kafka' ? await startKafka() : undefined
      await using redis = await startRedis()
      const server = kafka ?? redis
      await server.stop()
      const topic = unique('topic')
      const brokers = kafka?.brokers ?? (await sharedKafka()).brokers
      await using baton = await startBaton({ config: configOf(topic, brokers, redis.url), ready: false })
      const response = await fetch(`${baton.url}/readyz`)
      assert.equal(response.status, 503)
      assert.match(await response.text(), new RegExp(away, 'i'))
      assert.equal((await fetch(`${baton.url}/livez`)).status, 200)
      await server.restart()
      await waitFor(async () => (await statusOf(baton)) === 200, { deadlineMs: 30_000, what: () => baton.logs })
      await using client = await connectStompjs(baton.wsUrl)
      const { messages } = await client.subscribe('/topic/x')
      await client.send('/topic/x', 'it goes on')
      await waitFor(() => messages.length === 1, { what: 'the message' })
    })
  }
})
