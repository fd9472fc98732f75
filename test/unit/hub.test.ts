import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { BatonError } from '../../src/errors.ts'
import { away, countOf, createEdge, createServer, createWriter, Reader, SOURCE } from '../support/flows.ts'
import { waitFor } from '../support/wait.ts'

const unavailable = ({ code }: BatonError) => code === 'REDIS_UNAVAILABLE'

async function setUp() {
  const server = createServer()
  return { server, write: createWriter(server), edge: await createEdge(server) }
}

describe('the members of a channel', () => {
  test('without a start point get what comes later, and the RECEIPT is a place to resume from', async () => {
    const { server, write, edge } = await setUp()
    await write('a', ['1', '2'])
    const first = await edge.read('a')
    assert.deepEqual([first.resumed, first.gap], [false, undefined])
    await write('a', ['3'])
    const second = await edge.read('a')
    await write('a', ['4'])
    assert.deepEqual([first.bodies, second.bodies], [['3', '4'], ['4']])
    const other = await createEdge(server)
    const resumed = await Promise.all([first, second].map(({ lastMessageId: after }) => other.read('a', { after })))
    assert.deepEqual(
      resumed.map(({ bodies, resumed, gap }) => [bodies, resumed, gap]),
      [
        [['3', '4'], true, undefined],
        [['4'], true, undefined]
      ]
    )
  })

  test('may resume from a RECEIPT of a channel that had no message yet', async () => {
    const { server, write, edge } = await setUp()
    await write('b', ['elsewhere'])
    const { lastMessageId: after } = await edge.read('a')
    await write('a', ['1', '2'])
    const resumed = await (await createEdge(server)).read('a', { after })
    assert.deepEqual([resumed.bodies, resumed.resumed], [['1', '2'], true])
  })

  test('share one bus subscription, which ends when the last of them leaves', async () => {
    const { write, edge } = await setUp()
    const readers = await Promise.all([edge.read('a'), edge.read('a'), edge.read('a')])
    readers.push(await edge.read('a', { history: 5 }))
    assert.deepEqual(edge.feed.calls, ['follow a'])
    assert.equal(await countOf(edge.metrics.channels), 1)
    const last = readers.pop()
    for (const { unsubscribe } of readers) for (let times = 0; times < 2; times++) unsubscribe()
    await write('a', ['1'])
    assert.deepEqual(
      [...readers, last].flatMap(reader => reader?.bodies),
      ['1']
    )
    assert.deepEqual(edge.feed.calls, ['follow a'])
    last?.unsubscribe()
    assert.deepEqual(edge.feed.calls, ['follow a', 'unfollow a'])
    assert.equal(await countOf(edge.metrics.channels), 0)
    assert.deepEqual((await edge.read('a', { history: 5 })).bodies, ['1'])
  })

  test('get what another program publishes, and its id resumes where it stood', async () => {
    const { server, write, edge } = await setUp()
    const reader = await edge.read('a')
    await write('a', ['1'])
    edge.feed.bring('a', Buffer.from('plain'))
    edge.feed.bring('a', Buffer.from('text'))
    await write('a', ['2'])
    assert.deepEqual(reader.bodies, ['1', 'plain', 'text', '2'])
    const [one, plain, text] = reader.ids
    assert.deepEqual([plain, text], [`${one}.p1`, `${one}.p2`])
    const resumed = await (await createEdge(server)).read('a', { after: text as string })
    assert.deepEqual([resumed.bodies, resumed.resumed], [['2'], true])
  })

  test('get bodies over the limit of the log as they were published', async () => {
    const { write, edge } = await setUp()
    const reader = await edge.read('a')
    await write('a', ['long'], { omit: true })
    assert.deepEqual([reader.bodies, reader.gaps], [['long'], []])
  })

  test('get nothing more once the hub is closed', async () => {
    const { write, edge } = await setUp()
    const reader = await edge.read('a')
    edge.hub.close()
    edge.hub.listener.message('a', Buffer.from('plain'))
    await write('a', ['1'])
    assert.deepEqual(reader.bodies, [])
    assert.deepEqual(edge.feed.calls, ['follow a', 'unfollow a'])
  })
})

