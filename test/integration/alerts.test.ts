import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { Redis } from 'ioredis'
import { WebSocket } from 'ws'
import {
  acceptOf,
  alertOf,
  alertSystem,
  assertEachOnce,
  destinationOf,
  heldBy,
  post,
  socketOf,
  textsOf
} from '../support/alerts.ts'
import type { Baton } from '../support/baton.ts'
import { unique } from '../support/ids.ts'
import { startKafka } from '../support/kafka.ts'
import { type KafkaClient, withKafka } from '../support/kafka-client.ts'
import { recordsOf } from '../support/oracle.ts'
import { startRedis } from '../support/redis.ts'
import { CLIENTS, connectStompjs, type Received } from '../support/stomp-client.ts'
import { type Follower, follow } from '../support/stomp-follower.ts'
import { once, waitFor } from '../support/wait.ts'

// config/presets/alerts.yaml as it is, on real servers: an ingest, an edge and a relay, each a process.

interface Coordinate {
  topic: string
  partition: number
  offset: number
}

async function taken(answer: Promise<Response>): Promise<Coordinate> {
  const response = await answer
  assert.equal(response.status, 202, await response.clone().text())
  return (await response.json()) as Coordinate
}

async function flush(url: string): Promise<void> {
  const admin = new Redis(url)
  await admin.flushall()
  admin.disconnect()
}

