import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { type Baton, startBaton } from '../support/baton.ts'
import { unique } from '../support/ids.ts'
import { type KafkaClient, withKafka } from '../support/kafka-client.ts'
import { sharedRedis } from '../support/redis.ts'
import { CLIENTS, connectStompjs, type Received, type StompClient } from '../support/stomp-client.ts'
import { waitFor } from '../support/wait.ts'

// config/presets/points.yaml as it is, on real servers.

let baton: Baton
let kafka: KafkaClient

before(async () => {
  kafka = await withKafka()
  baton = await startBaton({
    config: 'config/presets/points.yaml',
    env: {
      BATON_KAFKA_BROKERS: kafka.brokers.join(),
      BATON_KAFKA_INSTANCE_ID: unique('instance'),
      BATON_REDIS_URL: (await sharedRedis()).url,
      BATON_REDIS_PREFIX: `${unique('prefix')}:`
    }
  })
})
after(async () => {
  await baton.stop()
  await kafka[Symbol.asyncDispose]()
})

const ofStudy = (key: string) => `/sub/study/${key}/points`
const ofUser = (key: string) => `/sub/user/${key}/points`
const shown = (messages: Received[]) => messages.map(({ headers: { type }, body }) => `${type} ${body}`)
const came = (messages: Received[], count: number) =>
  waitFor(() => messages.length >= count, { what: () => `${count} messages, ${messages.length} came` })

/** The values of a key in a topic, as another program that reads committed records sees them. */
async function valuesOf(topic: string, key: string): Promise<string[]> {
  const consumed = await kafka.consumeCommitted(topic)
  return consumed.filter(record => String(record.key) === key).map(({ value }) => String(value))
}

async function join(study: string, body: unknown): Promise<{ status: number; answer: Record<string, unknown> }> {
  const response = await fetch(`${baton.url}/study-rooms/${encodeURIComponent(study)}/members`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body)
  })
  return { status: response.status, answer: (await response.json()) as Record<string, unknown> }
}

async function watch(client: StompClient, study: string, user: string) {
  const [{ messages: inStudy }, { messages: ofMember }] = await Promise.all([
    client.subscribe(ofStudy(encode(study))),
    client.subscribe(ofUser(encode(user)))
  ])
  return { inStudy, ofMember }
}

/** A value in a destination, as docs/routes.md has it. */
const encode = (value: string) => value.replace(/[/:{}%\p{Cc}]/gu, encodeURIComponent)

for (const [name, connect] of CLIENTS) {
  describe(`points with ${name}`, () => {
    test('a POST takes points of the member and gives them to the room, as the number that came', async () => {
      const [study, user] = [unique('study'), unique('user')]
      await using client = await connect(baton.wsUrl)
      const { inStudy, ofMember } = await watch(client, study, user)
      const { status, answer } = await join(study, { userId: user, point: 100 })
      assert.equal(status, 202)
      assert.deepEqual(
        (answer as unknown as { topic: string }[]).map(({ topic }) => topic),
        ['add-study-point', 'sub-user-point']
      )
      await came(inStudy, 1)
      await came(ofMember, 1)
      assert.deepEqual(shown(inStudy), ['add-study-point 100'])
      assert.deepEqual(shown(ofMember), ['sub-user-point 100'])
      assert.deepEqual(await valuesOf('add-study-point', study), ['100'])
      assert.deepEqual(await valuesOf('sub-user-point', user), ['100'])
    })

    test('a STOMP transaction over two topics is written at COMMIT, bytes untouched; ABORT writes nothing', async () => {
      const [study, user] = [unique('study'), unique('user')]
      await using client = await connect(baton.wsUrl)
      const { inStudy, ofMember } = await watch(client, study, user)
      for (const [value, end] of [
        ['7', 'abort'],
        ['9', 'commit']
      ] as const) {
        const transaction = client.begin()
        transaction.send(`/pub/study/${study}/points/add`, value)
        transaction.send(`/pub/user/${user}/points/sub`, value)
        transaction[end]()
      }
      await came(inStudy, 1)
      await came(ofMember, 1)
      await client.send(`/pub/study/${study}/points/create`, ' 11')
      await client.send(`/pub/user/${user}/points/add`, '12')
      await came(inStudy, 2)
      await came(ofMember, 2)
      assert.deepEqual(shown(inStudy), ['add-study-point 9', 'create-study-point  11'])
      assert.deepEqual(shown(ofMember), ['sub-user-point 9', 'add-user-point 12'])
      assert.deepEqual(await valuesOf('add-study-point', study), ['9'])
      assert.deepEqual(await valuesOf('sub-user-point', user), ['9'])
    })

    test('points that are no whole number are refused', async () => {
      const study = unique('study')
      for (const body of ['many', '0', '1.5', '{"point":1}', '']) {
        await using client = await connect(baton.wsUrl)
        await assert.rejects(client.send(`/pub/study/${study}/points/sub`, body), body)
        assert.equal((await client.ended).headers?.['code'], 'INVALID_BODY', body)
      }
      assert.deepEqual(await valuesOf('sub-study-point', study), [])
    })
  })
}

