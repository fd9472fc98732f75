import assert from 'node:assert/strict'
import { once } from 'node:events'
import { get, type IncomingMessage } from 'node:http'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { aRoute, routesOf, sendBy, serve } from './serve.ts'

// What a browser is told of every answer, whatever it asked for.

const SAFE = {
  'content-security-policy': "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; sandbox",
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY'
}
const { 'content-security-policy': _, ...BESIDE_POLICY } = SAFE

const told = (response: Response, names: object) =>
  Object.fromEntries(Object.keys(names).map(name => [name, response.headers.get(name)]))

test('every answer is of its own type, in no frame, and runs no script', async () => {
  await using it = await serve({ admin: { token: 'x', port: 0 } })
  const answers: [path: string, status: number, method?: string][] = [
    ['/livez', 200],
    ['/readyz', 200],
    ['/livez', 200, 'HEAD'],
    ['/openapi.json', 200],
    ['/console/config', 200],
    ['/console/stats', 200],
    ['/history?destination=/sub/chat/1', 200],
    ['/history', 400],
    ['/ws', 404],
    ['/nowhere', 404],
    ['/console/nowhere.js', 404],
    ['/%zz', 400],
    ['/livez', 405, 'DELETE']
  ]
  for (const [path, status, method = 'GET'] of answers) {
    const response = await fetch(it.url + path, { method })
    assert.deepEqual([response.status, told(response, SAFE)], [status, SAFE], `${method} ${path}`)
    assert.ok(!response.headers.has('strict-transport-security'))
  }
  for (const [path, status] of [
    ['/metrics', 200],
    ['/admin/revocations', 404]
  ] as const) {
    const response = await fetch(it.adminUrl + path)
    assert.deepEqual([response.status, told(response, SAFE)], [status, SAFE], path)
  }
})

test('so is what a service replied, even where it says that it is a page', async () => {
  const reply = { id: 'r', headers: 'content-type:text/html\n', body: Buffer.from('<script>alert(1)</script>') }
  const rule = { ...sendBy('POST /login'), reply: { topic: 'answers', timeoutMs: 1000, claim: undefined } }
  await using it = await serve({
    edge: false,
    ingest: {
      routes: routesOf(aRoute({ send: rule })),
      inbound: { prepare: async ({ route }) => ({ route, records: [] }), produce: async () => [] },
      replies: { ask: async () => ({ produced: Promise.resolve(), reply: Promise.resolve(reply) }) }
    }
  })
  const response = await fetch(`${it.url}/login`, { method: 'POST' })
  assert.deepEqual([response.headers.get('content-type'), told(response, SAFE)], ['text/html', SAFE])
})

test('so is a refused WebSocket, and the refusal of what is no HTTP', async () => {
  await using it = await serve()
  const upgrade = { connection: 'upgrade', upgrade: 'websocket', 'sec-websocket-version': '13' }
  const [refused] = (await once(get(`${it.url}/nowhere`, { headers: upgrade }), 'response')) as [IncomingMessage]
  assert.equal(refused.statusCode, 404)
  assert.partialDeepStrictEqual(refused.headers, SAFE)
  refused.destroy()
  const socket = connect(it.port, '127.0.0.1', () => socket.write('GET\r\n\r\n'))
  const answer = await text(socket)
  assert.match(answer, /^HTTP\/1\.1 400 /)
  for (const [name, value] of Object.entries(SAFE)) assert.ok(answer.includes(`\r\n${name}: ${value}\r\n`), name)
})

test('the page and its files are told apart by a policy of their own only', async () => {
  await using it = await serve()
  for (const path of ['/', '/console/app.js', '/console/stompjs/client.js']) {
    const response = await fetch(it.url + path)
    const policy = response.headers.get('content-security-policy') ?? ''
    assert.deepEqual(told(response, BESIDE_POLICY), BESIDE_POLICY, path)
    assert.match(policy, /^default-src 'none'; script-src 'self';.*frame-ancestors 'none'.*trusted-types 'none'$/)
    assert.equal(response.headers.get('cross-origin-opener-policy'), 'same-origin')
  }
})

test('with http.console off, the page and what it asks for are not there', async () => {
  await using it = await serve({ http: { console: false } })
  for (const path of ['/', '/console/app.js', '/console/config', '/console/stats'])
    assert.equal((await fetch(it.url + path)).status, 404, path)
})
