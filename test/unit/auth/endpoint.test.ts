import assert from 'node:assert/strict'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { json } from 'node:stream/consumers'
import { describe, test } from 'node:test'
import { waitFor } from '../../support/wait.ts'
import { authOf, bearer, listening, refused } from '../auth-of.ts'

const FAR = '2999-01-01T00:00:00Z'

type Answer = { status?: number; body?: unknown; location?: string }

/** An endpoint that answers as `answer` says, or hangs where that gives nothing, and what it was asked. */
async function endpoint(answer: (asked: object) => Answer | undefined, settings: object = {}) {
  const asked: Record<string, unknown>[] = []
  const held: ServerResponse[] = []
  let most = 0
  let open = 0
  const listener = async (request: IncomingMessage, response: ServerResponse) => {
    most = Math.max(most, ++open)
    response.once('close', () => open--)
    const shown = (await json(request)) as Record<string, unknown>
    asked.push({ method: request.method, ...shown })
    const { status = 200, body, location } = answer(shown) ?? {}
    if (body === undefined && status === 200) return held.push(response)
    response.writeHead(status, { ...(location && { location }) })
    return response.end(typeof body === 'string' ? body : JSON.stringify(body))
  }
  const server = await listening((request, response) => void listener(request, response))
  const lines: string[] = []
  const { guests, ...http } = settings as { guests?: boolean }
  const auth = authOf({ mode: 'http', ...(guests && { guests }), http: { url: server.url, ...http } }, lines)
  const close = () => server[Symbol.asyncDispose]()
  return { auth, asked, held, lines, close, most: () => most, [Symbol.asyncDispose]: close }
}

const kim = { name: 'kim', claims: { role: 'admin' } }

