import assert from 'node:assert/strict'
import { generateKeyPairSync, type KeyObject, scryptSync } from 'node:crypto'
import { createServer as createHttpServer } from 'node:http'
import { type AddressInfo, createServer } from 'node:net'
import { describe, test } from 'node:test'
import { exportJWK, SignJWT, UnsecuredJWT } from 'jose'
import { type Auth, type Credentials, createAuth } from '../../src/auth.ts'
import type { BatonError, ErrorCode } from '../../src/errors.ts'
import { configOf } from './config-of.ts'

const SECRET = 'a secret of thirty-two bytes, yes'
const routes = { any: { topic: 'any', channel: 'any', destination: '/any' } }
const authOf = (auth: object): Auth => createAuth(configOf({ routes, auth }).auth)

const sign = (
  claims: Record<string, unknown>,
  key: KeyObject | Buffer = Buffer.from(SECRET),
  alg = 'HS256',
  kid?: string
) => new SignJWT(claims).setProtectedHeader({ alg, ...(kid && { kid }) }).sign(key)

const refused = (attempt: Promise<unknown>, detail: RegExp, code: ErrorCode = 'UNAUTHENTICATED') =>
  assert.rejects(attempt, (error: BatonError) => {
    assert.equal(error.code, code)
    assert.match(error.detail, detail)
    assert.doesNotMatch(error.message, /hidden/)
    return true
  })

const bearer = (token: string): Credentials => ({ authorization: `Bearer ${token}` })
const basic = (pair: string): Credentials => ({ authorization: `basic ${Buffer.from(pair).toString('base64')}` })

test('mode none takes anyone as a guest', async () => {
  const auth = authOf({ mode: 'none' })
  assert.deepEqual(await auth.authenticate({ passcode: 'y' }), { name: 'guest', claims: {}, guest: true })
  assert.equal((await auth.authenticate({ login: 'x', passcode: 'y' })).name, 'x', 'what people call themselves')
  assert.equal((await auth.authenticate({ authorization: 'whatever' })).guest, true)
  await refused(auth.verifyToken('a.b.c'), /no tokens/)
})

describe('mode users', () => {
  const salt = Buffer.from('salt')
  const passcodeHash = `scrypt:1024:${salt.toString('base64url')}:${scryptSync('비밀', salt, 32, { N: 1024 }).toString('base64url')}`
  const users = [
    { login: 'a', passcode: 'hidden', claims: { role: 'admin' } },
    { login: 'b', passcodeHash }
  ]

  test('takes login and passcode, plain or hashed, from CONNECT or Basic', async () => {
    const auth = authOf({ mode: 'users', users })
    const a = { name: 'a', claims: { role: 'admin' }, guest: false }
    assert.deepEqual(await auth.authenticate({ login: 'a', passcode: 'hidden' }), a)
    assert.deepEqual(await auth.authenticate(basic('a:hidden')), a)
    const b = { name: 'b', claims: {}, guest: false }
    assert.deepEqual(await auth.authenticate({ login: 'b', passcode: '비밀' }), b)
    assert.deepEqual(await auth.authenticate({ login: 'b', passcode: '비밀' }), b, 'the second time it is remembered')
  })

  test('says neither which of the two was wrong nor what it was', async () => {
    const auth = authOf({ mode: 'users', users })
    await auth.authenticate({ login: 'b', passcode: '비밀' })
    for (const login of ['a', 'b', 'c', '__proto__']) {
      await refused(auth.authenticate({ login, passcode: 'hidden!' }), /^login or passcode is wrong$/)
      await refused(auth.authenticate({ login }), /^login or passcode is wrong$/)
    }
    await refused(auth.authenticate({}), /login and passcode is missing/)
    await refused(auth.authenticate(basic('hidden')), /login:passcode in base64/)
    await refused(auth.authenticate(bearer('hidden')), /login and passcode are asked for/)
    await refused(auth.authenticate({ authorization: 'hidden' }), /Authorization must be/)
  })

  test('lets guests in where it says so, but nobody with a wrong passcode', async () => {
    const auth = authOf({ mode: 'users', users, guests: true })
    assert.equal((await auth.authenticate({ login: '', passcode: '' })).guest, true)
    await refused(auth.authenticate({ login: 'a', passcode: 'x' }), /wrong/)
  })
})

