import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Principal } from '../../src/auth.ts'
import type { BatonError } from '../../src/errors.ts'
import type { Condition, Route } from '../../src/routes.ts'
import { authOf } from './auth-of.ts'

// What a principal may do by the conditions of `allow`.

const auth = authOf({ mode: 'none' })
const claims = { role: 'admin', rooms: ['7', 8], org: { id: 5 } }
const principal: Principal = { name: 'a', claims, guest: false }
const holding = (claims: Record<string, unknown>): Principal => ({ name: 'a', claims, guest: false })
const guest: Principal = { name: 'guest', claims: {}, guest: true }

function may(condition: Condition, who: Principal = principal, names: Record<string, string> = {}): boolean {
  const allow = { send: 'nobody', subscribe: condition, history: 'nobody' } satisfies Route['allow']
  const route: Route = {
    name: 'chat',
    log: { size: 1, ttlMs: 1, maxBodyBytes: 1 },
    history: { size: 1, maxAgeMs: undefined },
    slow: { policy: 'close' },
    send: undefined,
    allow
  }
  try {
    auth.authorize('subscribe', route, who, names)
    return true
  } catch (error) {
    assert.equal((error as BatonError).code, 'FORBIDDEN')
    assert.match((error as BatonError).detail, /^subscribe on route chat/)
    return false
  }
}

test('anyone is anyone, authenticated no guest, nobody nobody', () => {
  assert.deepEqual([may('anyone'), may('authenticated'), may('nobody')], [true, true, false])
  assert.deepEqual([may('anyone', guest), may('authenticated', guest), may('nobody', guest)], [true, false, false])
})

test('every claim named must equal or hold one of its values', () => {
  assert.ok(may({ role: 'admin' }))
  assert.ok(may({ role: ['user', 'admin'], 'org.id': 5 }))
  assert.ok(may({ rooms: 8 }))
  assert.ok(!may({ role: 'admin', 'org.id': 6 }))
  assert.ok(!may({ missing: 'x' }))
  assert.ok(!may({ constructor: 'x' }))
  assert.ok(!may({ role: 'admin' }, guest))
  assert.ok(!may({ org: '[object Object]' }))
})

test('a value may be a template over the names of the destination', () => {
  assert.ok(may({ rooms: '{roomId}' }, principal, { roomId: '7' }))
  assert.ok(may({ rooms: '{roomId}' }, principal, { roomId: '8' }))
  assert.ok(!may({ rooms: '{roomId}' }, principal, { roomId: '9' }))
  assert.ok(!may({ rooms: '{roomId}' }))
  assert.ok(!may({ missing: '{constructor}' }))
  assert.ok(may({ rooms: 'room-{key}' }, holding({ rooms: ['room-a/b'] }), { key: 'a/b' }))
  assert.ok(!may({ rooms: '{key}' }, holding({ rooms: ['a%2Fb', 'a', 'b', ''] }), { key: 'a/b' }))
})

test('a claim is found under its whole name, dots and all, or else at the path that it says', () => {
  const who = holding({ 'https://zzalu.example/roles': ['admin'], realm: { access: { roles: ['admin'] } } })
  assert.ok(may({ 'https://zzalu.example/roles': 'admin', 'realm.access.roles': 'admin' }, who))
  assert.ok(!may({ 'https://zzalu.example/roles': 'user' }, who))
  assert.ok(!may({ 'realm.access': 'admin' }, who))
  assert.ok(!may({ 'realm.access.roles.admin': 'admin' }, who))
})

test('a scalar equals by its text, and nothing else equals at all', () => {
  for (const held of [8, '8', [8], ['7', '8']]) {
    assert.ok(may({ rooms: 8 }, holding({ rooms: held })) && may({ rooms: '8' }, holding({ rooms: held })))
  }
  const none = [[], null, {}, '', ' 8', '08', 8.5, true, [['8']], [{ id: '8' }], { 8: '8' }, '8,9', ['8 9'], [null]]
  for (const held of none) assert.ok(!may({ rooms: '8' }, holding({ rooms: held })), JSON.stringify(held))
  assert.ok(!may({ 'rooms.id': '8' }, holding({ rooms: [{ id: '8' }] })), 'a list of objects')
  assert.ok(!may({ n: '9007199254740993' }, holding({ n: 9007199254740992 })), 'a number that JSON does not hold')
  assert.ok(may({ flag: 'true' }, holding({ flag: true })) && !may({ flag: 1 }, holding({ flag: true })))
})

test('a name that every object inherits is no claim, but where the claims have one of their own', () => {
  const inherited = ['__proto__', 'constructor', 'hasOwnProperty', 'toString', 'constructor.name', '__proto__.x']
  for (const name of inherited) {
    const condition = JSON.parse(`{${JSON.stringify(name)}:["Object","","{key}"]}`)
    assert.ok(!may(condition, principal, { key: 'Object' }), name)
  }
  const heir = Object.create({ role: 'admin', org: { id: 5 } })
  assert.ok(!may({ role: 'admin' }, holding(heir)) && !may({ 'org.id': 5 }, holding(heir)))
  const own = JSON.parse('{"__proto__":["x"],"constructor":"x"}')
  assert.ok(may(JSON.parse('{"__proto__":"x","constructor":"x"}'), holding(own)))
  assert.ok(!may({ role: 'x' }, holding(JSON.parse('{"__proto__":{"role":"x"}}'))))
})