describe('mode http', () => {
  test('asks the endpoint with what CONNECT showed, and takes its JSON for the principal', async () => {
    await using it = await endpoint(() => ({ body: { ...kim, expiresAt: FAR } }))
    const headers = new Map(Object.entries({ login: 'a', passcode: 'b', 'x-key': 'c', __proto__x: 'd' }))
    const from = { remoteAddress: '192.0.2.1', path: '/ws' }
    const principal = await it.auth.authenticate({ login: 'a', passcode: 'b', headers, accessToken: 't', ...from })
    assert.deepEqual(principal, { ...kim, guest: false, expiresAtMs: Date.parse(FAR) })
    assert.deepEqual(it.asked, [{ method: 'POST', headers: Object.fromEntries(headers), accessToken: 't', ...from }])
    await it.auth.authenticate({ ...bearer('of the upgrade'), headers: new Map() })
    assert.deepEqual(it.asked[1], { method: 'POST', headers: { Authorization: 'Bearer of the upgrade' } })
  })

  test('asks about everyone, but lets guests in unasked where it says so', async () => {
    await using strict = await endpoint(() => ({ status: 401 }))
    await refused(strict.auth.authenticate({ headers: new Map() }), /refused/)
    await using open = await endpoint(() => ({ status: 403 }), { guests: true })
    assert.equal((await open.auth.authenticate({ headers: new Map() })).guest, true)
    await refused(open.auth.authenticate({ passcode: 'hidden' }), /refused/)
    assert.deepEqual([strict.asked.length, open.asked.length], [1, 1])
  })

  test('asks once for equal credentials at the same time, and again when its answer has aged', async t => {
    t.mock.timers.enable({ apis: ['Date'], now: Date.now() })
    await using it = await endpoint(() => ({ body: kim }), { cacheMs: 1000 })
    await Promise.all(Array.from({ length: 20 }, () => it.auth.authenticate(bearer('a'))))
    t.mock.timers.tick(999)
    await it.auth.authenticate(bearer('a'))
    assert.equal(it.asked.length, 1)
    await it.auth.authenticate({ ...bearer('a'), remoteAddress: '192.0.2.1' })
    await it.auth.authenticate(bearer('b'))
    assert.equal(it.asked.length, 3, 'whatever it is told may decide')
    t.mock.timers.tick(1)
    await it.auth.authenticate(bearer('a'))
    assert.equal(it.asked.length, 4)
  })

  test('keeps no answer beyond its expiresAt, none at all with cacheMs 0, and no refusal', async t => {
    t.mock.timers.enable({ apis: ['Date'], now: Date.parse('2026-01-01T00:00:00Z') })
    await using brief = await endpoint(() => ({ body: { name: 'a', expiresAt: '2026-01-01T08:59:59+09:00' } }))
    await using short = await endpoint(() => ({ body: { name: 'a', expiresAt: '2026-01-01T00:00:01Z' } }))
    await using none = await endpoint(() => ({ body: kim }), { cacheMs: 0 })
    let status = 401
    await using mended = await endpoint(() => (status === 200 ? { body: kim } : { status }))
    await refused(brief.auth.authenticate(bearer('a')), /has expired/)
    for (const { auth } of [short, short, none, none]) await auth.authenticate(bearer('a'))
    assert.deepEqual([short.asked.length, none.asked.length], [1, 2])
    t.mock.timers.tick(1000)
    await refused(short.auth.authenticate(bearer('a')), /has expired/)
    await refused(mended.auth.authenticate(bearer('a')), /refused/)
    status = 200
    await mended.auth.authenticate(bearer('a'))
  })

  for (const [name, answer, detail] of [
    ['another status', { status: 500, body: 'hidden' }, /answered with status 500/],
    ['a redirect', { status: 307, location: '/hidden', body: '' }, /answered with status 307/],
    ['204', { status: 204, body: '' }, /answered with status 204/],
    ['no JSON', { body: '{"name":"hidden"' }, /gave no JSON/],
    ['nothing but null', { body: 'null' }, /gave no name/],
    ['no name', { body: { claims: {} } }, /gave no name/],
    ['a name that is a number', { body: { name: 7 } }, /gave no name/],
    ['claims that are a list', { body: { name: 'a', claims: [] } }, /claims that are no object/],
    ['an expiresAt in seconds', { body: { name: 'a', expiresAt: 4_000_000_000 } }, /no time such as/],
    ['an expiresAt without a zone', { body: { name: 'a', expiresAt: '2999-01-01T00:00:00' } }, /no time such as/],
    ['a flood', { body: { name: 'a', claims: { hidden: 'x'.repeat(70_000) } } }, /more than 65536 bytes/]
  ] satisfies [string, Answer, RegExp][]) {
    test(`takes ${name} for a fault of the endpoint, not of the client`, async () => {
      await using it = await endpoint(() => answer)
      await refused(it.auth.authenticate(bearer('a')), detail, 'AUTH_UNAVAILABLE')
      assert.equal(it.asked.length, 1)
      assert.doesNotMatch(it.lines.join(), /hidden/)
    })
  }

  test('gives up in time on an endpoint that hangs, and at once on one that is away', async () => {
    await using it = await endpoint(() => undefined, { timeoutMs: 100 })
    await refused(it.auth.authenticate(bearer('a')), /did not answer within 100 ms/, 'AUTH_UNAVAILABLE')
    await it.close()
    await refused(it.auth.authenticate(bearer('a')), /cannot be reached/, 'AUTH_UNAVAILABLE')
    assert.equal(it.lines.length, 1, 'a fault of the endpoint is not logged for each client')
  })

  test('asks about 32 at a time; who waits longer than timeoutMs is told to come again', async () => {
    let hangs = true
    await using it = await endpoint(() => (hangs ? undefined : { body: kim }), { timeoutMs: 5000 })
    const all = Array.from({ length: 100 }, (_, n) => it.auth.authenticate(bearer(`${n}`)))
    await waitFor(() => it.held.length === 32, { what: 'as many calls as there may be' })
    hangs = false
    for (const response of it.held) response.end(JSON.stringify(kim))
    await Promise.all(all)
    assert.deepEqual([it.asked.length, it.most()], [100, 32])

    await using dead = await endpoint(() => undefined, { timeoutMs: 200 })
    const begun = performance.now()
    const waits = Array.from({ length: 100 }, (_, n) => dead.auth.authenticate(bearer(`${n}`)))
    await Promise.all(waits.map(wait => refused(wait, /did not answer within/, 'AUTH_UNAVAILABLE')))
    assert.ok(performance.now() - begun < 2000)
    assert.ok(dead.asked.length < 100, 'those whose time was up were not asked about')
  })
})