describe('a hole', () => {
  test('is healed by the next message, in order', async () => {
    const { write, edge } = await setUp()
    await write('a', ['0'])
    const reader = await edge.read('a')
    await write('a', ['1'])
    edge.feed.deaf = true
    await write('a', ['2', '3'])
    edge.feed.deaf = false
    await write('a', ['4'])
    assert.deepEqual([reader.bodies, reader.gaps], [['1', '2', '3', '4'], []])
    assert.equal(await countOf(edge.metrics.heals), 1)
  })

  test('is healed when the link is restored, for each channel that differs', async () => {
    const { server, write, edge } = await setUp()
    const [a, b] = await Promise.all([edge.read('a'), edge.read('b')])
    const reads: string[] = []
    const { read } = server.log
    server.log.read = (channel, last) => {
      reads.push(channel)
      return read(channel, last)
    }
    edge.feed.deaf = true
    await write('a', ['1'])
    edge.feed.restore()
    await nextTurn()
    assert.deepEqual([a.bodies, b.bodies, reads], [['1'], [], ['a']])
  })

  test('is found when the link is restored although Redis does not answer at first', async () => {
    const { server, write, edge } = await setUp()
    const reader = await edge.read('a')
    const { heads } = server.log
    server.log.heads = async () => {
      server.log.heads = heads
      throw away()
    }
    edge.feed.deaf = true
    await write('a', ['1'])
    edge.feed.restore()
    await waitFor(() => reader.bodies.length === 1, { what: 'the message' })
  })

  test('is healed where the link was lost once more while the log was being read', async () => {
    const { server, write, edge } = await setUp()
    const reader = await edge.read('a')
    const { read } = server.log
    edge.feed.deaf = true
    await write('a', ['1'])
    server.log.read = async (channel, last) => {
      server.log.read = read
      const snapshot = await read(channel, last)
      edge.feed.deaf = true
      await write('a', ['2'])
      edge.feed.restore()
      await nextTurn()
      return snapshot
    }
    edge.feed.restore()
    await waitFor(() => reader.bodies.length === 2, { what: 'the messages' })
    assert.deepEqual([reader.bodies, reader.gaps], [['1', '2'], []])
  })

  test('is found by the sweep where no link noticed it', async t => {
    const { server, write } = await setUp()
    const edge = await createEdge(server, { sweepIntervalMs: 10 })
    t.after(() => edge.hub.close())
    const reader = await edge.read('a')
    edge.feed.deaf = true
    await write('a', ['1'])
    await waitFor(() => reader.bodies.length === 1, { what: 'the message' })
  })

  test('is healed although the log cannot be read at first', async () => {
    const { server, write, edge } = await setUp()
    const reader = await edge.read('a')
    edge.feed.deaf = true
    await write('a', ['1'])
    edge.feed.deaf = false
    const { read } = server.log
    let failures = 2
    server.log.read = (channel, last) => (failures-- > 0 ? Promise.reject(away()) : read(channel, last))
    await write('a', ['2'])
    await write('a', ['3'])
    await waitFor(() => reader.bodies.length === 3, { what: 'the messages' })
    assert.deepEqual([reader.bodies, reader.gaps, failures], [['1', '2', '3'], [], -1])
  })

  test('is healed with all that is published while the log is read, once', async () => {
    const { server, write, edge } = await setUp()
    await write('a', ['0'])
    const reader = await edge.read('a')
    const many = Array.from({ length: 40 }, (_, n) => `more ${n}`)
    const { read } = server.log
    edge.feed.deaf = true
    await write('a', ['1'])
    edge.feed.deaf = false
    server.log.read = async (channel, last) => {
      server.log.read = read
      await write('a', many)
      const snapshot = await read(channel, last)
      await write('a', ['last'])
      return snapshot
    }
    await write('a', ['2'])
    await waitFor(() => reader.bodies.includes('last'), { what: 'the messages' })
    assert.deepEqual([reader.bodies, reader.gaps], [['1', '2', ...many, 'last'], []])
    assert.equal(await countOf(edge.metrics.heals), 1)
  })

  test('of more messages than may be held is read from the log', async () => {
    const { server, write, edge } = await setUp()
    const reader = await edge.read('a')
    const { read } = server.log
    edge.feed.deaf = true
    await write('a', ['0'])
    edge.feed.deaf = false
    const bodies = Array.from({ length: 10_001 }, (_, n) => `${n + 2}`)
    server.log.read = async (channel, last) => {
      server.log.read = read
      const snapshot = await read(channel, last)
      await write('a', bodies, { logSize: 20_000 })
      return snapshot
    }
    await write('a', ['1'])
    await waitFor(() => reader.bodies.length >= 10_003, { what: () => `all messages; ${reader.bodies.length} came` })
    assert.deepEqual([reader.bodies, reader.gaps], [['0', '1', ...bodies], []])
    assert.equal(await countOf(edge.metrics.heals), 2)
  })

  test('that the log no longer holds is told with the next message, counted', async () => {
    const { write, edge } = await setUp()
    const reader = await edge.read('a')
    await write('a', ['1'])
    edge.feed.deaf = true
    await write('a', ['2', '3', '4', '5', '6'], { logSize: 2 })
    edge.feed.deaf = false
    await write('a', ['7'], { logSize: 2 })
    await write('a', ['8'])
    assert.deepEqual(reader.bodies, ['1', '6', '7', '8'])
    assert.deepEqual(reader.gaps, [['6', 4]])
    assert.equal(await countOf(edge.metrics.gaps, { where: 'live' }), 1)
  })

  test('that the log no longer holds is told once: what was missed does not come when Redis goes back to it', async () => {
    const { server, write, edge } = await setUp()
    const reader = await edge.read('a')
    const writeOther = createWriter(server, 'g/t/1~i1')
    await write('a', ['0'])
    edge.feed.deaf = true
    await writeOther('a', ['other'])
    for (const body of ['1', '2', '3']) await write('a', [body], { logSize: 2 })
    edge.feed.restore()
    await nextTurn()
    assert.deepEqual([reader.bodies, reader.gaps], [['0', '2', '3'], [['2', 2]]])
    await server.goBack(2)
    edge.feed.restore()
    await nextTurn()
    assert.deepEqual(reader.bodies, ['0', '2', '3'])
  })

  test('that no message could tell of yet is unknown to all, once another member has come', async () => {
    const { write, edge } = await setUp()
    const reader = await edge.read('a')
    edge.feed.deaf = true
    await write('a', ['1'], { omit: true })
    edge.feed.restore()
    await nextTurn()
    const newcomer = await edge.read('a')
    await write('a', ['2'])
    assert.deepEqual([reader.gaps, newcomer.gaps], [[['2', 'unknown']], [['2', 'unknown']]])
  })

  test('of a body over the limit of the log is told, unless the bus has brought it', async () => {
    const { write, edge } = await setUp()
    const reader = await edge.read('a')
    edge.feed.deaf = true
    await write('a', ['1', '2'], { omit: true })
    edge.feed.deaf = false
    await write('a', ['3'], { omit: true })
    assert.deepEqual([reader.bodies, reader.gaps], [['3'], [['3', 2]]])
    await write('a', ['4'])
    assert.deepEqual(reader.bodies, ['3', '4'])
  })

  test('of records that Kafka deleted before they were consumed is unknown, to who was there before', async () => {
    const { server, write, edge } = await setUp()
    const reader = await edge.read('a')
    await write('a', ['0'])
    const after = createWriter(server, 'g/t/0~l1')
    await after('a', ['5', '6'])
    const newcomer = await edge.read('a')
    await after('a', ['7'])
    assert.deepEqual([reader.bodies, reader.gaps], [['0', '5', '6', '7'], [['5', 'unknown']]])
    assert.deepEqual([newcomer.bodies, newcomer.gaps], [['7'], []])
  })

  test('over a channel that expired and was born again is none', async () => {
    const { server, write, edge } = await setUp()
    const reader = await edge.read('a')
    await write('a', ['0'])
    await server.goBack(0)
    await write('a', ['1'], { token: 'n2' })
    assert.deepEqual([reader.bodies, reader.gaps], [['0', '1'], []])
  })
})

