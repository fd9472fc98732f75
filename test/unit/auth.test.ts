import assert from 'node:assert/strict'
import { generateKeyPairSync, scryptSync } from 'node:crypto'
import { describe, test } from 'node:test'
import { UnsecuredJWT } from 'jose'
import type { Credentials } from '../../src/auth.ts'
import { authOf, bearer, refused, SECRET, sign } from './auth-of.ts'

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
    await refused(auth.verifyToken(await sign({ aud: 'chat' })), /claim iss/)
    await refused(auth.verifyToken(await sign({ ...good, aud: ['hidden'] })), /claim aud/)
    await refused(auth.verifyToken(await sign({ iss: 'zzalu' })), /claim aud/)
    await refused(auth.verifyToken(await sign(good, Buffer.alloc(32))), /signature/)
    await refused(auth.verifyToken(new UnsecuredJWT(good).encode()), /algorithm|no JWT/)
    await refused(auth.verifyToken('hidden'), /no JWT/)
    await refused(auth.authenticate({}), /a token .* is missing/)
    await refused(auth.authenticate(basic('a:hidden')), /not Basic/)
  })

  test('knows when a token expires, and that one without exp never does', async () => {
    const auth = authOf({ mode: 'jwt', jwt: { secret: SECRET } })
    const exp = Math.floor(Date.now() / 1000) + 60
    assert.equal((await auth.verifyToken(await sign({ exp }))).expiresAtMs, exp * 1000)
    assert.equal((await auth.verifyToken(await sign({}))).expiresAtMs, undefined)
    for (const wrong of ['never', null]) await refused(auth.verifyToken(await sign({ exp: wrong })), /claim exp/)
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
})
