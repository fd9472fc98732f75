import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { type AddressInfo, connect, createServer } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import { BatonError } from '../../src/errors.ts'
import { checkRedis } from '../../src/redis/check.ts'
import { append, chunk, NOTHING, SOURCE } from '../contract/log-kit.ts'
import { freePorts, onFreePorts } from '../support/ports.ts'
import { launch, temporaryFolder } from '../support/processes.ts'
import { dockerImage, redisServer } from '../support/toolchain.ts'
import { waitFor } from '../support/wait.ts'
import { Ends, isAway, isReady, optionsFor, unavailable, unfit } from './redis-kit.ts'

// Which Redis is taken, which is refused and what is said of it, and how the primary is found.

test('an absent Redis is one fault', async () => {
  const [port] = await freePorts(1)
  const options = optionsFor({ url: `redis://someone:secret@127.0.0.1:${port}` })
  const faults = await checkRedis(options)
  assert.equal(faults.length, 1)
  assert.match(faults.join(), /ECONNREFUSED/)
  assert.doesNotMatch(faults.join(), /secret/)
})

test('a Redis that may evict is refused at start; one that begins to later is not written to until it is mended', async () => {
  await using ends = new Ends()
  const redis = await ends.redis({ args: ['--maxmemory-policy', 'allkeys-lru'] })
  const admin = ends.admin(redis)
  await assert.rejects(ends.started(optionsFor(redis)), unfit(/allkeys-lru.*noeviction/))
  assert.deepEqual(await checkRedis(optionsFor(redis)), [
    `Redis 127.0.0.1:${redis.port}: maxmemory-policy is allkeys-lru, so Redis may evict what was acknowledged: set it to noeviction`
  ])
  await admin.config('SET', 'maxmemory-policy', 'noeviction')
  const log = await ends.started(optionsFor(redis))
  await admin.config('SET', 'maxmemory-policy', 'volatile-ttl')
  await admin.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
  await isAway(log)
  await assert.rejects(log.append(chunk([append('a', 0)])), unavailable(/no connection/))
  await admin.config('SET', 'maxmemory-policy', 'noeviction')
  await isReady(log)
})

test('the ACL user of docs/operating.md suffices', async () => {
  await using ends = new Ends()
  const redis = await ends.redis()
  const admin = ends.admin(redis)
  const page = readFileSync(join(import.meta.dirname, '../../docs/operating.md'), 'utf8')
  const user = /^user (baton .*)$/m.exec(page)?.[1] as string
  await admin.call('ACL', 'SETUSER', ...user.split(' '))
  const options = optionsFor(redis, { username: 'baton', password: 'password', prefix: 't1:' })
  assert.deepEqual(await checkRedis(options), [])
  assert.deepEqual(await admin.keys('*'), [], 'nothing is left behind')
  const log = await ends.started(options)
  assert.equal((await log.append(chunk([append('a', 0)]))).behind, false)
  const inUrl = { url: `redis://baton:password@127.0.0.1:${redis.port}`, prefix: 't1:', readTimeoutMs: 2000 }
  assert.equal((await (await ends.started(inUrl)).read('a')).entries.length, 1)
})

test('what an ACL user may not do is told at start, every fault of it by checkRedis', async () => {
  await using ends = new Ends()
  const redis = await ends.redis()
  const admin = ends.admin(redis)
  await admin.call('ACL', 'SETUSER', 'baton', 'on', '>pass', '~t:*', '&other:*', '+@all')
  const options = optionsFor(redis, { username: 'baton', password: 'pass', prefix: 't:' })
  await assert.rejects(ends.started(options), unfit(/refuses the append script: NOPERM.*publish/))
  const faults = await checkRedis(options)
  assert.equal(faults.length, 3)
  assert.match(faults.join(), /the append script: NOPERM.*revocations: NOPERM.*SUBSCRIBE: NOPERM/)
  await admin.call('ACL', 'SETUSER', 'baton', '&t:*', '-hgetall', '-info')
  assert.match((await checkRedis(options)).join(), /INFO: NOPERM.*the append script: NOPERM.*hgetall/)
  await assert.rejects(ends.started({ ...options, password: 'wrong' }), unfit(/WRONGPASS/))
  assert.match((await checkRedis({ ...options, password: 'wrong' })).join(), /WRONGPASS/)
})

