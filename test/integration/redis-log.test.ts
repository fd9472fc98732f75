import assert from 'node:assert/strict'
import { test } from 'node:test'
import pino from 'pino'
import { BatonError } from '../../src/errors.ts'
import { append, chunk, listen, NOTHING, SOURCE } from '../contract/log-kit.ts'
import { freePorts } from '../support/ports.ts'
import { deadline, waitFor } from '../support/wait.ts'
import { Ends, isAway, isReady, optionsFor, unavailable } from './redis-kit.ts'

// What the log does when its Redis goes away, hangs, forgets or refuses.

test('while Redis is away calls fail at once; when it comes back empty the first chunk is behind', async () => {
  await using ends = new Ends()
  const redis = await ends.redis()
  const log = await ends.started(optionsFor(redis))
  await log.append(chunk([append('a', 0)]))
  await redis.stop()
  await isAway(log)
  await assert.rejects(log.append(chunk([append('a', 1)], { expect: 0 })), unavailable(/no connection/))
  await assert.rejects(log.read('a'), unavailable(/no connection/))
  await assert.rejects(log.heads(['a']), unavailable(/no connection/))
  await redis.restart()
  await isReady(log)
  assert.deepEqual(await log.append(chunk([append('a', 1)], { expect: 0 })), { behind: true, fence: undefined })
})

test('a restart that keeps its data is no loss: the same chunk again is skipped', async () => {
  await using ends = new Ends()
  const redis = await ends.redis({ appendonly: true, args: ['--appendfsync', 'always'] })
  const log = await ends.started(optionsFor(redis))
  await log.append(chunk([append('a', 0)]))
  await redis.restart()
  await isAway(log)
  await isReady(log)
  assert.deepEqual(await log.append(chunk([append('a', 0)])), { behind: false, fence: 0, skipped: 1 })
})

test('a Redis that hangs is left within the read timeout and found again', async () => {
  await using ends = new Ends()
  const redis = await ends.redis()
  const log = await ends.started(optionsFor(redis, { readTimeoutMs: 300 }))
  await redis.pause()
  const calls = [log.append(chunk([append('a', 0)])), log.read('a'), log.heads(['a'])]
  for (const result of await Promise.allSettled(calls)) {
    assert.ok(result.status === 'rejected' && result.reason instanceof BatonError)
  }
  assert.equal(log.ready, false)
  await redis.resume()
  await isReady(log)
  assert.equal((await log.append(chunk([append('a', 0)]))).behind, false)
})

test('a killed connection is made again', async () => {
  await using ends = new Ends()
  const redis = await ends.redis()
  const log = await ends.started(optionsFor(redis))
  await ends.admin(redis).call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
  await isAway(log)
  await isReady(log)
  assert.equal((await log.append(chunk([append('a', 0)]))).behind, false)
})

test('Redis away at start is waited for and said once', async () => {
  await using ends = new Ends()
  const redis = await ends.redis()
  await redis.stop()
  const lines: string[] = []
  const log = ends.log(optionsFor(redis), pino({ level: 'info' }, { write: (line: string) => lines.push(line) }))
  const starting = log.start()
  await waitFor(() => lines.length > 0, { what: 'the line that says so' })
  // Its retries begin after 50 ms: several have failed when Redis is back.
  await assert.rejects(deadline(starting, 700, 'start'), /not within/)
  assert.equal(log.ready, false)
  await redis.restart()
  await starting
  assert.equal(log.ready, true)
  assert.deepEqual(
    lines.map(line => JSON.parse(line).msg),
    ['Redis is away: waiting for it', 'Redis is there']
  )
})

test('closing ends a start that still waits', async () => {
  await using ends = new Ends()
  const [port] = await freePorts(1)
  const log = ends.log(optionsFor({ url: `redis://127.0.0.1:${port}` }))
  const starting = log.start()
  await log.close()
  await assert.rejects(starting, ({ code }: BatonError) => code === 'SHUTTING_DOWN')
})

test('FLUSHALL is found by the next chunk, a lost tail too', async () => {
  await using ends = new Ends()
  const redis = await ends.redis()
  const admin = ends.admin(redis)
  const log = await ends.started(optionsFor(redis))
  await log.append(chunk([append('a', 0), append('a', 1)]))
  await admin.hset('baton:fence', SOURCE, 0)
  assert.deepEqual(await log.append(chunk([append('a', 2)], { expect: 1 })), { behind: true, fence: 0 })
  await admin.flushall()
  assert.deepEqual(await log.append(chunk([append('a', 2)], { expect: 1 })), { behind: true, fence: undefined })
  assert.deepEqual(await log.read('a'), NOTHING)
})

test('a channel that lost its position begins a new epoch without its old entries', async () => {
  await using ends = new Ends()
  const redis = await ends.redis()
  const log = await ends.started(optionsFor(redis))
  await log.append(chunk([append('a', 0), append('b', 0)]))
  await ends.admin(redis).del('baton:meta:a')
  await log.append(chunk([append('a', 1), append('b', 1)], { expect: 0, token: 'n2' }))
  const [a, b] = await Promise.all([log.read('a'), log.read('b')])
  assert.deepEqual([a.head.position, a.entries.length], [{ epoch: 'n2', seq: 1 }, 1])
  assert.deepEqual([b.head.position, b.entries.length], [{ epoch: 'n1', seq: 2 }, 2])
})

