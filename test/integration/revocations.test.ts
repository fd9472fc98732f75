import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { createLink, type Link } from '../faults/proxy.ts'
import { type Baton, startBaton } from '../support/baton.ts'
import { unique } from '../support/ids.ts'
import { sharedKafka } from '../support/kafka.ts'
import { type RedisServer, startRedis } from '../support/redis.ts'
import { type ConnectOptions, connectStompjs, type StompClient } from '../support/stomp-client.ts'
import { deadline, waitFor } from '../support/wait.ts'

// A principal is sent away: two replicas in processes of their own, of which the second reaches Redis over a link that can be cut.

const TOKEN = 'the token of the house'
const WITHIN_MS = 1000

let redis: RedisServer
let link: Link
let config: object
let first: Baton
let second: Baton

before(async () => {
  const { brokers } = await sharedKafka()
  redis = await startRedis()
  link = await createLink(redis.port)
  const logins = ['mina', 'kim', 'lee', 'choi']
  config = {
    kafka: { brokers, groupId: unique('group') },
    redis: { url: redis.url },
    lifecycle: { drainTimeoutMs: 0 },
    admin: { token: TOKEN },
    auth: { mode: 'users', users: logins.map(login => ({ login, passcode: 'one' })) },
    routes: {
      rooms: {
        topic: { name: unique('rooms'), partitions: 2, replicationFactor: 1 },
        channel: 'rooms:{room}',
        destination: '/rooms/{room}',
        allow: { subscribe: 'authenticated', history: 'authenticated', send: 'authenticated' },
        send: { http: 'POST /rooms/{room}', set: { room: '{room}' } }
      }
    }
  }
  first = await start()
  second = await start({ BATON_REDIS_URL: `redis://127.0.0.1:${link.port}` })
})
after(async () => {
  await Promise.all([first, second].map(baton => baton?.stop()))
  await link?.[Symbol.asyncDispose]()
  await redis?.stop()
})

const start = (env: Record<string, string> = {}) => startBaton({ config: config as Record<string, unknown>, env })

const as = (login: string): ConnectOptions => ({ headers: { login, passcode: 'one' } })

function admin({ url }: Baton, method: string, path = '', body?: object): Promise<Response> {
  const headers = { authorization: `Bearer ${TOKEN}`, ...(body && { 'content-type': 'application/json' }) }
  return fetch(`${url}/admin/revocations${path}`, { method, headers, ...(body && { body: JSON.stringify(body) }) })
}

/** @returns how long it took until the ERROR and the close had come, milliseconds. */
async function sentAway(client: StompClient, sinceMs: number): Promise<number> {
  const { headers, code } = await deadline(client.ended, WITHIN_MS, 'the end of the session')
  assert.deepEqual([headers?.['code'], code], ['REVOKED', 1008])
  return performance.now() - sinceMs
}

const refusedBy = (baton: Baton, login: string) =>
  assert.rejects(connectStompjs(baton.wsUrl, as(login)), (error: Error) => /"code":"REVOKED"/.test(error.message))

async function statusesOf({ url }: Baton, login: string): Promise<number[]> {
  const headers = {
    authorization: `Basic ${Buffer.from(`${login}:one`).toString('base64')}`,
    'content-type': 'application/json'
  }
  const answers = [
    await fetch(`${url}/rooms/7`, { method: 'POST', headers, body: '{}' }),
    await fetch(`${url}/history?destination=/rooms/7`, { headers })
  ]
  return answers.map(({ status }) => status)
}

const known = async (baton: Baton) =>
  ((await (await admin(baton, 'GET')).json()) as { revocations: { principal: string }[] }).revocations.map(
    ({ principal }) => principal
  )

