import assert from 'node:assert/strict'
import { test } from 'node:test'
import { WebSocket } from 'ws'
import { type Baton, startBaton } from '../support/baton.ts'
import { unique } from '../support/ids.ts'
import { sharedKafka } from '../support/kafka.ts'
import { freePorts } from '../support/ports.ts'
import { sharedRedis } from '../support/redis.ts'
import { connectStompjs } from '../support/stomp-client.ts'
import { deadline, once, waitFor } from '../support/wait.ts'

// One configuration, several processes, each with its roles.

async function configOf(redisUrl: string) {
  const { brokers } = await sharedKafka()
  return {
    kafka: { brokers, groupId: unique('group'), startFrom: 'earliest' },
    redis: { url: redisUrl, prefix: `${unique('prefix')}:` },
    routes: {
      rooms: {
        topic: { name: unique('rooms'), partitions: 2, replicationFactor: 1 },
        channel: 'rooms:{room}',
        destination: '/rooms/{room}',
        send: { http: 'POST /rooms/{room}', set: { room: '{room}' } }
      }
    }
  }
}

const post = ({ url }: Baton, n: number) =>
  fetch(`${url}/rooms/7`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ n })
  })

async function checksOf({ url }: Baton): Promise<string[]> {
  const { checks } = (await (await fetch(`${url}/readyz`)).json()) as { checks: { name: string }[] }
  return checks.map(({ name }) => name)
}

/** How an attempt to open a WebSocket is answered. */
async function upgradeOf(url: string): Promise<number> {
  const socket = new WebSocket(url, 'v12.stomp')
  const [, { statusCode }] = (await once(socket, 'unexpected-response', { what: 'a refusal' })) as [
    unknown,
    { statusCode: number }
  ]
  socket.on('error', () => undefined).terminate()
  return statusCode
}

test('an ingest takes POSTs and is ready without Redis, never connects to it, and serves nothing else', async () => {
  const [port] = await freePorts(1)
  const config = await configOf(`redis://127.0.0.1:${port}`)
  await using ingest = await startBaton({ config, env: { BATON_ROLES: 'ingest' } })
  assert.deepEqual(await checksOf(ingest), ['kafka-producer'])
  assert.equal((await post(ingest, 1)).status, 202)
  for (const path of ['/', '/console/config', '/history?destination=/rooms/7'])
    assert.equal((await fetch(`${ingest.url}${path}`)).status, 404, path)
  assert.equal(await upgradeOf(ingest.wsUrl), 404)
  assert.deepEqual(await ingest.stop(), { code: 0, signal: null })
  assert.doesNotMatch(ingest.logs, /redis/i)
})

for (const first of ['ingest', 'edge'])
  test(`what an ${first} takes before there was any other process, or the topic, is delivered later`, async () => {
    const { url } = await sharedRedis()
    const config = await configOf(url)
    await using taker = await startBaton({ config, env: { BATON_ROLES: first }, ready: false })
    assert.equal((await deadline(post(taker, 1), 10_000, 'an answer')).status, 202)
    await using relay = await startBaton({ config, env: { BATON_ROLES: 'relay' } })
    await using edge = await startBaton({ config, env: { BATON_ROLES: 'edge' } })
    assert.deepEqual(await checksOf(relay), ['redis', 'kafka-producer', 'kafka-consumer'])
    assert.deepEqual(await checksOf(edge), ['redis', 'redis-subscriber', 'kafka-producer'])
    await using client = await connectStompjs(edge.wsUrl)
    const { messages } = await client.subscribe('/rooms/7', { history: '10' })
    assert.equal((await post(edge, 2)).status, 202)
    await waitFor(() => messages.length === 2, { what: 'both messages' })
    assert.deepEqual(messages.map(({ body }) => JSON.parse(`${body}`).n).sort(), [1, 2])
    assert.equal((await post(relay, 3)).status, 404)
  })
