import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
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
