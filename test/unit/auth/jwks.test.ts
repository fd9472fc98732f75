import assert from 'node:assert/strict'
import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { describe, test } from 'node:test'
import { exportJWK } from 'jose'
import { authOf, listening, refused, SECRET, sign } from '../auth-of.ts'

const COOLDOWN_MS = 30_000
const CACHE_MS = 120_000

const pairs = [1, 2].map(() => generateKeyPairSync('ec', { namedCurve: 'P-256' }))
const [first, second] = pairs.map(({ privateKey }) => privateKey) as [KeyObject, KeyObject]
const published = await Promise.all(
  pairs.map(async ({ publicKey }, n) => ({ ...(await exportJWK(publicKey)), kid: `k${n + 1}`, alg: 'ES256' }))
)
const tokenOf = (key: KeyObject, kid?: string) => sign({ sub: 'a' }, key, 'ES256', kid)

/** The key set of an issuer, which can change, fall silent or fail. */
async function issuer(...keys: object[]) {
  const state = { keys, status: 200, body: undefined as string | undefined, fetched: 0 }
  const server = await listening((_, response) => {
    state.fetched++
    response.writeHead(state.status, state.status === 302 ? { location: '/elsewhere' } : {})
    response.end(state.body ?? JSON.stringify({ keys: state.keys }))
  })
  const lines: string[] = []
  const auth = authOf({ mode: 'jwt', jwt: { jwksUrl: server.url, jwksCacheMs: CACHE_MS } }, lines)
  const close = () => server[Symbol.asyncDispose]()
  return { state, lines, close, verify: auth.verifyToken, [Symbol.asyncDispose]: close }
}

describe('the key set of an issuer', () => {
  test('is fetched once for all who come at the same time, and kept', async () => {
    await using it = await issuer(published[0] as object)
    const token = await tokenOf(first, 'k1')
    const principals = await Promise.all(Array.from({ length: 50 }, () => it.verify(token)))
    assert.deepEqual(new Set(principals.map(({ name }) => name)), new Set(['a']))
    await it.verify(token)
    assert.equal(it.state.fetched, 1)
  })

  test('is fetched anew for a key that it does not know, but not each time', async t => {
    t.mock.timers.enable({ apis: ['Date'], now: Date.now() })
    await using it = await issuer(published[0] as object)
    await it.verify(await tokenOf(first, 'k1'))
    it.state.keys = published
    await refused(it.verify(await tokenOf(second, 'k2')), /no key of the issuer/)
    assert.equal(it.state.fetched, 1, 'it was fetched a moment ago')
    t.mock.timers.tick(COOLDOWN_MS)
    await it.verify(await tokenOf(second, 'k2'))
    await it.verify(await tokenOf(first, 'k1'))
    for (let n = 0; n < 20; n++) await refused(it.verify(await tokenOf(second, `x${n}`)), /no key of the issuer/)
    assert.equal(it.state.fetched, 2)
  })

  test('lets nobody in by a key that has left it, once it has aged', async t => {
    t.mock.timers.enable({ apis: ['Date'], now: Date.now() })
    await using it = await issuer(...published)
    await it.verify(await tokenOf(first, 'k1'))
    it.state.keys = published.slice(1)
    t.mock.timers.tick(CACHE_MS - 1)
    await it.verify(await tokenOf(first, 'k1'))
    t.mock.timers.tick(1)
    await refused(it.verify(await tokenOf(first, 'k1')), /no key of the issuer/)
    await it.verify(await tokenOf(second, 'k2'))
  })

  test('may hold several keys for a token that names none', async () => {
    await using it = await issuer(...published)
    await it.verify(await tokenOf(first))
    await it.verify(await tokenOf(second))
    const { privateKey: strange } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    await refused(it.verify(await tokenOf(strange)), /signature/)
  })

  test('never makes a secret of its public keys', async () => {
    const { publicKey } = pairs[0] as (typeof pairs)[0]
    const oct = { kty: 'oct', kid: 'o', alg: 'HS256', k: Buffer.from(SECRET).toString('base64url') }
    await using it = await issuer(published[0] as object, oct)
    const pem = Buffer.from(publicKey.export({ type: 'spki', format: 'pem' }))
    for (const kid of ['k1', undefined]) await refused(it.verify(await sign({}, pem, 'HS256', kid)), /algorithm/)
    await refused(it.verify(await sign({}, Buffer.from(SECRET), 'HS256', 'o')), /algorithm/)
  })

  for (const [name, change] of Object.entries({
    fails: { status: 500 },
    'is somewhere else': { status: 302 },
    'is no JSON': { body: '<html>' },
    'is no key set': { body: '{"keys":"hidden"}' }
  })) {
    test(`that ${name} refuses nobody for good, and is logged once`, async () => {
      await using it = await issuer(published[0] as object)
      Object.assign(it.state, change)
      const token = await tokenOf(first, 'k1')
      for (let n = 0; n < 3; n++) await refused(it.verify(token), /keys .* cannot be read now/, 'AUTH_UNAVAILABLE')
      assert.equal(it.lines.length, 1)
      assert.ok(!it.lines.join().includes(token))
      Object.assign(it.state, { status: 200, body: undefined })
      await it.verify(token)
    })
  }

  test('that is away does not make known keys unknown before it has aged', async t => {
    t.mock.timers.enable({ apis: ['Date'], now: Date.now() })
    await using it = await issuer(published[0] as object)
    const token = await tokenOf(first, 'k1')
    await it.verify(token)
    await it.close()
    t.mock.timers.tick(CACHE_MS - 1)
    await it.verify(token)
    t.mock.timers.tick(1)
    await refused(it.verify(token), /cannot be read now/, 'AUTH_UNAVAILABLE')
    assert.match(it.lines.join(), /ECONNREFUSED/)
  })
})