describe('what Redis lost and got again', () => {
  test('is not delivered twice, and what was not delivered yet comes once', async () => {
    const { server, write, edge } = await setUp()
    const reader = await edge.read('a')
    for (const body of ['0', '1', '2']) await write('a', [body])
    edge.feed.deaf = true
    await write('a', ['3'])
    await server.goBack(1)
    edge.feed.restore()
    await nextTurn()
    const rewound = { offset: 1, again: 3, token: 'r1' }
    await write('a', ['1', '2', '3', '4'], rewound)
    await write('a', ['5'])
    assert.deepEqual([reader.bodies, reader.gaps], [['0', '1', '2', '3', '4', '5'], []])
  })

  test('is no news to who came meanwhile', async () => {
    const { server, write, edge } = await setUp()
    await write('a', ['0', '1', '2'])
    const reader = await edge.read('a')
    await server.goBack(0)
    for (const offset of [0, 1, 2]) await write('a', [`${offset}`], { offset, again: 2, token: 'w1' })
    await write('a', ['3'])
    assert.deepEqual([reader.bodies, reader.gaps], [['3'], []])
    assert.equal(await countOf(edge.metrics.heals), 1)
  })

  test('may have been followed by something else, which is news', async () => {
    const { server, write, edge } = await setUp()
    const reader = await edge.read('a')
    await write('a', ['0'])
    await write('a', ['1'])
    await server.goBack(1)
    await createWriter(server, 'g/t/1~i1')('a', ['other'])
    assert.deepEqual(reader.bodies, ['0', '1', 'other'])
    await write('a', ['1', '2'], { offset: 1, again: 1, token: 'r1' })
    assert.deepEqual([reader.bodies, reader.gaps], [['0', '1', 'other', '2'], []])
  })

  test('may have been followed by as much of something else, which a message before the comparison does not hide', async () => {
    const { server, write, edge } = await setUp()
    const reader = await edge.read('a')
    await write('a', ['0'])
    await write('a', ['1'])
    edge.feed.deaf = true
    await server.goBack(1)
    const writeOther = createWriter(server, 'g/t/1~i1')
    await writeOther('a', ['other'])
    const { heads } = server.log
    const asked = Promise.withResolvers<void>()
    server.log.heads = names => asked.promise.then(() => heads(names))
    edge.feed.restore()
    await writeOther('a', ['another'])
    assert.deepEqual(reader.bodies, ['0', '1'])
    asked.resolve()
    await nextTurn()
    assert.deepEqual([reader.bodies, reader.gaps], [['0', '1', 'other', 'another'], []])
  })

  test('may have been followed by more of something else, and nothing is missing where the whole log shows it', async () => {
    const { server, write, edge } = await setUp()
    const writeOther = createWriter(server, 'g/t/1~i1')
    await writeOther('a', ['other'])
    const reader = await edge.read('a')
    for (let n = 0; n < 30; n++) await write('a', [`${n}`])
    await server.goBack(30)
    edge.feed.deaf = true
    await writeOther('a', ['1', '2'])
    edge.feed.deaf = false
    await writeOther('a', ['3'])
    assert.deepEqual([reader.bodies.slice(30), reader.gaps], [['1', '2', '3'], []])
  })

  test('of a source that is consumed anew is news', async () => {
    const { server, write, edge } = await setUp()
    const reader = await edge.read('a')
    await write('a', ['0', '1', '2'])
    await createWriter(server, 'g/t/0~i2')('a', ['0', '1'])
    assert.deepEqual(reader.bodies, ['0', '1', '2', '0', '1'])
  })
})

