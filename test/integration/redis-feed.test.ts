import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decodeMessage } from '../../src/message.ts'
import type { ChannelFeed } from '../../src/ports.ts'
import { append, chunk, listen } from '../contract/log-kit.ts'
import type { RedisServer } from '../support/redis.ts'
import { waitFor } from '../support/wait.ts'
import { Ends, optionsFor } from './redis-kit.ts'

// What the feed does when its link breaks: every channel is followed again, and told once it is.

const CHANNELS = Array.from({ length: 1100 }, (_, i) => `c${i}`)

test('plain text that another program publishes arrives as it is, in its place among our own', async () => {
  await using ends = new Ends()
  const redis = await ends.redis()
  const log = await ends.started(optionsFor(redis, { prefix: 't:' }))
  const { payloads, received } = await listen(ends.feed(optionsFor(redis, { prefix: 't:' })), '방')
  const program = ends.admin(redis)
  await log.append(chunk([append('방', 0)]))
  assert.equal(await program.publish('t:방', Buffer.from([0, 255, 0xc3, 0x28])), 1)
  await log.append(chunk([append('방', 1)], { expect: 0 }))
  await received(3)
  assert.deepEqual(
    payloads.map(({ payload }) => decodeMessage(payload).position?.seq),
    [1, undefined, 2]
  )
  assert.deepEqual(payloads[1], { channel: '방', payload: Buffer.from([0, 255, 0xc3, 0x28]) })
})

for (const [cause, breakLink] of [
  [
    'CLIENT KILL TYPE pubsub',
    async (redis, ends) => void (await ends.admin(redis).call('CLIENT', 'KILL', 'TYPE', 'pubsub'))
  ],
  ['a restart', async redis => redis.restart()],
  [
    'a link that is open and dead',
    async (redis, _ends, feed) => {
      await redis.pause()
      await waitFor(() => !feed.ready, { what: 'the feed to notice' })
      await redis.resume()
    }
  ]
] satisfies [string, (redis: RedisServer, ends: Ends, feed: ChannelFeed) => Promise<void>][]) {
  test(`after ${cause} every channel is followed again and told once confirmed`, async () => {
    await using ends = new Ends()
    const redis = await ends.redis()
    const feed = ends.feed({ ...optionsFor(redis, { readTimeoutMs: 300 }), pingIntervalMs: 100 })
    const { restored, received } = await listen(feed, ...CHANNELS)
    await breakLink(redis, ends, feed)
    await waitFor(() => restored.length >= CHANNELS.length, { what: () => `all restored; ${restored.length} are` })
    assert.deepEqual(restored.toSorted(), CHANNELS.toSorted())
    await waitFor(() => feed.ready, { what: 'the feed to be ready' })
    const program = ends.admin(redis)
    for (const channel of ['c0', 'c600', 'c1099']) assert.equal(await program.publish(channel, 'x'), 1)
    await received(3)
  })
}

test('follow waits while Redis is away, and is no restoration', async () => {
  await using ends = new Ends()
  const redis = await ends.redis()
  const { feed, restored, received } = await listen(ends.feed(optionsFor(redis)), 'old')
  await redis.stop()
  await waitFor(() => !feed.ready, { what: 'the feed to notice' })
  let confirmed = false
  const following = Promise.all([feed.follow('new'), feed.follow('old')]).then(() => {
    confirmed = true
  })
  await new Promise(resolve => setImmediate(resolve))
  assert.equal(confirmed, false)
  await redis.restart()
  await following
  assert.deepEqual(restored, ['old'])
  assert.equal(await ends.admin(redis).publish('new', 'x'), 1)
  await received(1)
})

test('the bus is told that a channel is left after a while, unless it is followed again', async () => {
  await using ends = new Ends()
  const redis = await ends.redis()
  const admin = ends.admin(redis)
  const subscribers = async (channel: string) => (await admin.pubsub('NUMSUB', channel))[1]
  const feed = ends.feed({ ...optionsFor(redis), lingerMs: 100 })
  const { payloads, received } = await listen(feed, 'kept', 'left')
  for (let round = 0; round < 5; round++) {
    feed.unfollow('kept')
    await feed.follow('kept')
  }
  feed.unfollow('left')
  assert.equal(await subscribers('left'), 1)
  await admin.publish('left', 'nobody wants it')
  await waitFor(async () => (await subscribers('left')) === 0, { what: 'the bus to be told' })
  assert.equal(await subscribers('kept'), 1)
  await feed.follow('left')
  assert.equal(await subscribers('left'), 1)
  await admin.publish('left', 'again')
  await received(1)
  assert.equal(payloads[0]?.payload.toString(), 'again')
})

test('a channel that is left while the link is down is not followed again', async () => {
  await using ends = new Ends()
  const redis = await ends.redis()
  const { feed, restored } = await listen(ends.feed(optionsFor(redis)), 'kept', 'left')
  await redis.stop()
  feed.unfollow('left')
  await redis.restart()
  await waitFor(() => feed.ready, { what: 'the feed to be ready' })
  assert.deepEqual(restored, ['kept'])
  assert.deepEqual(await ends.admin(redis).pubsub('CHANNELS'), ['kept'])
})