describe('the alerts preset', () => {
  let redis: Awaited<ReturnType<typeof startRedis>>
  let kafka: KafkaClient
  let start: ReturnType<typeof alertSystem>
  let ingest: Baton
  let edge: Baton
  let relay: Baton

  before(async () => {
    kafka = await withKafka()
    redis = await startRedis({ appendonly: true })
    start = alertSystem({ brokers: kafka.brokers, redisUrl: redis.url })
    ;[ingest, edge, relay] = await Promise.all([start('ingest'), start('edge'), start('relay')])
  })
  after(async () => {
    await Promise.all([ingest, edge, relay].map(baton => baton.stop()))
    await redis.stop()
    await kafka[Symbol.asyncDispose]()
  })

  const storedAt = async ({ topic, partition, offset }: Coordinate) =>
    (await recordsOf(kafka, topic)).find(record => record.partition === partition && Number(record.offset) === offset)
  /** A reader of one line that comes back and resumes. */
  const followLine = async (line: string): Promise<Follower> => follow([socketOf(edge)], [destinationOf(line)])
  const came = (follower: Follower, texts: string[]) =>
    waitFor(() => texts.every(text => textsOf(follower, follower.destinations[0] as string).includes(text)), {
      deadlineMs: 30_000,
      what: () => `${texts} among ${textsOf(follower, follower.destinations[0] as string)}`
    })
  const assertAllOnce = async (follower: Follower) => {
    await assertEachOnce(follower, await heldBy(kafka))
    assert.deepEqual(follower.gaps, [])
  }

  for (const [name, connect] of CLIENTS)
    test(`an alert and its acceptance are stored and reach who follows the line, with ${name}`, async () => {
      const line = unique('line')
      await using client = await connect(socketOf(edge))
      const { messages } = await client.subscribe(destinationOf(line))
      const alert = { line, house: '101호', text: '불이야 🔥', lat: 37.123456, lng: 126.654321 }
      const alertAt = await taken(post(ingest, '/alert', alert))
      await waitFor(() => messages.length === 1, { what: 'the alert' })
      const acceptAt = await taken(post(ingest, '/accept', { line, acceptHouse: '102호', targetHouse: '101호' }))
      await waitFor(() => messages.length === 2, { what: 'the acceptance' })

      const [storedAlert, storedAccept] = [await storedAt(alertAt), await storedAt(acceptAt)]
      assert.deepEqual([alertAt.topic, acceptAt.topic], ['an-alert', 'an-accept'])
      assert.deepEqual(JSON.parse(`${storedAlert?.value}`), alert)
      assert.deepEqual(JSON.parse(`${storedAccept?.value}`), { line, accept: '102호', target: '101호' })
      assert.deepEqual([storedAlert?.key, storedAccept?.key], [null, null])

      const got = ({ headers, body }: Received) => [headers['type'], JSON.parse(`${body}`)]
      assert.deepEqual(messages.map(got), [
        ['alert', { type: 'alert', line, house: '101호', text: '불이야 🔥' }],
        ['accept', { type: 'accept', line, accept: '102호', text: '101호' }]
      ])
    })

  test('a SEND is the same way in as a POST', async () => {
    const line = unique('line')
    await using client = await connectStompjs(socketOf(edge))
    const { messages } = await client.subscribe(destinationOf(line))
    await client.send('/pub/alert', JSON.stringify(alertOf(line, 'one')))
    await waitFor(() => messages.length === 1, { what: 'the alert' })
    await client.send('/pub/accept', JSON.stringify(acceptOf(line, 'two')))
    await waitFor(() => messages.length === 2, { what: 'the acceptance' })
    assert.deepEqual(
      messages.map(({ body }) => JSON.parse(`${body}`).text),
      ['one', 'two']
    )
  })

  test('where an alert was raised reaches no client, live, resumed or as history', async () => {
    const line = unique('line')
    await using live = await followLine(line)
    await taken(post(ingest, '/alert', { ...alertOf(line, 'one'), lat: 11.222333, lng: 44.555666 }))
    await came(live, ['one'])
    await using late = await connectStompjs(socketOf(edge))
    const { messages } = await late.subscribe(destinationOf(line), { history: '10' })
    await waitFor(() => messages.length === 1, { what: 'the alert out of the log' })
    const history = await (await fetch(`${edge.url}/history?destination=${destinationOf(line)}`)).text()
    assert.match(history, /"text":"one"/)
    const all = [...live.messages(destinationOf(line)), ...messages]
    const seen = [...all.map(({ headers, body }) => `${JSON.stringify(headers)} ${body}`), history].join('\n')
    assert.doesNotMatch(seen, /11\.222333|44\.555666|"l(?:at|ng)"/)
  })

  test('many alerts of one line use every partition, and each arrives once', async () => {
    const line = unique('line')
    await using follower = await followLine(line)
    const places = await Promise.all(
      Array.from({ length: 100 }, (_, n) => [
        taken(post(ingest, '/alert', alertOf(line, `alert ${n}`))),
        taken(post(edge, '/accept', acceptOf(line, `accept ${n}`)))
      ]).flat()
    )
    const lanes = new Set(places.map(({ topic, partition }) => `${topic}/${partition}`))
    assert.deepEqual([...lanes].sort(), ['an-accept/0', 'an-accept/1', 'an-alert/0', 'an-alert/1'])
    await assertAllOnce(follower)
    assert.equal(follower.messages(destinationOf(line)).length, 200)
  })

  const bad: [path: string, body: unknown, field?: string][] = [
    ...['line', 'house', 'text', 'lat', 'lng'].map((field): [string, unknown, string] => [
      '/alert',
      { ...alertOf('1', 'x'), [field]: undefined },
      field
    ]),
    ...['line', 'acceptHouse', 'targetHouse'].map((field): [string, unknown, string] => [
      '/accept',
      { ...acceptOf('1', 'x'), [field]: undefined },
      field
    ]),
    ['/alert', { ...alertOf('1', 'x'), lat: '37.5' }, 'lat'],
    ['/alert', { ...alertOf('1', 'x'), lng: 181 }, 'lng'],
    ['/alert', { ...alertOf('1', 'x'), text: 7 }, 'text'],
    ['/alert', { ...alertOf('', 'x') }, 'line'],
    ['/accept', { ...acceptOf('1', 'x'), line: {} }, 'line'],
    ['/alert', '{ no JSON'],
    ['/accept', '[]']
  ]
  test('a bad body is a problem that names the field, and Kafka never sees it', async () => {
    const ends = async () => [
      await kafka.admin.fetchTopicOffsets('an-alert'),
      await kafka.admin.fetchTopicOffsets('an-accept')
    ]
    const before = await ends()
    for (const [path, body, field] of bad) {
      const response = await post(ingest, path, body)
      const { code, pointer, detail } = (await response.json()) as { code: string; pointer?: string; detail: string }
      const told = `${path} ${JSON.stringify(body)}: ${detail}`
      assert.deepEqual([response.status, code, pointer], [422, 'INVALID_BODY', field && `/${field}`], told)
      assert.match(response.headers.get('content-type') ?? '', /^application\/problem\+json/)
    }
    assert.deepEqual(await ends(), before)
  })

  test('an ingest opens no WebSocket, and a relay takes no alert', async () => {
    const socket = new WebSocket(socketOf(ingest), 'v12.stomp').on('error', () => undefined)
    await once(socket, 'error', { what: 'a refusal' })
    assert.equal((await post(relay, '/alert', alertOf('1', 'x'))).status, 404)
  })

  test('with the ingest killed, sessions stay and what the edge takes is delivered', async () => {
    const line = unique('line')
    await using follower = await followLine(line)
    await ingest.kill()
    await taken(post(edge, '/alert', alertOf(line, 'one')))
    await came(follower, ['one'])
    assert.deepEqual(follower.closes, [])
    ingest = await start('ingest', ingest.port)
    await taken(post(ingest, '/alert', alertOf(line, 'two')))
    await came(follower, ['two'])
    await assertAllOnce(follower)
  })

  test('with the edge killed, POSTs are taken, and who comes back gets them', async () => {
    const line = unique('line')
    await using follower = await followLine(line)
    await taken(post(ingest, '/alert', alertOf(line, 'before')))
    await came(follower, ['before'])
    await edge.kill()
    assert.equal((await fetch(`${ingest.url}/readyz`)).status, 200)
    for (const text of ['one', 'two', 'three']) await taken(post(ingest, '/alert', alertOf(line, text)))
    edge = await start('edge', edge.port)
    await came(follower, ['one', 'two', 'three'])
    await assertAllOnce(follower)
    assert.ok(follower.closes.length > 0)
  })

  test('with Redis stopped, POSTs are taken, and the alerts arrive when it is back', async () => {
    const line = unique('line')
    await using follower = await followLine(line)
    await taken(post(ingest, '/alert', alertOf(line, 'before')))
    await came(follower, ['before'])
    await redis.stop()
    const edgeNotReady = async () => (await fetch(`${edge.url}/readyz`)).status === 503
    await waitFor(edgeNotReady, { what: 'the edge to say that Redis is away' })
    assert.equal((await fetch(`${ingest.url}/readyz`)).status, 200)
    for (const taker of [ingest, edge])
      for (const text of ['one', 'two']) await taken(post(taker, '/alert', alertOf(line, `${text} ${taker.port}`)))
    await redis.restart()
    await came(follower, [`two ${ingest.port}`, `two ${edge.port}`])
    await assertAllOnce(follower)
    assert.deepEqual(follower.closes, [])
  })

  test('Redis that forgot everything is filled again: each alert, before and after, arrives once', async () => {
    const line = unique('line')
    await using follower = await followLine(line)
    const raise = (name: string) =>
      Promise.all(Array.from({ length: 20 }, (_, n) => taken(post(ingest, '/alert', alertOf(line, `${name} ${n}`)))))
    await raise('before')
    await flush(redis.url)
    await raise('after')
    // Whether a gap is told depends on which partition is filled again first: what cannot be proved whole is said.
    await assertEachOnce(follower, await heldBy(kafka))
  })
})