test('a call at one replica ends the sessions at both within a second, and neither lets the name in until it is lifted', async context => {
  const minas = await Promise.all([first, second, first, second].map(({ wsUrl }) => connectStompjs(wsUrl, as('mina'))))
  await using kim = await connectStompjs(second.wsUrl, as('kim'))
  const { messages } = await kim.subscribe('/rooms/7')
  await Promise.all(minas.map(mina => mina.subscribe('/rooms/7')))
  const sinceMs = performance.now()
  const call = admin(first, 'POST', '', { principal: 'mina' })
  const tookMs = await Promise.all(minas.map(mina => sentAway(mina, sinceMs)))
  assert.equal((await call).status, 200)
  assert.ok(Math.max(...tookMs) < WITHIN_MS)
  context.diagnostic(`ERROR and close after ${tookMs.map(ms => ms.toFixed(1)).join(', ')} ms`)
  for (const baton of [first, second]) {
    await refusedBy(baton, 'mina')
    assert.deepEqual(await statusesOf(baton, 'mina'), [403, 403])
    assert.deepEqual(await known(baton), ['mina'])
  }
  await kim.send('/rooms/7', '{}')
  await waitFor(() => messages.length === 1, { what: 'a message for the one who stayed' })
  assert.equal((await admin(second, 'DELETE', '/mina')).status, 204)
  for (const baton of [first, second]) {
    const isIn = () => connectStompjs(baton.wsUrl, as('mina'))
    await using _mina = await waitFor(isIn, { deadlineMs: WITHIN_MS, what: 'mina to be in again' })
    assert.deepEqual(await statusesOf(baton, 'mina'), [202, 200])
  }
})

test('a replica whose link to Redis was cut ends the sessions as soon as it is back, one that starts later knows', async context => {
  await using kim = await connectStompjs(second.wsUrl, as('kim'))
  link.cut()
  const noticed = async () => (await admin(second, 'GET')).status === 503
  await waitFor(noticed, { what: 'the second replica to notice' })
  const refusal = await admin(second, 'POST', '', { principal: 'lee' })
  assert.deepEqual([refusal.status, ((await refusal.json()) as { code: string }).code], [503, 'REDIS_UNAVAILABLE'])
  assert.equal((await admin(first, 'POST', '', { principal: 'kim' })).status, 200)
  await refusedBy(first, 'kim')
  await using again = await connectStompjs(second.wsUrl, as('kim'))
  const isReady = () => fetch(`${second.url}/readyz`).then(({ ok }) => ok)
  link.mend()
  await waitFor(isReady, { what: 'the second replica to be ready again' })
  const sinceMs = performance.now()
  const tookMs = await Promise.all([kim, again].map(client => sentAway(client, sinceMs)))
  context.diagnostic(`ERROR and close ${tookMs.map(ms => ms.toFixed(1)).join(', ')} ms after it was ready`)
  await refusedBy(second, 'kim')
  assert.deepEqual(await known(second), ['kim'], 'nothing came of the call that was refused')
  await using third = await start({ BATON_ROLES: 'edge' })
  await refusedBy(third, 'kim')
})

test('while Redis is down the call is refused and nothing done; one that comes back empty is given the list again', async () => {
  assert.equal((await admin(first, 'POST', '', { principal: 'choi' })).status, 200)
  await using lee = await connectStompjs(first.wsUrl, as('lee'))
  await redis.stop()
  await waitFor(async () => (await admin(first, 'GET')).status === 503, { what: 'the first replica to notice' })
  assert.equal((await admin(first, 'POST', '', { principal: 'lee' })).status, 503)
  assert.equal((await admin(first, 'DELETE', '/choi')).status, 503)
  await refusedBy(first, 'choi')
  await lee.send('/rooms/7', '{}')
  await redis.restart()
  await waitFor(async () => (await known(first)).includes('choi'), { what: 'the list to be read' })
  await using late = await start({ BATON_ROLES: 'edge' })
  const isKnown = async () => (await known(late)).toSorted().join() === 'choi,kim'
  await waitFor(isKnown, { what: 'the list to be put back' })
  await refusedBy(late, 'choi')
  await using _lee = await connectStompjs(late.wsUrl, as('lee'))
})