test('one forbidden channel in a chunk leaves the whole chunk unwritten', async () => {
  await using ends = new Ends()
  const redis = await ends.redis()
  const admin = ends.admin(redis)
  await admin.call('ACL', 'SETUSER', 'baton', 'on', '>pass', '~*', '&baton:*', '&a', '+@all')
  const log = await ends.started(optionsFor(redis, { username: 'baton', password: 'pass' }))
  await assert.rejects(log.append(chunk([append('a', 0), append('b', 1)])), unavailable(/NOPERM.*channel b/))
  assert.deepEqual(await log.read('a'), NOTHING)
})

test('a version before 7 is refused', async () => {
  await using ends = new Ends()
  const redis = await ends.redis()
  // The real server behind a wire that makes it say another version of the same length.
  const wire = createServer(client => {
    const server = connect(redis.port, '127.0.0.1')
    client.pipe(server)
    server.on('data', bytes =>
      client.write(Buffer.from(bytes.toString('latin1').replace(/\b\d+(?=\.\d+\.\d+\r\n\$5)/, '6'), 'latin1'))
    )
    server.on('close', () => client.destroy())
    client.on('close', () => server.destroy())
    for (const socket of [client, server]) socket.on('error', () => undefined)
  })
  await new Promise<void>(resolve => wire.listen(0, '127.0.0.1', resolve))
  ends.defer(() => wire.close())
  const { port } = wire.address() as AddressInfo
  await assert.rejects(ends.started(optionsFor({ url: `redis://127.0.0.1:${port}` })), unfit(/version 6.*7 or later/))
})

test('a replica is not written to until it is the primary', async () => {
  await using ends = new Ends()
  const redis = await ends.redis()
  const admin = ends.admin(redis)
  const log = await ends.started(optionsFor(redis))
  const [nowhere] = await freePorts(1)
  await admin.call('REPLICAOF', '127.0.0.1', String(nowhere))
  await assert.rejects(log.append(chunk([append('a', 0)])), BatonError)
  await isAway(log)
  assert.match((await checkRedis(optionsFor(redis))).join(), /replica/)
  await admin.call('REPLICAOF', 'NO', 'ONE')
  await isReady(log)
  assert.equal((await log.append(chunk([append('a', 0)]))).behind, false)
})

test('Sentinel says where the primary is, and where it is after a failover', async () => {
  await using ends = new Ends()
  const [first, second] = [await ends.redis({ args: ['--repl-diskless-sync-delay', '0'] }), await ends.redis()]
  const replica = ends.admin(second)
  await replica.call('REPLICAOF', '127.0.0.1', String(first.port))
  const sentinel = await startSentinel(ends, first.port)
  const log = await ends.started({
    prefix: '',
    readTimeoutMs: 2000,
    sentinel: { name: 'main', nodes: [`127.0.0.1:${sentinel}`] }
  })
  await log.append(chunk([append('a', 0)]))
  await waitFor(() => replica.hexists('baton:fence', SOURCE), { what: 'the replica to follow' })
  const asked = ends.admin({ url: `redis://127.0.0.1:${sentinel}` })
  await waitFor(async () => Number(((await asked.call('SENTINEL', 'replicas', 'main')) as unknown[]).length) === 1, {
    deadlineMs: 20_000,
    what: 'Sentinel to know the replica'
  })
  await waitFor(async () => (await asked.call('SENTINEL', 'failover', 'main')) === 'OK', {
    deadlineMs: 20_000,
    what: 'the failover to begin'
  })
  await isAway(log)
  await waitFor(() => log.ready, { deadlineMs: 20_000, what: 'the new primary' })
  assert.equal(((await replica.call('ROLE')) as unknown[])[0], 'master')
  assert.deepEqual(await log.append(chunk([append('a', 1)], { expect: 0 })), { behind: false, fence: 1, skipped: 0 })
})

async function startSentinel(ends: Ends, primaryPort: number): Promise<number> {
  const folder = temporaryFolder('baton-sentinel')
  const file = join(folder, 'sentinel.conf')
  const image = await dockerImage('redis:7')
  const command = image ? 'redis-server' : await redisServer()
  return onFreePorts(1, async ([port = 0]) => {
    const lines = [
      `port ${port}`,
      'bind 127.0.0.1',
      `dir ${folder}`,
      `sentinel monitor main 127.0.0.1 ${primaryPort} 1`,
      'sentinel down-after-milliseconds main 2000',
      'sentinel failover-timeout main 10000'
    ]
    writeFileSync(file, lines.join('\n'))
    const sentinel = launch({ command, args: [file, '--sentinel'], ...(image && { container: { image, folder } }) })
    ends.defer(() => sentinel.kill())
    await sentinel.match(/\+monitor master main/, 20_000)
    return port
  })
}
