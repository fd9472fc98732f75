import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { type Baton, startBaton } from '../support/baton.ts'
import { temporaryFolder } from '../support/processes.ts'
import { connectSocket, refused } from '../support/raw-client.ts'
import { CLIENTS } from '../support/stomp-client.ts'
import { deadline, waitFor } from '../support/wait.ts'

// The admin calls of a process that has neither Kafka nor Redis.

const TOKEN = 'Zm9yLW9wZXJhdG9ycy1vbmx5'
const WRONG = 'Zm9yLW5vYm9keS1hdC1hbGw'
const allow = { subscribe: 'anyone', send: 'anyone', history: 'anyone' }

let baton: Baton
let adminUrl: string
/** All that it wrote. */
let log = ''
before(async () => {
  const file = join(temporaryFolder('baton-token'), 'token')
  writeFileSync(file, `${TOKEN}\n`)
  const users = ['mina', 'kim'].map(login => ({ login, passcode: 'one' }))
  const config = {
    lifecycle: { drainTimeoutMs: 0 },
    admin: { port: 0 },
    auth: { mode: 'users', guests: true, users },
    routes: {
      chat: {
        topic: 'chat',
        channel: 'chat:{room}',
        destination: '/chat/{room}',
        allow,
        send: { http: 'POST /chat/{room}', set: { room: '{room}' } }
      }
    }
  }
  baton = await startBaton({
    config,
    env: { BATON_ADMIN_TOKEN_FILE: file, BATON_LOG_LEVEL: 'trace' },
    heard: text => {
      log += text
    }
  })
  const told = () => /admin calls are served on (http:[^"]+)/.exec(log)?.[1]
  adminUrl = await waitFor(told, { what: 'the address' })
})
after(() => baton.stop())

const admin = (method: string, path = '', body?: object, token = TOKEN) =>
  fetch(`${adminUrl}/admin/revocations${path}`, {
    method,
    headers: { authorization: `Bearer ${token}`, ...(body && { 'content-type': 'application/json' }) },
    ...(body && { body: JSON.stringify(body) })
  })
const history = (login: string) =>
  fetch(`${baton.url}/history?destination=/chat/7`, {
    headers: { authorization: `Basic ${Buffer.from(`${login}:one`).toString('base64')}` }
  })
const as = (login: string) => ({ headers: { login, passcode: 'one' } })

for (const [name, connect] of CLIENTS)
  test(`a revoked principal is told so and gone, others are not, by ${name}`, async () => {
    const [mina, again, kim, guest] = await Promise.all([
      ...['mina', 'mina', 'kim'].map(login => connect(baton.wsUrl, as(login))),
      connect(baton.wsUrl)
    ])
    if (!mina || !again || !kim || !guest) throw new Error('not connected')
    await mina.subscribe('/chat/7')
    const began = performance.now()
    assert.equal((await admin('POST', '', { principal: 'mina' })).status, 200)
    for (const { ended } of [mina, again]) {
      const { headers, title, detail } = await deadline(ended, 1000, 'the end of a session')
      assert.deepEqual([headers?.['code'], title], ['REVOKED', 'revoked'])
      assert.match(`${detail}`, /until \d{4}-/)
    }
    assert.ok(performance.now() - began < 1000)
    await assert.rejects(connect(baton.wsUrl, as('mina')), /REVOKED/)
    assert.deepEqual([(await history('mina')).status, (await history('kim')).status], [403, 200])
    await kim.send('/chat/7', '{"text":"on"}')
    await guest.send('/chat/7', '{"text":"on"}')
    assert.equal((await admin('DELETE', '/mina')).status, 204)
    await using back = await connect(baton.wsUrl, as('mina'))
    await back.send('/chat/7', '{"text":"back"}')
    await Promise.all([kim, guest].map(client => client[Symbol.asyncDispose]()))
  })

test('a revoked session is closed with 1008 and gets nothing more, its open transaction is void', async () => {
  const socket = await connectSocket(baton.wsUrl, { connect: 'login:mina\npasscode:one\n' })
  await socket.done('SUBSCRIBE\nid:1\ndestination:/chat/9\n\n^@')
  socket.send('BEGIN\ntransaction:t\n\n^@', 'SEND\ndestination:/chat/9\ntransaction:t\nreceipt:r\n\n{"n":1}^@')
  await socket.expect('RECEIPT')
  await admin('POST', '', { principal: 'mina' })
  socket.send('COMMIT\ntransaction:t\nreceipt:c\n\n^@')
  await fetch(`${baton.url}/chat/9`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '{"n":2}'
  })
  await refused(socket, 'REVOKED', 1008)
  assert.equal((await admin('DELETE', '/mina')).status, 204)
  const { messages } = (await (await fetch(`${baton.url}/history?destination=/chat/9`)).json()) as {
    messages: { body: { n: number } }[]
  }
  assert.deepEqual(
    messages.map(({ body }) => body.n),
    [2]
  )
})

test('a wrong token is refused and counted, and no log line has any token', async () => {
  assert.equal((await admin('POST', '', { principal: 'kim' }, WRONG)).status, 401)
  assert.equal((await history('kim')).status, 200)
  const metrics = await (await fetch(`${adminUrl}/metrics`)).text()
  assert.match(metrics, /^baton_refusals_total\{code="UNAUTHENTICATED"\} 1$/m)
  await waitFor(() => /"status":401/.test(log), { what: 'the line of the request' })
  assert.match(log, /"principal":"mina","until":"[^"]+","msg":"principal revoked"/)
  assert.ok(!log.includes(TOKEN) && !log.includes(WRONG))
})