test('a flushed script cache costs nothing but a second call', async () => {
  await using ends = new Ends()
  const redis = await ends.redis()
  const log = await ends.started(optionsFor(redis))
  await ends.admin(redis).script('FLUSH')
  assert.deepEqual(await log.append(chunk([append('a', 0)])), { behind: false, fence: 0, skipped: 0 })
})

test('keys and bus channels begin with the prefix; two tenants share nothing; nothing else is left behind', async () => {
  await using ends = new Ends()
  const redis = await ends.redis()
  const one = await ends.started(optionsFor(redis, { prefix: 'one:' }))
  const two = await ends.started(optionsFor(redis, { prefix: 'two:' }))
  const { payloads, received } = await listen(ends.feed(optionsFor(redis, { prefix: 'one:' })), 'a')
  await two.append(chunk([append('a', 0)]))
  await one.append(chunk([append('a', 0)]))
  await received(1)
  assert.equal(payloads.length, 1)
  assert.equal(payloads[0]?.channel, 'a')
  assert.deepEqual((await ends.admin(redis).keys('*')).sort(), [
    'one:baton:fence',
    'one:baton:log:a',
    'one:baton:meta:a',
    'two:baton:fence',
    'two:baton:log:a',
    'two:baton:meta:a'
  ])
})

test('without memory nothing of a chunk is written or published, and the error holds no payload', async () => {
  await using ends = new Ends()
  const redis = await ends.redis()
  const admin = ends.admin(redis)
  const log = await ends.started(optionsFor(redis))
  const { payloads, received } = await listen(ends.feed(optionsFor(redis)), 'a')
  await log.append(chunk([append('a', 0)]))
  await received(1)
  await admin.config('SET', 'maxmemory', '1')
  await assert.rejects(log.append(chunk([append('a', 1, 'secret')], { expect: 0 })), (error: BatonError) => {
    assert.doesNotMatch(JSON.stringify(pino.stdSerializers.errWithCause(error)), /secret/)
    return unavailable(/OOM/)(error)
  })
  await admin.config('SET', 'maxmemory', '0')
  assert.deepEqual(await log.append(chunk([append('a', 2)], { expect: 0 })), { behind: false, fence: 2, skipped: 0 })
  await received(2)
  assert.equal(payloads.length, 2)
  assert.equal((await log.read('a')).head.position?.seq, 2)
})

test('a key of another type is an error that names it, and nothing of the chunk is written', async () => {
  await using ends = new Ends()
  const redis = await ends.redis()
  const admin = ends.admin(redis)
  const log = await ends.started(optionsFor(redis))
  await admin.set('baton:log:b', 'not a list')
  await assert.rejects(log.append(chunk([append('a', 0), append('b', 0)])), unavailable(/WRONGTYPE/))
  assert.deepEqual(await log.read('a'), NOTHING)
  await assert.rejects(log.read('b'), unavailable(/WRONGTYPE/))
  assert.equal(log.ready, true)
})

test('a full log is trimmed once it is an eighth over its size, to its last entries', async () => {
  await using ends = new Ends()
  const redis = await ends.redis()
  const log = await ends.started(optionsFor(redis))
  const fill = async (from: number, to: number) => {
    const appends = Array.from({ length: to - from }, (_, i) => append('a', from + i, undefined, { logSize: 80 }))
    await log.append(chunk(appends, { expect: from - 1 }))
    return (await log.read('a')).entries.map(({ position }) => position?.seq)
  }
  assert.equal((await fill(0, 85)).length, 85)
  assert.equal((await fill(85, 90)).length, 90)
  const kept = await fill(90, 91)
  assert.deepEqual([kept.length, kept[0], kept.at(-1)], [80, 12, 91])
})

test('a log lives its ttl after its last entry, or an eighth longer, whatever the ttl was before', async () => {
  await using ends = new Ends()
  const redis = await ends.redis()
  const admin = ends.admin(redis)
  const log = await ends.started(optionsFor(redis))
  const ttlMs = 8_000_000
  let offset = 0
  const live = async (logTtlMs = ttlMs) => {
    await log.append(chunk([append('a', offset, undefined, { logTtlMs })], { expect: offset - 1 }))
    offset++
    const [left = 0, positionLeft = 0] = await Promise.all(['log', 'meta'].map(key => admin.pttl(`baton:${key}:a`)))
    assert.ok(left >= logTtlMs && left <= logTtlMs * 1.125, `${left} of ${logTtlMs} ms`)
    assert.ok(positionLeft >= 7 * 24 * 3_600_000, `the position has ${positionLeft} ms`)
    return Number(await admin.hget('baton:meta:a', 'x'))
  }
  const first = await live()
  assert.equal(await live(), first)
  // As if the eighth were over.
  const over = first - ttlMs / 8 - 1
  await admin.hset('baton:meta:a', 'x', over)
  await admin.pexpireat('baton:log:a', over)
  assert.ok((await live()) >= first)
  await live(ttlMs / 2)
  await live(2 * ttlMs)
  await admin.del('baton:log:a')
  await live(2 * ttlMs)
})
