import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startBaton } from '../support/baton.ts'
import { unique } from '../support/ids.ts'
import { sharedKafka } from '../support/kafka.ts'
import { sharedRedis } from '../support/redis.ts'
import { waitFor } from '../support/wait.ts'

// POST on one replica, GET /history on another: over the memory of one process, and over real Kafka and Redis.

interface Entry {
  id: string
  coordinate: { topic: string; partition: number; offset: number }
  body: unknown
  headers: Record<string, string>
}

interface Page {
  messages: Entry[]
  before?: string
}

function configOf(topic: string) {
  return {
    routes: {
      room: {
        topic: { name: topic, partitions: 3, replicationFactor: 1 },
        channel: `${topic}:{room}`,
        destination: '/sub/{room}',
        history: { size: 100, except: { type: 'ENTER' } },
        send: {
          http: 'POST /rooms/{room}/messages',
          destination: '/pub/{room}',
          key: '{room}',
          set: { room: '{room}' },
          schema: { type: 'object', required: ['n'], properties: { n: { type: 'integer' } } }
        }
      }
    }
  }
}

async function publishAndRead(writer: string, reader: string, topic: string) {
  const room = '방 1/2'
  const post = (body: object) =>
    fetch(`${writer}/rooms/${encodeURIComponent(room)}/messages`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-trace': 't1' },
      body: JSON.stringify(body)
    })
  const written: unknown[] = []
  for (let n = 1; n <= 12; n++) {
    const response = await post(n % 4 === 0 ? { n, type: 'ENTER' } : { n, text: '안녕 👋' })
    assert.equal(response.status, 202, await response.clone().text())
    const coordinate = await response.json()
    if (n % 4 !== 0) written.push(coordinate)
  }
  const url = `${reader}/history?limit=4&destination=${encodeURIComponent('/sub/방 1%2F2')}`
  const read = async (more = '') => {
    const response = await fetch(url + more)
    assert.equal(response.status, 200, await response.clone().text())
    return { page: (await response.json()) as Page, etag: response.headers.get('etag') as string }
  }
  const { page, etag } = await waitFor(
    async () => {
      const answer = await read()
      const newest = answer.page.messages.at(-1)?.body as { n: number } | undefined
      return newest?.n === 11 ? answer : undefined
    },
    { what: 'the last message to be in the history' }
  )
  const pages = [page]
  for (let before = page.before; before; ) {
    const next = (await read(`&before=${encodeURIComponent(before)}`)).page
    pages.unshift(next)
    before = next.before
  }
  const all = pages.flatMap(({ messages }) => messages)
  assert.deepEqual(
    all.map(({ body }) => (body as { n: number }).n),
    [1, 2, 3, 5, 6, 7, 9, 10, 11]
  )
  assert.deepEqual(
    all.map(({ coordinate }) => coordinate),
    written
  )
  assert.equal(all[0]?.coordinate.topic, topic)
  assert.deepEqual(all[0]?.body, { n: 1, text: '안녕 👋', room })
  assert.equal(all[0]?.headers['x-trace'], 't1')
  assert.equal((await fetch(url, { headers: { 'if-none-match': etag } })).status, 304)

  const invalid = await post({ n: 'one' })
  assert.equal(invalid.status, 422)
  const problem = (await invalid.json()) as Record<string, string>
  assert.equal(problem['code'], 'INVALID_BODY')
  assert.match(String(problem['detail']), /\/n/)
}

test('what is POSTed to the embedded gateway is in its history, page by page', async () => {
  const topic = unique('topic')
  await using baton = await startBaton({ config: configOf(topic) })
  await publishAndRead(baton.url, baton.url, topic)
})

test('what is POSTed to one replica is in the history of another, page by page', async () => {
  const [{ brokers }, { url }] = await Promise.all([sharedKafka(), sharedRedis()])
  const topic = unique('topic')
  const config = {
    ...configOf(topic),
    kafka: { brokers, groupId: unique('group') },
    redis: { url, prefix: `${unique('prefix')}:` }
  }
  await using writer = await startBaton({ config })
  await using reader = await startBaton({ config, env: { BATON_ROLES: '[edge]' } })
  await publishAndRead(writer.url, reader.url, topic)
})

test('the OpenAPI document of a running gateway describes its own routes', async () => {
  await using baton = await startBaton({ config: configOf(unique('topic')) })
  const document = (await (await fetch(`${baton.url}/openapi.json`)).json()) as {
    openapi: string
    paths: Record<string, object>
  }
  assert.equal(document.openapi, '3.1.0')
  assert.ok(document.paths['/rooms/{room}/messages'])
  assert.ok(document.paths['/history'])
})
