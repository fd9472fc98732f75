import assert from 'node:assert/strict'
import { type RequestOptions, request } from 'node:http'
import { describe, test } from 'node:test'
import { isOwnOrigin } from '../../../src/http/origin.ts'
import { aRoute, type Over, routesOf, sendBy, serve } from './serve.ts'

const STRANGER = 'https://evil.example'
const FRIEND = 'https://chat.example'

/** A server with a way in by POST and one by PUT; `taken` counts what came through. */
async function serveWays(over: Over = {}) {
  const taken: string[] = []
  const [post, put] = ['POST /posts', 'PUT /puts'].map(http => aRoute({ send: sendBy(http) }))
  const it = await serve({
    ...over,
    admin: { token: 'secret' },
    revocations: { list: async () => [], revoke: async () => undefined, lift: async () => true },
    edge: false,
    ingest: {
      routes: routesOf(...[post, put].filter(route => route !== undefined)),
      inbound: {
        async prepare({ route, rule }) {
          taken.push(`${rule.http}`)
          return { route, records: [] }
        },
        produce: async () => [{ topic: 'chat', partition: 0, offset: 1 }]
      }
    }
  })
  const send = async (headers: Record<string, string>, method = 'POST', path = '/posts') => {
    const response = await fetch(it.url + path, { method, headers })
    const { code } = response.status === 204 ? {} : ((await response.json()) as { code?: string })
    return code ?? response.status
  }
  return { ...it, taken, send }
}

describe('a POST', () => {
  const cases: [from: string, headers: (own: string) => Record<string, string>, answer: number | 'ORIGIN_REFUSED'][] = [
    ['no browser', () => ({}), 202],
    ['a page of this origin', own => ({ origin: own, 'sec-fetch-site': 'same-origin' }), 202],
    ['a page of this origin over plain HTTP', own => ({ origin: own }), 202],
    [
      'a page of this origin behind a proxy that changes Host',
      () => ({ origin: STRANGER, 'sec-fetch-site': 'same-origin' }),
      202
    ],
    ['what a person typed', () => ({ 'sec-fetch-site': 'none' }), 202],
    ['a page of another site', () => ({ origin: STRANGER, 'sec-fetch-site': 'cross-site' }), 'ORIGIN_REFUSED'],
    ['a page of another site over plain HTTP', () => ({ origin: STRANGER }), 'ORIGIN_REFUSED'],
    ['a page of another site that hides its origin', () => ({ 'sec-fetch-site': 'cross-site' }), 'ORIGIN_REFUSED'],
    ['a page of a neighbouring port', own => ({ origin: `${own}1` }), 'ORIGIN_REFUSED'],
    [
      'a page of the same site',
      () => ({ origin: 'http://127.0.0.1:1', 'sec-fetch-site': 'same-site' }),
      'ORIGIN_REFUSED'
    ],
    ['a frame in a sandbox', () => ({ origin: 'null' }), 'ORIGIN_REFUSED'],
    ['an origin that is none', () => ({ origin: '127.0.0.1' }), 'ORIGIN_REFUSED'],
    ['a browser of two minds', own => ({ origin: own, 'sec-fetch-site': 'same-origin, none' }), 'ORIGIN_REFUSED']
  ]
  for (const [from, headers, answer] of cases) {
    test(`from ${from} is ${answer === 202 ? 'taken' : 'refused'}`, async () => {
      await using it = await serveWays()
      assert.equal(await it.send(headers(it.url)), answer)
      assert.deepEqual(it.taken, answer === 202 ? ['POST /posts'] : [])
    })
  }
})

const SAME: [origin: string, host: string][] = [
  ['https://chat.example', 'chat.example'],
  ['https://chat.example', 'Chat.Example:443'],
  ['http://chat.example', 'chat.example:80'],
  ['HTTP://CHAT.example:80', 'chat.example'],
  ['https://chat.example:8443', 'chat.example:8443'],
  ['http://my_host:8080', 'MY_HOST:8080'],
  ['http://[::1]:8080', '[0:0::1]:8080']
]
const OTHER: [origin: string, host: string][] = [
  ['http://chat.example', 'chat.example:443'],
  ['https://chat.example', 'chat.example:80'],
  ['https://chat.example', 'chat.example.'],
  ['https://chat.example', 'sub.chat.example'],
  ['https://chat.example', 'chat.example:443:443'],
  ['https://chat.example', 'chat.example, chat.example'],
  ['https://chat.example', 'me@chat.example'],
  ['https://chat.example', 'chat.example/'],
  ['https://chat.example', 'chat.example\\'],
  ['https://chat.example', 'chat%2Eexample'],
  ['https://chat.example', 'https://chat.example'],
  ['https://chat.example', ''],
  ['https://chat.example/', 'chat.example'],
  ['https://chat.example?', 'chat.example'],
  ['https://me@chat.example', 'chat.example'],
  ['https:\\\\chat.example', 'chat.example'],
  ['https://chat.example\\', 'chat.example'],
  ['chat.example', 'chat.example'],
  ['//chat.example', 'chat.example'],
  ['capacitor://chat.example', 'chat.example'],
  ['http://chat.example:99999', 'chat.example:99999'],
  ['http://[::1', '[::1'],
  ['null', 'null'],
  ['https://undefined', '']
]