describe('a wiped Redis that is filled again', () => {
  for (const { when, meanwhile } of [
    { when: 'before its refill begins', meanwhile: 0 },
    { when: 'while it is under way', meanwhile: 2 }
  ])
    test(`is no news to who comes ${when}`, async () => {
      const server = createServer()
      const write = createWriter(server)
      const edge = await createEdge(server, { resumeTimeoutMs: 10_000 })
      await write('a', ['0', '1', '2', '3'])
      await edge.read('elsewhere')
      await server.goBack(0)
      const refill = async () => {
        await server.log.restart(SOURCE, 0, 3)
        await write('a', ['0', '1'].slice(0, meanwhile), { offset: 0, again: 3, token: 'r1' })
      }
      if (meanwhile > 0) await refill()
      let reads = 0
      const { read } = server.log
      server.log.read = (channel, last) => {
        reads++
        return read(channel, last)
      }
      const joining = edge.read('a')
      await waitFor(() => reads > 0, { what: 'the newcomer to read' })
      if (meanwhile === 0) await refill()
      const reader = await joining
      await write('a', ['0', '1', '2', '3'].slice(meanwhile), { offset: meanwhile, again: 3, token: 'r1' })
      await write('a', ['4'])
      assert.deepEqual(reader.bodies, ['4'])
    })
})

