import assert from 'node:assert/strict'
import { bodyOf, decodeMessage, envelopeHead, type Message } from '../../src/message.ts'
import { waitFor } from '../support/wait.ts'
import { append, bodies, chunk, type LogHarness, listen, OTHER_SOURCE, SOURCE, seqs, testing } from './log-kit.ts'

// What every ChannelLog promises, held against real ones only.

export function channelLogContract(name: string, make: () => Promise<LogHarness>) {
  const it = testing(name, make)

  it('what is published and what is logged is envelopeHead and the entry, byte for byte', async ({
    log,
    createFeed
  }) => {
    const { received } = await listen(createFeed(), 'room:1')
    const binary = Buffer.from([0, 255, 254, 10, 0, 13, 0xc3, 0x28, 0])
    const one = append('room:1', 5, binary)
    await log.append(chunk([one], { token: 'n9' }))
    const [published] = await received(1)
    const expected = Buffer.concat([Buffer.from(envelopeHead({ epoch: 'n9', seq: 1 })), one.published])
    assert.deepEqual(published?.payload, expected)
    const { entries } = await log.read('room:1')
    assert.deepEqual(entries, [decodeMessage(expected)])
    assert.deepEqual(bodyOf(entries[0] as Message), binary)
  })

  it('a body over the limit is published whole and logged without it', async ({ log, createFeed }) => {
    const { received } = await listen(createFeed(), 'room:1')
    await log.append(chunk([append('room:1', 0, 'long', { omit: true })]))
    const [published] = await received(1)
    assert.equal(bodyOf(decodeMessage(published?.payload as Buffer)).toString(), 'long')
    const [logged] = (await log.read('room:1')).entries
    assert.equal(logged?.omitted, true)
    assert.equal(bodyOf(logged as Message).length, 0)
    assert.deepEqual(logged?.position, { epoch: 'n1', seq: 1 })
  })

  it('positions go on without a hole from chunk to chunk, and head names the last entry', async ({ log }) => {
    await log.append(chunk([append('a', 0), append('a', 1)]))
    await log.append(chunk([append('a', 2)], { expect: 1, token: 'n2' }))
    const { head, entries, fences } = await log.read('a')
    assert.deepEqual(seqs(entries), [1, 2, 3])
    assert.deepEqual(head, {
      position: { epoch: 'n1', seq: 3 },
      coordinate: { source: SOURCE, offset: 2 },
      vector: new Map([[SOURCE, 2]])
    })
    assert.deepEqual(fences, new Map([[SOURCE, 2]]))
  })

  it('I2: a redelivered record is skipped and counted, also in a chunk that holds news', async ({ log }) => {
    await log.append(chunk([append('a', 0), append('b', 1)]))
    const again = await log.append(chunk([append('a', 0), append('b', 1), append('a', 2)]))
    assert.deepEqual(again, { behind: false, fence: 2, skipped: 2 })
    assert.deepEqual(bodies((await log.read('a')).entries), ['body 0', 'body 2'])
    assert.deepEqual(bodies((await log.read('b')).entries), ['body 1'])
  })

  it('I3: a chunk that expects more than the fence writes nothing and says where Redis is', async ({
    log,
    createFeed
  }) => {
    const { payloads, received } = await listen(createFeed(), 'a')
    await log.append(chunk([append('a', 0)]))
    assert.deepEqual(await log.append(chunk([append('a', 5)], { expect: 4 })), { behind: true, fence: 0 })
    assert.deepEqual(await log.fences(), new Map([[SOURCE, 0]]))
    assert.deepEqual(seqs((await log.read('a')).entries), [1])
    await log.append(chunk([append('a', 1)], { expect: 0 }))
    await received(2)
    assert.deepEqual(
      payloads.map(({ payload }) => decodeMessage(payload).coordinate?.offset),
      [0, 1]
    )
  })

  it('I3: a chunk that comes late cannot hide one that is still missing', async ({ log }) => {
    await log.append(chunk([append('a', 0)]))
    const second = chunk([append('a', 1)], { expect: 0 })
    const third = chunk([append('a', 2)], { expect: 1 })
    assert.deepEqual(await log.append(third), { behind: true, fence: 0 })
    await log.append(second)
    await log.append(third)
    assert.deepEqual(await log.append(second), { behind: false, fence: 2, skipped: 1 })
    assert.deepEqual(bodies((await log.read('a')).entries), ['body 0', 'body 1', 'body 2'])
  })

  it('I3: a source without a fence is behind whatever it expects, and is told so', async ({ log }) => {
    assert.deepEqual(await log.append(chunk([append('a', 3)], { expect: 2 })), { behind: true, fence: undefined })
    assert.deepEqual(await log.append(chunk([append('a', 0)])), { behind: false, fence: 0, skipped: 0 })
  })

  it('I4: the fence moves to what the chunk covers, and only forward', async ({ log }) => {
    await log.append(chunk([append('a', 0)], { upTo: 9 }))
    assert.deepEqual(await log.append(chunk([], { upTo: 4 })), { behind: false, fence: 9, skipped: 0 })
    assert.deepEqual(await log.append(chunk([], { expect: 9, upTo: 12 })), { behind: false, fence: 12, skipped: 0 })
    assert.deepEqual(await log.fences(), new Map([[SOURCE, 12]]))
  })

  it('I5: a record acknowledged before a rewind opens a new epoch whose seq goes on; later ones stay in it', async ({
    log
  }) => {
    await log.append(chunk([append('a', 0), append('b', 1)]))
    const again = { expect: 1, again: 3, token: 'r1' }
    await log.append(chunk([append('a', 2), append('a', 3)], again))
    await log.append(chunk([append('a', 4), append('b', 5)], { ...again, expect: 3 }))
    const { entries } = await log.read('a')
    assert.deepEqual(
      entries.map(({ position }) => position),
      ['n1', 'r1', 'r1', 'r1'].map((epoch, i) => ({ epoch, seq: i + 1 }))
    )
    assert.deepEqual((await log.read('b')).head.position, { epoch: 'n1', seq: 2 })
  })

  it('I8: an empty chunk mints a source just before its start, also before offset 0', async ({ log }) => {
    assert.deepEqual(await log.append(chunk([], { upTo: -1 })), { behind: false, fence: -1, skipped: 0 })
    await log.append(chunk([], { source: OTHER_SOURCE, upTo: 41 }))
    assert.deepEqual(
      await log.fences(),
      new Map([
        [SOURCE, -1],
        [OTHER_SOURCE, 41]
      ])
    )
    assert.equal(
      (await log.append(chunk([append('a', 42, 'x', { source: OTHER_SOURCE })], { source: OTHER_SOURCE, expect: 41 })))
        .behind,
      false
    )
  })

  it('I8: a forgotten source has no fence, and others keep theirs', async ({ log }) => {
    await log.append(chunk([append('a', 7)]))
    await log.append(chunk([], { source: OTHER_SOURCE, upTo: 3 }))
    await log.forget([SOURCE, 'never/heard/0~of'])
    await log.forget([])
    assert.deepEqual(await log.fences(), new Map([[OTHER_SOURCE, 3]]))
    assert.deepEqual(await log.append(chunk([], { expect: 7, upTo: 7 })), { behind: true, fence: undefined })
  })

  it('I9: a refill gives a source that has no fence one, its floor and its ceiling, until it is forgotten', async ({
    log
  }) => {
    await log.append(chunk([append('a', 7)]))
    await log.restart(SOURCE, 3, 9)
    await log.restart(OTHER_SOURCE, 5, 8)
    await log.restart(OTHER_SOURCE, 6)
    const fences = new Map([
      [SOURCE, 7],
      [OTHER_SOURCE, 4]
    ])
    assert.deepEqual(await log.fences(), fences)
    const floors = new Map([[OTHER_SOURCE, 5]])
    const ceilings = new Map([[OTHER_SOURCE, 8]])
    assert.deepEqual(await log.read('a', 0).then(({ head, ...rest }) => rest), {
      entries: [],
      fences,
      floors,
      ceilings
    })
    assert.deepEqual(await log.heads([]), { heads: [], fences, floors, ceilings })
    await log.forget([OTHER_SOURCE])
    fences.delete(OTHER_SOURCE)
    assert.deepEqual(await log.heads([]), { heads: [], fences, floors: new Map(), ceilings: new Map() })
  })

  it('one record reaches many channels, and one channel may come twice in a chunk', async ({ log }) => {
    const rooms = Array.from({ length: 150 }, (_, i) => `room:${i}`)
    const appends = [...rooms.map(room => append(room, 0)), append('room:7', 1), append('room:7', 2)]
    assert.deepEqual(await log.append(chunk(appends)), { behind: false, fence: 2, skipped: 0 })
    const { heads, fences } = await log.heads([...rooms, 'room:none'])
    assert.deepEqual(fences, new Map([[SOURCE, 2]]))
    assert.deepEqual(
      heads.map(({ position }) => position?.seq),
      [...rooms.map(room => (room === 'room:7' ? 3 : 1)), undefined]
    )
    assert.deepEqual(heads.at(-1), {})
    assert.deepEqual(heads[7]?.coordinate, { source: SOURCE, offset: 2 })
  })

  it('two sources of one channel share its positions and keep a fence each', async ({ log }) => {
    const of = (source: string) =>
      Array.from({ length: 20 }, (_, offset) =>
        chunk([append('a', offset, `${source} ${offset}`, { source })], { source, expect: offset - 1 })
      )
    const all = await Promise.all(
      [SOURCE, OTHER_SOURCE].map(async source => {
        for (const each of of(source)) assert.equal((await log.append(each)).behind, false)
      })
    )
    assert.equal(all.length, 2)
    const { head, entries } = await log.read('a')
    assert.deepEqual(
      seqs(entries),
      Array.from({ length: 40 }, (_, i) => i + 1)
    )
    for (const source of [SOURCE, OTHER_SOURCE]) {
      const offsets = entries
        .filter(({ coordinate }) => coordinate?.source === source)
        .map(({ coordinate }) => coordinate?.offset)
      assert.deepEqual(
        offsets,
        Array.from({ length: 20 }, (_, i) => i)
      )
    }
    assert.deepEqual(
      head.vector,
      new Map([
        [SOURCE, 19],
        [OTHER_SOURCE, 19]
      ])
    )
  })

  it('many chunks of one source in flight are taken in the order of the calls', async ({ log }) => {
    const results = await Promise.all(
      Array.from({ length: 50 }, (_, offset) => log.append(chunk([append('a', offset)], { expect: offset - 1 })))
    )
    assert.ok(results.every(({ behind }) => !behind))
    assert.equal((await log.read('a')).entries.length, 50)
  })

  it('a log keeps its last entries only, and a read gives the last of those', async ({ log }) => {
    const appends = Array.from({ length: 12 }, (_, offset) => append('a', offset, undefined, { logSize: 5 }))
    await log.append(chunk(appends.slice(0, 9)))
    await log.append(chunk(appends.slice(9), { expect: 8 }))
    assert.deepEqual(seqs((await log.read('a')).entries), [8, 9, 10, 11, 12])
    assert.deepEqual(seqs((await log.read('a', 2)).entries), [11, 12])
    assert.deepEqual(seqs((await log.read('a', 50)).entries), [8, 9, 10, 11, 12])
    const none = await log.read('a', 0)
    assert.deepEqual(none.entries, [])
    assert.equal(none.head.position?.seq, 12)
  })

  it('without a log an append is published byte for byte, beside others, and leaves nothing behind', async ({
    log,
    createFeed
  }) => {
    const { payloads, received } = await listen(createFeed(), 'a', 'only')
    const bytes = Buffer.from([0, 255, 10, 0xc3, 0x28])
    const only = { ...append('only', 1, 'x', { logSize: 0 }), published: bytes }
    await log.append(chunk([append('a', 0), only, append('a', 2)]))
    await received(3)
    assert.deepEqual(
      payloads.filter(({ channel }) => channel === 'only'),
      [{ channel: 'only', payload: bytes }]
    )
    const { head, entries, fences } = await log.read('only')
    assert.deepEqual([head, entries, fences], [{}, [], new Map([[SOURCE, 2]])])
    assert.deepEqual(seqs((await log.read('a')).entries), [1, 2])
  })

  it('without a log an append is fenced, and not published again after a rewind either', async ({
    log,
    createFeed
  }) => {
    const { payloads, received } = await listen(createFeed(), 'only', 'end')
    const only = (offset: number) => append('only', offset, `body ${offset}`, { logSize: 0 })
    await log.append(chunk([only(0), only(1)]))
    assert.deepEqual(await log.append(chunk([only(1), only(2)])), { behind: false, fence: 2, skipped: 1 })
    const rewound = { expect: 2, again: 4, token: 'r1' }
    assert.deepEqual(await log.append(chunk([only(3), only(4), only(5)], rewound)), {
      behind: false,
      fence: 5,
      skipped: 2
    })
    await log.append(chunk([append('end', 6)], { expect: 5 }))
    await received(5)
    assert.deepEqual(
      payloads.map(({ payload }) => payload.toString().slice(-6)),
      ['body 0', 'body 1', 'body 2', 'body 5', 'body 6']
    )
  })

  it('entries end with their ttl; the position goes on after them', async ({ log }) => {
    await log.append(chunk([append('a', 0, 'x', { logTtlMs: 50 })]))
    await waitFor(async () => (await log.read('a')).entries.length === 0, { what: () => 'the entry to expire' })
    await log.append(chunk([append('a', 1)], { expect: 0, token: 'n2' }))
    const { head, entries } = await log.read('a')
    assert.deepEqual(head.position, { epoch: 'n1', seq: 2 })
    assert.deepEqual(seqs(entries), [2])
  })

  it('a channel never written has no head and no entries', async ({ log }) => {
    await log.append(chunk([append('a', 0)]))
    const coverage = { fences: new Map([[SOURCE, 0]]), floors: new Map(), ceilings: new Map() }
    assert.deepEqual(await log.read('b'), { head: {}, entries: [], ...coverage })
    assert.deepEqual(await log.heads([]), { heads: [], ...coverage })
  })

  it('it is ready once started, not any more once closed, and closing twice does no harm', async ({ log }) => {
    assert.equal(log.ready, true)
    await log.close()
    await log.close()
    assert.equal(log.ready, false)
  })
}