for (const [origin, host] of SAME)
  test(`a page of ${origin} is of the host ${host}`, () => assert.ok(isOwnOrigin(origin, host)))
for (const [origin, host] of OTHER)
  test(`a page of ${origin} is not of the host ${host || 'none'}`, () => assert.ok(!isOwnOrigin(origin, host)))

test('a POST and a WebSocket go by the same comparison, which knows default ports', async () => {
  await using it = await serveWays()
  await using closed = await serve({ auth: 'jwt' })
  const handshake = {
    connection: 'upgrade',
    upgrade: 'websocket',
    'sec-websocket-version': '13',
    'sec-websocket-key': Buffer.alloc(16).toString('base64')
  }
  for (const [host, posted, upgraded] of [
    ['Chat.Example:80', 202, 101],
    ['chat.example\\', 403, 403]
  ] as const) {
    const headers = { origin: 'http://chat.example', host }
    assert.equal(await status(`${it.url}/posts`, { method: 'POST', headers }), posted, host)
    assert.equal(await status(`${closed.url}/ws`, { headers: { ...headers, ...handshake } }), upgraded, host)
  }
})

/** Unlike fetch it leaves Host alone. */
function status(url: string, options: RequestOptions): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const asked = request(url, { agent: false, ...options }).on('error', reject)
    asked.on('response', response => resolve(response.resume().statusCode))
    asked.on('upgrade', ({ statusCode }, socket) => resolve(socket.destroy() && statusCode))
    asked.end()
  })
}

test('a page of another origin may neither PUT, nor call the administration, whatever it shows', async () => {
  await using it = await serveWays()
  const headers = { origin: STRANGER, authorization: 'Bearer secret' }
  assert.equal(await it.send(headers, 'PUT', '/puts'), 'ORIGIN_REFUSED')
  assert.equal(await it.send(headers, 'POST', '/admin/revocations'), 'ORIGIN_REFUSED')
  assert.equal(await it.send(headers, 'DELETE', '/admin/revocations/mina'), 'ORIGIN_REFUSED')
  assert.equal(await it.send({ authorization: 'Bearer secret' }, 'DELETE', '/admin/revocations/mina'), 204)
  assert.deepEqual(it.taken, [])
  const [refused] = (await it.metrics.refused.get()).values
  assert.deepEqual([refused?.labels, refused?.value], [{ code: 'ORIGIN_REFUSED' }, 3])
})

test('pages of http.corsOrigins may POST, after a preflight or without one, and others still may not', async () => {
  await using it = await serveWays({ http: { corsOrigins: [FRIEND], allowedOrigins: [STRANGER] } })
  const cross = { 'sec-fetch-site': 'cross-site' }
  const preflight = { origin: FRIEND, 'access-control-request-method': 'POST', ...cross }
  assert.equal((await fetch(`${it.url}/posts`, { method: 'OPTIONS', headers: preflight })).status, 204)
  assert.equal(await it.send({ origin: FRIEND, ...cross }), 202)
  assert.equal(await it.send({ origin: it.url }), 202)
  assert.equal(await it.send({ origin: STRANGER, ...cross }), 'ORIGIN_REFUSED')
  await using open = await serveWays({ http: { corsOrigins: ['*'] } })
  assert.equal(await open.send({ origin: STRANGER, ...cross }), 202)
})

test('a page of another origin is answered where nothing changes: only its browser keeps the answer from it', async () => {
  await using it = await serveWays()
  const response = await fetch(`${it.url}/livez`, { headers: { origin: STRANGER, 'sec-fetch-site': 'cross-site' } })
  assert.deepEqual([response.status, response.headers.get('access-control-allow-origin')], [200, null])
})
