import assert from 'node:assert/strict'
import { decodeMessage } from '../../src/message.ts'
import { waitFor } from '../support/wait.ts'
import { append, bodies, chunk, type LogHarness, listen, seqs, testing } from './log-kit.ts'

// What every ChannelFeed promises of what its log publishes.

export function channelFeedContract(name: string, make: () => Promise<LogHarness>) {
  const it = testing(name, make)

  it('names hold: channels with percent signs, spaces and letters of any script', async ({ log, createFeed }) => {
    const channel = 'chat:방 %2F{a}*?[x]'
    const { received } = await listen(createFeed(), channel)
    await log.append(chunk([append(channel, 0, '안녕 👋')]))
    const [first] = await received(1)
    assert.equal(first?.channel, channel)
    assert.deepEqual(bodies((await log.read(channel)).entries), ['안녕 👋'])
  })

  it('the bus brings every followed channel in the order of its positions, and nothing else', async ({
    log,
    createFeed
  }) => {
    const { received, payloads } = await listen(createFeed(), 'a', 'b')
    for (let from = 0; from < 60; from += 20) {
      const appends = Array.from({ length: 20 }, (_, i) => append(['a', 'b', 'c'][(from + i) % 3] as string, from + i))
      await log.append(chunk(appends, { expect: from - 1 }))
    }
    await received(40)
    for (const channel of ['a', 'b']) {
      const own = payloads.filter(each => each.channel === channel).map(({ payload }) => decodeMessage(payload))
      assert.deepEqual(
        seqs(own),
        Array.from({ length: 20 }, (_, i) => i + 1)
      )
    }
  })

  it('each feed follows for itself, and a channel may be left and followed again', async ({ log, createFeed }) => {
    const one = await listen(createFeed(), 'a')
    const other = await listen(createFeed(), 'a', 'b')
    one.feed.unfollow('a')
    one.feed.unfollow('never followed')
    await one.feed.follow('b')
    await log.append(chunk([append('b', 0), append('a', 1)]))
    await other.received(2)
    await one.feed.follow('a')
    await log.append(chunk([append('a', 2)], { expect: 1 }))
    const offsets = () => one.payloads.map(({ payload }) => decodeMessage(payload).coordinate?.offset)
    await waitFor(() => offsets().at(-1) === 2, { what: 'the message after it was followed again' })
    assert.equal(offsets()[0], 0)
    assert.equal(one.feed.ready && other.feed.ready, true)
    await Promise.all([one.feed.close(), one.feed.close()])
    assert.equal(one.feed.ready, false)
  })

  it('a channel followed many times at once is followed once confirmed', async ({ log, createFeed }) => {
    const channels = Array.from({ length: 1200 }, (_, i) => `c${i}`)
    const { received, payloads } = await listen(createFeed(), ...channels, ...channels)
    await log.append(chunk([append('c0', 0), append('c700', 1), append('c1199', 2)]))
    await received(3)
    assert.deepEqual(
      payloads.map(({ channel }) => channel),
      ['c0', 'c700', 'c1199']
    )
  })
}