test('what another program aborts is never delivered, what it commits is', async () => {
  const [study, user] = [unique('study'), unique('user')]
  await using client = await connectStompjs(baton.wsUrl)
  const { inStudy, ofMember } = await watch(client, study, user)
  await using stack = new AsyncDisposableStack()
  const open = async (value: string) => {
    const producer = kafka.kafka.producer({ transactionalId: unique('other'), maxInFlightRequests: 1 })
    stack.defer(() => producer.disconnect())
    await producer.connect()
    const { sendBatch, commit, abort } = await producer.transaction()
    await sendBatch({
      topicMessages: [
        { topic: 'sub-study-point', messages: [{ key: study, value }] },
        { topic: 'add-user-point', messages: [{ key: user, value }] }
      ]
    })
    return { commit, abort }
  }
  const [first, second, third] = [await open('5'), await open('6'), await open('7')]
  await third.abort()
  await first.abort()
  await second.commit()
  await client.send(`/pub/study/${study}/points/sub`, '1')
  await client.send(`/pub/user/${user}/points/add`, '1')
  await came(inStudy, 2)
  await came(ofMember, 2)
  assert.deepEqual(shown(inStudy), ['sub-study-point 6', 'sub-study-point 1'])
  assert.deepEqual(shown(ofMember), ['add-user-point 6', 'add-user-point 1'])
})

test('a POST that does not hold is a problem that names the field, and writes nothing', async () => {
  const [study, user] = [unique('study'), unique('user')]
  const wrong: [body: unknown, pointer: string][] = [
    [{ userId: user }, '/point'],
    [{ userId: user, point: '100' }, '/point'],
    [{ userId: user, point: 0 }, '/point'],
    [{ userId: user, point: 2 ** 60 }, '/point'],
    [{ point: 100 }, '/userId'],
    [{ userId: '', point: 100 }, '/userId']
  ]
  for (const [body, pointer] of wrong) {
    const { status, answer } = await join(study, body)
    assert.deepEqual(
      [status, answer['code'], answer['pointer']],
      [422, 'INVALID_BODY', pointer],
      JSON.stringify(answer)
    )
  }
  assert.deepEqual(await valuesOf('add-study-point', study), [])
  assert.deepEqual(await valuesOf('sub-user-point', user), [])
})

test('rooms and users may have any name', async () => {
  await using client = await connectStompjs(baton.wsUrl)
  for (const odd of ['스터디 1', 'a/b', '50%', 'x:y', '{key}', '\0\0\0\0', '../..', "' OR 1=1"]) {
    const [study, user] = [`${odd}${unique('s')}`, `${unique('u')}${odd}`]
    const { inStudy, ofMember } = await watch(client, study, user)
    const { status, answer } = await join(study, { userId: user, point: 3 })
    assert.equal(status, 202, `${odd}: ${JSON.stringify(answer)}`)
    await came(inStudy, 1)
    await came(ofMember, 1)
    assert.deepEqual(shown([...inStudy, ...ofMember]), ['add-study-point 3', 'sub-user-point 3'])
    assert.deepEqual(await valuesOf('sub-user-point', user), ['3'])
  }
})