describe('a wiped Redis, whose refill does not bring all of it,', () => {
  /** Two rooms that both have four messages, or none; then the link is lost and Redis wiped, and its refill begins at `floor`. */
  async function wiped(floor: number | undefined, { resumeTimeoutMs = 0, empty = false, link = 'lost' } = {}) {
    const server = createServer()
    const write = createWriter(server)
    const edge = await createEdge(server, { resumeTimeoutMs })
    if (empty) await write('elsewhere', ['0', '1', '2', '3'])
    const reader = await edge.read('a')
    if (!empty) await write('a', ['0', '1', '2', '3'])
    if (link === 'lost') edge.feed.deaf = true
    await write('a', ['4', '5'])
    await server.goBack(0)
    if (floor !== undefined) await server.log.restart(SOURCE, floor)
    if (link === 'lost') edge.feed.restore()
    await nextTurn()
    const told = async () => {
      await write('a', ['9'], { offset: 9, token: 'n2' })
      await waitFor(() => reader.bodies.includes('9'), { what: 'the message' })
      return reader.gaps
    }
    return { server, told }
  }

  for (const room of ['with messages', 'without a message']) {
    const empty = room === 'without a message'
    test(`is told to a room ${room} whose link was lost, where more was lost than it knew`, async () => {
      const { told } = await wiped(5, { empty })
      assert.deepEqual(await told(), [['9', 'unknown']])
    })

    test(`is not told to a room ${room} that knew all that the refill does not bring`, async () => {
      const { told } = await wiped(4, { empty })
      assert.deepEqual(await told(), [])
    })

    test(`is not told to a room ${room} whose link stayed`, async () => {
      const { told } = await wiped(6, { empty, link: 'stayed' })
      assert.deepEqual(await told(), [])
    })

    test(`is waited for by a room ${room} until it is known what it does not bring`, async () => {
      for (const [floor, gaps] of [
        [4, []],
        [5, [['9', 'unknown']]]
      ] as const) {
        const { server, told } = await wiped(undefined, { empty, resumeTimeoutMs: 10_000 })
        await server.log.restart(SOURCE, floor)
        assert.deepEqual(await told(), gaps)
      }
    })

    test(`is unknown to a room ${room} where it does not begin in time`, async () => {
      const { told } = await wiped(undefined, { empty })
      assert.deepEqual(await told(), [['9', 'unknown']])
    })
  }

  test('is not told to a quiet room that was compared after what it does not bring', async () => {
    const { server, write, edge } = await setUp()
    const reader = await edge.read('a')
    await write('a', ['0'])
    await write('elsewhere', ['1', '2', '3'])
    edge.feed.restore()
    await nextTurn()
    edge.feed.deaf = true
    await server.goBack(0)
    await server.log.restart(SOURCE, 4)
    edge.feed.restore()
    await nextTurn()
    await write('a', ['4'])
    assert.deepEqual([reader.bodies, reader.gaps], [['0', '4'], []])
  })
})

describe('a subscription that cannot be', () => {
  test('is refused when the bus does not confirm in time, and the channel is let go', async () => {
    const server = createServer()
    const edge = await createEdge(server, { joinTimeoutMs: 20 })
    const up = Promise.withResolvers<void>()
    edge.feed.up = up.promise
    await assert.rejects(edge.read('a'), unavailable)
    assert.deepEqual(edge.feed.calls, ['follow a', 'unfollow a'])
    up.resolve()
    const reader = await edge.read('a')
    await createWriter(server)('a', ['1'])
    assert.deepEqual(reader.bodies, ['1'])
  })

  test('is refused when the log cannot be read in time, and joins when it can', async () => {
    const server = createServer()
    const edge = await createEdge(server, { joinTimeoutMs: 80 })
    const { read } = server.log
    let failures = Number.POSITIVE_INFINITY
    server.log.read = (channel, last) => (failures-- > 0 ? Promise.reject(away()) : read(channel, last))
    await assert.rejects(edge.read('a'), unavailable)
    failures = 1
    await edge.read('a')
    assert.equal(failures, -1)
  })

  test('is given up when its client is gone, before and while it joins', async () => {
    const edge = await createEdge(createServer())
    const gone = new Error('gone')
    const isGone = (error: unknown) => error === gone
    await assert.rejects(edge.subscribe(new Reader(), 'a', {}, AbortSignal.abort(gone)), isGone)
    assert.deepEqual(edge.feed.calls, [])
    edge.feed.up = new Promise(() => undefined)
    const client = new AbortController()
    const joining = edge.subscribe(new Reader(), 'a', {}, client.signal)
    client.abort(gone)
    await assert.rejects(joining, isGone)
    assert.deepEqual(edge.feed.calls, ['follow a', 'unfollow a'])
  })

  test('takes nothing from those who are there', async () => {
    const { server, write, edge } = await setUp()
    const reader = await edge.read('a')
    const { read } = server.log
    server.log.read = () => Promise.reject(away())
    await assert.rejects(edge.read('a', { history: 1 }), unavailable)
    server.log.read = read
    await write('a', ['1'])
    assert.deepEqual([reader.bodies, edge.feed.calls], [['1'], ['follow a']])
  })
})
