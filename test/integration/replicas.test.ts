import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { type Baton, startBaton } from '../support/baton.ts'
import { unique } from '../support/ids.ts'
import { withKafka } from '../support/kafka-client.ts'
import { assertAllCame, recordsByRoom } from '../support/oracle.ts'
import { sharedRedis } from '../support/redis.ts'
import { connectStompit, connectStompjs, type StompClient } from '../support/stomp-client.ts'
import { type Follower, follow } from '../support/stomp-follower.ts'
import { deadline, waitFor } from '../support/wait.ts'

// Two processes on one Kafka and one Redis. Every reader must have what Kafka holds, and Kafka what was RECEIPTed.

const ROOMS = Array.from({ length: 50 }, (_, n) => `/topic/room-${n}`)
const SENT_MS = 40_000

async function system() {
  const stack = new AsyncDisposableStack()
  const kafka = stack.use(await withKafka())
  const { url } = await sharedRedis()
  const topic = unique('topic')
  const config = {
    kafka: { brokers: kafka.brokers, groupId: unique('group'), sessionTimeoutMs: 6000 },
    redis: { url, prefix: `${unique('prefix')}:` },
    lifecycle: { drainTimeoutMs: 1000, deadlineMs: 5000 },
    routes: {
      topic: {
        topic: { name: topic, partitions: 4, replicationFactor: 1 },
        channel: 'topic:{+key}',
        destination: '/topic/{+key}',
        send: {}
      }
    }
  }
  // The second joins while the first already consumes, so that both own partitions once this resolves.
  const first = stack.use(await startBaton({ config }))
  const second = stack.use(await startBaton({ config }))
  await waitFor(() => /"assigned":\{[^}]+\}/.test(second.logs), { what: 'partitions of the second replica' })
  await waitFor(() => isReady(first), { what: 'the first replica to be ready again' })
  return { stack, kafka, topic, first, second }
}

const isReady = ({ url }: Baton) => fetch(`${url}/readyz`).then(({ ok }) => ok)

/** One reader of these rooms for every five of them. */
function readers(urls: string[], rooms: string[]): Promise<Follower[]> {
  const groups = Array.from({ length: rooms.length / 5 }, (_, n) => rooms.slice(5 * n, 5 * n + 5))
  return Promise.all(groups.map(group => follow(urls, group)))
}

/** Sends numbered messages to some rooms, one round after the other, each round RECEIPTed. @returns what was RECEIPTed. */
async function sendRounds(client: StompClient, rooms: string[], rounds: number, name: string) {
  const receipted: { room: string; text: string }[] = []
  for (let round = 1; round <= rounds; round++) {
    const sent = rooms.map(async room => {
      const text = `${name} ${round} 안녕 👋`
      await client.send(room, text)
      receipted.push({ room, text })
    })
    const failed = (await Promise.allSettled(sent)).some(({ status }) => status === 'rejected')
    if (failed) break
  }
  return receipted
}

/** A system, a reader of every room on each replica that goes on on the other, and a sender on each that sends meanwhile. */
async function busySystem() {
  const { stack, ...parts } = await system()
  const both = [parts.first.wsUrl, parts.second.wsUrl]
  const followers = (await Promise.all([readers(both, ROOMS), readers(both.toReversed(), ROOMS)])).flat()
  const senders = await Promise.all(both.map(url => connectStompjs(url)))
  for (const client of [...followers, ...senders]) stack.use(client)
  const sent = Promise.all(senders.map((sender, n) => sendRounds(sender, ROOMS, 100, `sender ${n}`)))
  const flows = () => followers.every(follower => follower.messages(follower.destinations[0] ?? '').length > 20)
  await waitFor(flows, { what: 'messages to flow' })
  const receipted = async () => {
    const all = await deadline(sent, SENT_MS, 'the end of sending')
    assert.ok((all[0]?.length ?? 0) < 5000, 'the first replica ended too late')
    assert.equal(all[1]?.length, 5000)
    return all.flat()
  }
  return { ...parts, stack, followers, senders, receipted }
}

describe('two replicas', () => {
  test('10,000 messages in 50 rooms sent on one reach every reader of either, in order, once', async () => {
    const { stack, kafka, topic, first, second } = await system()
    await using _stack = stack
    const followers = (await Promise.all([readers([first.wsUrl], ROOMS), readers([second.wsUrl], ROOMS)])).flat()
    const connects = [connectStompjs, connectStompit, connectStompjs, connectStompit, connectStompjs]
    const senders = await Promise.all(connects.map(connect => connect(first.wsUrl)))
    for (const client of [...followers, ...senders]) stack.use(client)
    const receipted = await Promise.all(
      senders.map((sender, n) => sendRounds(sender, ROOMS.slice(10 * n, 10 * n + 10), 200, `sender ${n}`))
    )
    assert.equal(receipted.flat().length, 10_000)
    const truth = await recordsByRoom(kafka, topic)
    for (const [room, texts] of Map.groupBy(receipted.flat(), ({ room }) => room)) {
      assert.deepEqual(
        truth.get(room),
        texts.map(({ text }) => text)
      )
    }
    await assertAllCame(followers, truth)
  })

  test('with one replica killed midway, readers that resume on the other still get all, in order, once', async () => {
    const { stack, kafka, topic, first, followers, receipted } = await busySystem()
    await using _stack = stack
    await first.kill()
    const texts = await receipted()
    const truth = await recordsByRoom(kafka, topic)
    for (const { room, text } of texts) assert.ok(truth.get(room)?.includes(text), `${room}: ${text} is lost`)
    await assertAllCame(followers, truth)
    assert.equal(followers.filter(({ closes }) => closes.length > 0).length, followers.length / 2)
  })

  test('a replica told to stop closes with 1001, RECEIPTs what Kafka has, exits 0, and nothing is consumed twice', async () => {
    const { stack, kafka, topic, first, second, followers, senders, receipted } = await busySystem()
    await using _stack = stack
    assert.deepEqual(await first.stop(), { code: 0, signal: null })
    assert.equal((await senders[0]?.ended)?.code, 1001)
    const texts = await receipted()
    assert.ok(followers.flatMap(({ closes }) => closes).every(code => code === 1001))
    const truth = await recordsByRoom(kafka, topic)
    assert.deepEqual(
      [...truth].flatMap(([room, all]) => all.map(text => `${room} ${text}`)).sort(),
      texts.map(({ room, text }) => `${room} ${text}`).sort()
    )
    await assertAllCame(followers, truth)
    const metrics = await (await fetch(`${second.url}/metrics`)).text()
    assert.match(metrics, /^baton_records_consumed_total/m)
    assert.doesNotMatch(metrics, /^baton_entries_suppressed_total\S* [1-9]/m)
  })
})
