import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Revocation } from '../../../src/revocations.ts'
import { type Over, serve } from './serve.ts'

// Where metrics and admin calls are served, and to whom.

const token = 'the token of the house'
const TOKEN = { authorization: `Bearer ${token}` }

/** A server over a list of its own. */
async function serveAdmin(over: Over = {}) {
  const list: Revocation[] = []
  const it = await serve({
    admin: { token },
    revocations: {
      list: async () => list,
      async revoke(revocation) {
        list.push(revocation)
      },
      lift: async principal => list.some((each, at) => each.principal === principal && list.splice(at, 1))
    },
    ...over
  })
  const call = (method: string, path = '', body?: string, headers: Record<string, string> = TOKEN) =>
    fetch(`${it.adminUrl ?? it.url}/admin/revocations${path}`, { method, headers, ...(body !== undefined && { body }) })
  return { ...it, list, call }
}

const codeOf = async (response: Response) => ((await response.json()) as { code: string }).code
const JSON_TYPE = { ...TOKEN, 'content-type': 'application/json' }

describe('admin calls', () => {
  test('revoke, list and lift', async () => {
    await using it = await serveAdmin()
    const revoked = await it.call('POST', '', '{"principal":"미나/1","for":"2h"}', JSON_TYPE)
    assert.equal(revoked.status, 200)
    const answer = (await revoked.json()) as { until: string }
    const aheadMs = Date.parse(answer.until) - Date.now()
    assert.ok(aheadMs > 7_190_000 && aheadMs <= 7_200_000, answer.until)
    const listed = await it.call('GET')
    assert.deepEqual(await listed.json(), { revocations: [answer] })
    assert.equal(listed.headers.get('cache-control'), 'no-store')
    const path = `/${encodeURIComponent('미나/1')}`
    const lifted = await it.call('DELETE', path)
    assert.deepEqual([lifted.status, await lifted.text(), it.list], [204, '', []])
    assert.equal(await codeOf(await it.call('DELETE', path)), 'NOT_FOUND')
  })

  test('revoke for a day unless they say for how long', async () => {
    await using it = await serveAdmin()
    await it.call('POST', '', '{"principal":"mina"}', JSON_TYPE)
    assert.ok(Math.abs((it.list[0]?.lapsesMs as number) - Date.now() - 86_400_000) < 10_000)
  })

  test('ask for the token, before all else', async () => {
    await using it = await serveAdmin()
    const wrong = ['', token, 'Bearer', 'Bearer ', `Bearer ${token}x`, `Bearer ${token.slice(1)}`, `Basic ${token}`]
    for (const authorization of wrong) {
      for (const [method, path] of Object.entries({ GET: '', POST: '', DELETE: '/mina' })) {
        const response = await it.call(method, path, method === 'POST' ? '{' : undefined, { authorization })
        assert.equal(response.status, 401, `${method} with "${authorization}"`)
        const text = await response.text()
        assert.ok(text.includes('"UNAUTHENTICATED"') && !text.includes(token), text)
      }
    }
    assert.equal((await fetch(`${it.url}/admin/revocations?access_token=${encodeURIComponent(token)}`)).status, 401)
    assert.equal((await it.call('GET', '', undefined, { authorization: `bearer  ${token}` })).status, 200)
    assert.deepEqual(it.list, [])
  })

  test('take a principal and a time, and nothing else', async () => {
    await using it = await serveAdmin()
    const bodies = ['', '{', '[]', '{}', '{"principal":""}', '{"principal":7}', '{"principal":"\\ud800"}']
    const times = ['', '1', '0s', '10000d', '-1s', '1w', '1.5h', '1d '].map(time =>
      JSON.stringify({ principal: 'a', for: time })
    )
    for (const body of [...bodies, ...times, '{"principal":"a","for":7}', '{"principal":"a","until":"1d"}']) {
      const response = await it.call('POST', '', body, JSON_TYPE)
      assert.deepEqual([response.status, await codeOf(response)], [422, 'INVALID_BODY'], body)
    }
    const form = await it.call('POST', '', 'principal=a', {
      ...TOKEN,
      'content-type': 'application/x-www-form-urlencoded'
    })
    assert.equal(await codeOf(form), 'UNSUPPORTED_MEDIA_TYPE')
    assert.deepEqual(it.list, [])
  })

  test('are not served without a token, nor by a replica that knows of no revocations', async () => {
    await using tokenless = await serveAdmin({ admin: {} })
    for (const authorization of ['Bearer undefined', 'Bearer ', ''])
      assert.equal((await tokenless.call('GET', '', undefined, { authorization })).status, 404)
    await using alone = await serve({ admin: { token } })
    assert.equal((await fetch(`${alone.url}/admin/revocations`, { headers: TOKEN })).status, 404)
  })
})

describe('with a port of their own, metrics and admin calls', () => {
  const INNER = ['/metrics', '/admin/revocations']

  test('are served there and nowhere else, and the probes at both', async () => {
    await using it = await serveAdmin({ admin: { port: 0, token }, routes: { chat: { destination: '/sub/{a}' } } })
    const statusOf = async (path: string, url = it.url) => (await fetch(url + path, { headers: TOKEN })).status
    for (const path of INNER)
      assert.deepEqual([await statusOf(path), await statusOf(path, it.adminUrl)], [404, 200], path)
    for (const path of ['/livez', '/readyz', '/openapi.json'])
      assert.deepEqual([await statusOf(path), await statusOf(path, it.adminUrl)], [200, 200], path)
    for (const path of ['/', '/console/config', '/console/stats', '/history?destination=/sub/chat/7', '/ws'])
      assert.equal(await statusOf(path, it.adminUrl), 404, path)
    it.server.drain()
    assert.deepEqual([await statusOf('/readyz'), await statusOf('/readyz', it.adminUrl)], [503, 503])
    await it.server.close()
    await assert.rejects(fetch(`${it.adminUrl}/livez`))
  })

  test('are in the OpenAPI document of that port only', async () => {
    const pathsOf = async (url: string) =>
      Object.keys(((await (await fetch(`${url}/openapi.json`)).json()) as { paths: object }).paths)
    const isInner = (path: string) => INNER.some(begin => path.startsWith(begin))
    await using apart = await serveAdmin({ admin: { port: 0, token } })
    const [outer, inner] = await Promise.all([pathsOf(apart.url), pathsOf(apart.adminUrl as string)])
    assert.ok(outer.includes('/history') && !outer.some(isInner), `${outer}`)
    assert.deepEqual(inner.filter(isInner).sort(), ['/admin/revocations', '/admin/revocations/{principal}', '/metrics'])
    assert.ok(!inner.includes('/history'))
    await using together = await serveAdmin()
    assert.equal((await pathsOf(together.url)).filter(isInner).length, 3)
  })
})
