import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { Principal } from '../../src/auth.ts'
import { BatonError } from '../../src/errors.ts'
import { createMemoryLog } from '../../src/memory/log.ts'
import { REVOCATIONS_CHANNEL, type RevocationStore } from '../../src/ports/revocations.ts'
import { createRevocations, type Revocations } from '../../src/revocations.ts'
import { silent } from '../support/flows.ts'
import { waitFor } from '../support/wait.ts'
import { authOf } from './auth-of.ts'
import { configOf } from './config-of.ts'

// What a replica makes of the list, with the list of one process in place of that of Redis.

const MINUTE_MS = 60_000
const who = (name: string, guest = false): Principal => ({ name, claims: {}, guest })

/** A replica on a list; `down` makes every call fail, as a Redis that is away does. */
async function replica(context: TestContext, memory = createMemoryLog()) {
  const feed = memory.createFeed()
  const link = { down: false, reads: 0 }
  const reach = () => {
    if (link.down) throw new BatonError('REDIS_UNAVAILABLE', 'no connection')
  }
  const store: RevocationStore = {
    async read(lapsedMs) {
      link.reads++
      reach()
      return memory.revocations.read(lapsedMs)
    },
    async put(revoked, absentOnly) {
      reach()
      await memory.revocations.put(revoked, absentOnly)
    }
  }
  const changes: (readonly string[])[] = []
  const revocations: Revocations = createRevocations({
    store,
    feed,
    changed: () => changes.push(['mina', 'kim'].filter(name => revocations.refusalOf(who(name)))),
    logger: silent
  })
  await feed.start({ message: () => revocations.refresh(), restored: () => undefined })
  revocations.start()
  context.after(() => revocations.close())
  const isRevoked = (name: string) => revocations.refusalOf(who(name)) !== undefined
  return { memory, link, changes, revocations, isRevoked }
}

const soon = (principal: string, ms = MINUTE_MS) => ({ principal, lapsesMs: Date.now() + ms })

test('who is revoked on one replica is revoked on all, and may come in again when it is lifted', async context => {
  const one = await replica(context)
  const other = await replica(context, one.memory)
  await one.revocations.revoke(soon('mina'))
  assert.ok(one.isRevoked('mina') && !one.isRevoked('kim'))
  assert.deepEqual(one.changes.at(-1), ['mina'])
  await waitFor(() => other.isRevoked('mina'), { what: 'the other to know' })
  assert.deepEqual(other.changes.at(-1), ['mina'])
  assert.deepEqual(
    (await other.revocations.list()).map(({ principal }) => principal),
    ['mina']
  )
  assert.equal(await other.revocations.lift('mina'), true)
  assert.equal(await other.revocations.lift('mina'), false, 'once')
  assert.equal(await other.revocations.lift('kim'), false)
  await waitFor(() => !one.isRevoked('mina'), { what: 'the first to know' })
  assert.deepEqual(await one.revocations.list(), [])
})

test('a revocation lapses by itself', async context => {
  const { revocations, isRevoked } = await replica(context)
  await revocations.revoke(soon('mina', 30))
  assert.ok(isRevoked('mina'))
  await waitFor(() => !isRevoked('mina'), { what: 'its end' })
  assert.deepEqual(await revocations.list(), [])
  assert.equal(await revocations.lift('mina'), false)
})

test('authentication refuses whom it finds revoked, by session and by token, and never a guest', async context => {
  const { revocations } = await replica(context)
  const users = [
    { login: 'mina', passcode: 'one' },
    { login: 'guest', passcode: 'one' }
  ]
  const auth = revocations.guard(authOf({ mode: 'users', guests: true, users }))
  const tokens = revocations.guard({ ...auth, verifyToken: async token => who(token) })
  for (const { principal } of [soon('mina'), soon('guest')]) await revocations.revoke(soon(principal))
  const isRefusal = ({ code, detail }: BatonError) => code === 'REVOKED' && /until \d{4}-\d\d-\d\dT/.test(detail)
  for (const { login } of users) await assert.rejects(auth.authenticate({ login, passcode: 'one' }), isRefusal)
  await assert.rejects(tokens.verifyToken('mina'), isRefusal)
  assert.equal((await tokens.verifyToken('kim')).name, 'kim')
  assert.equal((await auth.authenticate({})).guest, true)
  await assert.rejects(auth.authenticate({ login: 'mina', passcode: 'wrong' }), /wrong/)
})