describe('mode jwt', () => {
  test('takes a token from Authorization, access_token or passcode; its claims are the principal', async () => {
    const auth = authOf({ mode: 'jwt', jwt: { secret: SECRET } })
    const token = await sign({ sub: '42', name: 'kim', roles: ['x'] })
    const principal = { name: '42', claims: { sub: '42', name: 'kim', roles: ['x'] }, guest: false }
    for (const credentials of [bearer(token), { accessToken: token }, { login: 'x', passcode: token }]) {
      assert.deepEqual(await auth.authenticate(credentials), principal)
    }
    assert.deepEqual(await auth.verifyToken(token), principal)
  })

  test('names the principal by sub, else name, or by the claim the configuration says', async () => {
    const token = await sign({ name: 'kim', nickname: '김' })
    assert.equal((await authOf({ mode: 'jwt', jwt: { secret: SECRET } }).verifyToken(token)).name, 'kim')
    assert.equal(
      (await authOf({ mode: 'jwt', jwt: { secret: SECRET, nameClaim: 'nickname' } }).verifyToken(token)).name,
      '김'
    )
  })

  test('refuses what does not hold, and says why', async () => {
    const auth = authOf({ mode: 'jwt', jwt: { secret: SECRET, issuer: 'zzalu', audience: 'chat' } })
    const good = { iss: 'zzalu', aud: ['chat', 'more'] }
    await auth.verifyToken(await sign(good))
    await refused(auth.verifyToken(await sign({ ...good, exp: 1 })), /expired/)
    await refused(auth.verifyToken(await sign({ ...good, nbf: 9_999_999_999 })), /claim nbf/)
    await refused(auth.verifyToken(await sign({ ...good, iss: 'hidden' })), /claim iss/)
    await refused(auth.verifyToken(await sign({ iss: 'zzalu' })), /claim aud/)
    await refused(auth.verifyToken(await sign(good, Buffer.alloc(32))), /signature/)
    await refused(auth.verifyToken(new UnsecuredJWT(good).encode()), /algorithm|no JWT/)
    await refused(auth.verifyToken('hidden'), /no JWT/)
    await refused(auth.authenticate({}), /a token .* is missing/)
    await refused(auth.authenticate(basic('a:hidden')), /not Basic/)
  })

  test('lets guests in without a token, not with a bad one', async () => {
    const auth = authOf({ mode: 'jwt', guests: true, jwt: { secret: SECRET } })
    assert.equal((await auth.authenticate({ passcode: '' })).guest, true)
    await refused(auth.authenticate({ passcode: 'hidden' }), /no JWT/)
  })

  test('takes the algorithms of its public key and no other', async () => {
    const pairs = {
      RS256: generateKeyPairSync('rsa', { modulusLength: 2048 }),
      ES256: generateKeyPairSync('ec', { namedCurve: 'P-256' }),
      EdDSA: generateKeyPairSync('ed25519')
    }
    for (const [alg, { publicKey, privateKey }] of Object.entries(pairs)) {
      const pem = publicKey.export({ type: 'spki', format: 'pem' }).toString()
      const auth = authOf({ mode: 'jwt', jwt: { publicKey: pem } })
      assert.equal((await auth.verifyToken(await sign({ sub: alg }, privateKey, alg))).name, alg)
      await refused(auth.verifyToken(await sign({ sub: alg }, Buffer.from(pem))), /algorithm/)
    }
  })

  test('takes the keys of a key set, and tells a set that is away from a bad token', async () => {
    const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const keys = [{ ...(await exportJWK(publicKey)), kid: 'k', alg: 'ES256' }]
    const server = createHttpServer((_, response) => response.end(JSON.stringify({ keys }))).listen(0, '127.0.0.1')
    await new Promise(resolve => server.once('listening', resolve))
    try {
      const auth = authOf({
        mode: 'jwt',
        jwt: { jwksUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}/` }
      })
      assert.equal((await auth.verifyToken(await sign({ sub: 'a' }, privateKey, 'ES256', 'k'))).name, 'a')
      await refused(auth.verifyToken(await sign({ sub: 'a' }, privateKey, 'ES256', 'other')), /no key/)
    } finally {
      server.closeAllConnections()
      server.close()
    }
    const closed = createServer().listen(0, '127.0.0.1')
    await new Promise(resolve => closed.once('listening', resolve))
    const { port } = closed.address() as AddressInfo
    await new Promise(resolve => closed.close(resolve))
    const away = authOf({ mode: 'jwt', jwt: { jwksUrl: `http://127.0.0.1:${port}/` } })
    await refused(
      away.verifyToken(await sign({ sub: 'a' }, privateKey, 'ES256', 'k')),
      /cannot be read now/,
      'INTERNAL'
    )
  })
})
