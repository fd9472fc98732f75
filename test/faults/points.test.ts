import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { type Baton, startBaton } from '../support/baton.ts'
import { count } from '../support/faults.ts'
import { unique } from '../support/ids.ts'
import { startKafka } from '../support/kafka.ts'
import { type KafkaClient, withKafka } from '../support/kafka-client.ts'
import { sharedRedis } from '../support/redis.ts'
import { connectStompjs, type Received } from '../support/stomp-client.ts'
import { waitFor } from '../support/wait.ts'

// config/presets/points.yaml on three brokers. POSTs of two records each run eight at a time, every one with a number of its own
// as its points, and those who take them are killed or put to sleep. Kafka must hold both records of a POST or neither.

const TOPICS = ['add-study-point', 'sub-user-point'] as const
const STUDIES = ['study-0', 'study-1', 'study-2', 'study-3']
const AT_ONCE = 8
/** A harm that fell between two transactions showed nothing: it is done so many times at most until one did not. */
const MOST_ROUNDS = count(30, 200)

const stack = new AsyncDisposableStack()
let kafka: KafkaClient
/** Relays, and is never killed. */
let watching: Baton
let env: Record<string, string>
/** Called for each record that is written, committed or not. */
let onWritten = () => {}
let posted = 0
const acknowledged = new Set<number>()

before(async () => {
  const { brokers } = stack.use(await startKafka({ brokers: 3 }))
  kafka = stack.use(await withKafka({ brokers }))
  env = {
    BATON_KAFKA_BROKERS: brokers.join(),
    BATON_REDIS_URL: (await sharedRedis()).url,
    BATON_REDIS_PREFIX: `${unique('prefix')}:`
  }
  watching = stack.use(await startBaton({ config: 'config/presets/points.yaml', env }))
  const tail = kafka.kafka.consumer({ groupId: unique('tail'), readUncommitted: true, maxWaitTimeInMs: 100 })
  stack.defer(() => tail.disconnect())
  await tail.connect()
  await tail.subscribe({ topics: [...TOPICS], fromBeginning: true })
  await tail.run({ eachMessage: async () => onWritten() })
})
after(() => stack.disposeAsync())

/** Only serves: it is ready without waiting for the group to miss the one before. */
const startNamed = (instanceId: string) =>
  startBaton({
    config: 'config/presets/points.yaml',
    env: { ...env, BATON_ROLES: 'edge', BATON_KAFKA_INSTANCE_ID: instanceId }
  })

/** POSTs until `stop` is called or one of them fails. */
function postTo({ url }: Baton) {
  let stopped = false
  const posters = Array.from({ length: AT_ONCE }, async () => {
    while (!stopped) {
      const number = ++posted
      const study = STUDIES[number % STUDIES.length]
      const answer = await fetch(`${url}/study-rooms/${study}/members`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ userId: `user-${number}`, point: number })
      }).catch(() => undefined)
      if (answer?.status === 202) acknowledged.add(number)
      stopped ||= answer === undefined
    }
  })
  return async () => {
    stopped = true
    await Promise.all(posters)
  }
}

const numbersOf = (records: { value: Buffer | null }[]) =>
  records.map(({ value }) => Number(value)).sort((a, b) => a - b)
const sum = (numbers: number[]) => numbers.reduce((total, number) => total + number, 0)

/** What is committed, after holding it to the promise. */
async function assertBothOrNeither(): Promise<number[]> {
  const [given = [], taken = []] = (await Promise.all(TOPICS.map(kafka.consumeCommitted))).map(numbersOf)
  assert.equal(given.length, taken.length)
  assert.equal(sum(given), sum(taken))
  assert.deepEqual(given, taken)
  assert.equal(new Set(given).size, given.length, 'written twice')
  assert.deepEqual([...acknowledged.difference(new Set(given))], [], 'acknowledged and lost')
  return given
}

test('both or neither: a replica killed again and again in the midst of POSTs', async t => {
  const least = count(2, 200)
  const instanceId = unique('instance')
  await using client = await connectStompjs(watching.wsUrl)
  const delivered: Received[][] = []
  for (const study of STUDIES) delivered.push((await client.subscribe(`/sub/study/${study}/points`)).messages)

  async function killAmidst() {
    const baton = await startNamed(instanceId)
    const stop = postTo(baton)
    const enough = acknowledged.size + AT_ONCE
    await waitFor(() => acknowledged.size >= enough, { what: () => `answers to POSTs; its log:\n${baton.logs}` })
    // What was just written is in an open transaction still, more often than not.
    const written = Promise.withResolvers<void>()
    onWritten = written.resolve
    await written.promise
    await baton.kill()
    await stop()
  }

  async function examine() {
    // It ends what the killed one left open.
    await (await startNamed(instanceId)).stop()
    const committed = await assertBothOrNeither()
    const [given, taken] = (await Promise.all(TOPICS.map(kafka.consumeWritten))).map(records =>
      new Set(numbersOf(records)).difference(new Set(committed))
    ) as [Set<number>, Set<number>]
    return { committed, aborted: given.union(taken).size, halves: given.symmetricDifference(taken).size }
  }

  let kills = 0
  for (; kills < least; kills++) await killAmidst()
  let found = await examine()
  for (; found.aborted === 0 && kills < MOST_ROUNDS; kills++) {
    await killAmidst()
    found = await examine()
  }
  const { committed, aborted, halves } = found
  t.diagnostic(
    `${kills} kills · ${posted} POSTs, ${acknowledged.size} answered · ${committed.length} committed · ${aborted} left open and aborted, ${halves} of them written by half · 0 unequal`
  )
  assert.ok(aborted > 0, 'no kill fell into a transaction')
  await waitFor(() => delivered.flat().length >= committed.length, { what: 'all messages' })
  assert.deepEqual(numbersOf(delivered.flat().map(({ body }) => ({ value: body }))), committed)
})

test('both or neither: a replica that slept in the midst of POSTs while another took its name', async t => {
  const least = count(2, 20)
  let fenced = 0
  let sleeps = 0
  for (; sleeps < least || (fenced === 0 && sleeps < MOST_ROUNDS); sleeps++) {
    const instanceId = unique('instance')
    await using sleeper = await startNamed(instanceId)
    const stop = postTo(sleeper)
    const enough = acknowledged.size + 10
    await waitFor(() => acknowledged.size >= enough, { what: 'answers to POSTs' })
    await sleeper.pause()
    await using other = await startNamed(instanceId)
    const stopOther = postTo(other)
    const more = acknowledged.size + 10
    await waitFor(() => acknowledged.size >= more, { what: 'answers of the other' })
    await stopOther()
    await sleeper.resume()
    await stop()
    if (/Kafka aborted a transaction.*give each replica a name/.test(sleeper.logs)) fenced++
  }
  const committed = await assertBothOrNeither()
  t.diagnostic(
    `${sleeps} sleeps · ${committed.length} committed · ${fenced} sleepers were refused a commit · 0 unequal`
  )
  assert.ok(fenced > 0, 'no sleep fell into a transaction')
})