test('while the store is away every call fails, what is known holds, and it is read as soon as it is back', async context => {
  const one = await replica(context)
  const other = await replica(context, one.memory)
  await one.revocations.revoke(soon('mina'))
  await waitFor(() => other.isRevoked('mina'), { what: 'the other to know' })
  other.link.down = true
  const away = { code: 'REDIS_UNAVAILABLE' }
  await assert.rejects(other.revocations.revoke(soon('kim')), away)
  await assert.rejects(other.revocations.lift('mina'), away)
  await assert.rejects(other.revocations.list(), away)
  assert.ok(other.isRevoked('mina') && !other.isRevoked('kim'))
  const { reads } = other.link
  await one.revocations.revoke(soon('kim'))
  await waitFor(() => other.link.reads > reads + 1, { what: 'a reading that fails, and another' })
  assert.ok(!other.isRevoked('kim'))
  other.link.down = false
  await waitFor(() => other.isRevoked('kim'), { what: 'the list to be read' })
})

test('what the store has lost is put back within 30 s, what was lifted remains so', async context => {
  context.mock.timers.enable({ apis: ['setInterval'] })
  const { memory, revocations } = await replica(context)
  await revocations.revoke(soon('mina'))
  await revocations.revoke(soon('kim'))
  await revocations.lift('kim')
  const other = await replica(context, memory)
  await waitFor(() => other.isRevoked('mina'), { what: 'the other to know' })
  await memory.revocations.read(Date.now() + 2 * MINUTE_MS)
  assert.equal((await memory.revocations.read(0)).size, 0, 'wiped')
  context.mock.timers.tick(30_000)
  const isBack = async () => (await memory.revocations.read(0)).size === 2
  await waitFor(isBack, { what: 'both to be back' })
  const late = await replica(context, memory)
  await waitFor(() => late.isRevoked('mina'), { what: 'one who comes later to know' })
  assert.ok(!late.isRevoked('kim'))
})

test('what is told while the list is read is read after that, however much it is', async context => {
  const { memory, link, isRevoked } = await replica(context)
  await waitFor(() => link.reads > 0, { what: 'the first reading' })
  const before = link.reads
  const names = Array.from({ length: 1000 }, (_, n) => `name ${n}`)
  await Promise.all(names.map(name => memory.revocations.put(new Map([[name, Date.now() + MINUTE_MS]]))))
  await waitFor(() => names.every(isRevoked), { what: 'all of them' })
  assert.ok(link.reads - before < 50, `${link.reads - before} readings`)
})

test('the list is told on a channel that no route can have', () => {
  const routes = { own: { topic: 'own', channel: 'baton:{key}', destination: '/own/{key}' } }
  assert.throws(() => configOf({ routes }), /routes\.own\.channel: could begin with baton:, which is for what replicas/)
  assert.match(REVOCATIONS_CHANNEL, /^baton:/)
})

test('a replica is ready once it has read the list', async context => {
  const memory = createMemoryLog()
  const read = Promise.withResolvers<void>()
  const store: RevocationStore = {
    ...memory.revocations,
    read: async lapsedMs => {
      await read.promise
      return memory.revocations.read(lapsedMs)
    }
  }
  const revocations = createRevocations({ store, feed: memory.createFeed(), changed: () => undefined, logger: silent })
  context.after(() => revocations.close())
  revocations.start()
  await new Promise(resolve => setImmediate(resolve))
  assert.equal(revocations.ready, false)
  read.resolve()
  await waitFor(() => revocations.ready, { what: 'the list' })
})