test('with two of three brokers down no alert is taken; with one back a retry is, and every alert taken is delivered', async () => {
  await using kafka = await startKafka({ brokers: 3 })
  await using redis = await startRedis()
  await using client = await withKafka({ brokers: kafka.brokers })
  const env = { BATON_KAFKA_PRODUCE_TIMEOUT_MS: '2000' }
  const start = alertSystem({ brokers: kafka.brokers, redisUrl: redis.url, env })
  await using system = new AsyncDisposableStack()
  const roles = ['ingest', 'edge', 'relay'] as const
  const [ingest, edge] = (await Promise.all(roles.map(role => start(role)))).map(baton => system.use(baton)) as [
    Baton,
    Baton
  ]
  const { topics } = await client.admin.fetchTopicMetadata({ topics: ['an-alert'] })
  assert.deepEqual(
    topics[0]?.partitions.map(({ replicas }) => replicas.length),
    [3, 3]
  )
  const line = unique('line')
  await using follower = await follow([socketOf(edge)], [destinationOf(line)])
  const accepted: string[] = []
  /** One attempt; an id of its own, for the one before may have been written all the same. */
  const attempt = async () => {
    const text = unique('alert')
    const response = await post(ingest, '/alert', alertOf(line, text))
    if (response.status === 202) accepted.push(text)
    return response
  }
  const attempts = (count: number) => Promise.all(Array.from({ length: count }, attempt))

  await attempts(20)
  assert.equal(accepted.length, 20)
  await Promise.all([kafka.kill(1), kafka.kill(2)])
  for (const response of await attempts(8)) {
    assert.equal(response.status, 503)
    const { code, retryable } = (await response.json()) as { code: string; retryable: boolean }
    assert.deepEqual([code, retryable], ['KAFKA_UNAVAILABLE', true])
    assert.match(response.headers.get('content-type') ?? '', /^application\/problem\+json/)
    assert.ok(Number(response.headers.get('retry-after')) > 0)
  }
  assert.equal(accepted.length, 20)
  await kafka.restart(1)
  await waitFor(async () => (await attempt()).status === 202, { deadlineMs: 60_000, what: 'a retry to be taken' })
  await attempts(5)
  assert.ok(accepted.length > 21)

  const held = await heldBy(client)
  for (const text of accepted)
    assert.ok(
      held.some(record => record.text === text),
      `${text} is lost`
    )
  await assertEachOnce(follower, held)
  assert.deepEqual(follower.gaps, [])
})
