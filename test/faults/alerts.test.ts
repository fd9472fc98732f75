import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  acceptOf,
  alertOf,
  alertSystem,
  assertEachOnce,
  destinationOf,
  heldBy,
  post,
  type Role,
  socketOf,
  textsOf
} from '../support/alerts.ts'
import type { Baton } from '../support/baton.ts'
import { count } from '../support/faults.ts'
import { unique } from '../support/ids.ts'
import { startKafka } from '../support/kafka.ts'
import { withKafka } from '../support/kafka-client.ts'
import { startRedis } from '../support/redis.ts'
import { follow } from '../support/stomp-follower.ts'

// Alerts are raised without a pause while each process of the system in turn is killed with -9 and started again. The truth is
// what Kafka holds: whatever was answered with 202 is there, and all that is there reaches each reader once.

const KILLED: Role[] = ['edge', 'relay', 'ingest']
const KILLS = count(6, 50)
const ALERTS_PER_KILL = 100
/** POSTs under way at once: enough that an ingest is killed with some in hand. */
const CALLERS = 20
const LINES = Array.from({ length: 5 }, () => unique('line'))
/** A killed relay's partitions are given to the next one after this. */
const SESSION_MS = 4000

test('edge, relay and ingest are killed in turn: every alert answered with 202 arrives once, and nothing twice', async t => {
  const from = performance.now()
  await using kafka = await startKafka({ properties: { 'group.min.session.timeout.ms': SESSION_MS } })
  await using redis = await startRedis()
  await using client = await withKafka({ brokers: kafka.brokers })
  const env = {
    BATON_KAFKA_SESSION_TIMEOUT_MS: `${SESSION_MS}`,
    BATON_KAFKA_HEARTBEAT_INTERVAL_MS: `${SESSION_MS / 4}`
  }
  const start = alertSystem({ brokers: kafka.brokers, redisUrl: redis.url, env })
  /** The process of each role, or the one that is being started in its place. */
  const system = new Map<Role, Promise<Baton>>(KILLED.map(role => [role, start(role)]))
  const processOf = (role: Role) => system.get(role) as Promise<Baton>
  await using stack = new AsyncDisposableStack()
  stack.defer(async () => {
    for (const baton of await Promise.allSettled(system.values()))
      if (baton.status === 'fulfilled') await baton.value.stop()
  })
  await Promise.all(system.values())
  const edge = socketOf(await processOf('edge'))
  const followers = await Promise.all([1, 2].map(() => follow([edge], LINES.map(destinationOf))))
  for (const follower of followers) stack.use(follower)

  const sent: string[] = []
  const taken: string[] = []

  /** Until one is taken, each attempt with an id of its own: one whose ingest died may be in Kafka all the same. */
  async function raise(): Promise<void> {
    for (;;) {
      const number = sent.length
      const text = `${number}`
      const line = LINES[number % LINES.length] as string
      sent.push(text)
      const ingest = await processOf('ingest')
      const answer =
        number % 10 === 9 ? post(ingest, '/accept', acceptOf(line, text)) : post(ingest, '/alert', alertOf(line, text))
      const response = await answer.catch(() => undefined)
      if (response) {
        assert.equal(response.status, 202, await response.text())
        taken.push(text)
        return
      }
    }
  }

  async function restart(role: Role): Promise<Baton> {
    const baton = await processOf(role)
    await baton.kill()
    return start(role, baton.port)
  }

  for (let kill = 0; kill < KILLS; kill++) {
    const role = KILLED[kill % KILLED.length] as Role
    let left = ALERTS_PER_KILL
    const callers = Array.from({ length: CALLERS }, async () => {
      while (left-- > 0) {
        await raise()
        if (left === ALERTS_PER_KILL / 2) system.set(role, restart(role))
      }
    })
    await Promise.all(callers)
    await processOf(role)
  }

  const held = await heldBy(client)
  const texts = held.map(({ text }) => text)
  const lost = taken.filter(text => !texts.includes(text))
  assert.deepEqual(lost, [])
  assert.equal(new Set(texts).size, texts.length, 'Kafka holds an alert twice')
  for (const follower of followers) {
    await assertEachOnce(follower, held)
    assert.deepEqual(follower.gaps, [])
    assert.ok(follower.closes.length >= KILLS / KILLED.length)
  }
  const came = followers.flatMap(follower => LINES.flatMap(line => textsOf(follower, destinationOf(line))))
  const doubled = came.length - followers.length * new Set(came).size
  const seconds = Math.round((performance.now() - from) / 1000)
  const unknown = sent.length - taken.length
  t.diagnostic(
    `alerts ${taken.length} · of unknown outcome ${unknown} · kills ${KILLS} · lost ${lost.length} · doubled ${doubled} · ${seconds} s`
  )
})
