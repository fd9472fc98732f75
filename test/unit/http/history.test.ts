import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { BatonError } from '../../../src/errors.ts'
import { pageOf } from '../../../src/http/history.ts'
import { encodeMessageId, parseMessageId } from '../../../src/message/id.ts'
import { aRoute, logged, logOf, openAuth, routesOf, serve } from './serve.ts'

interface Page {
  destination: string
  messages: {
    id: string
    coordinate: object
    time: string
    headers: Record<string, string>
    body?: unknown
    omitted?: boolean
  }[]
  before?: string
}

const seqs = (page: Page) => page.messages.map(({ body }) => (body as { n: number }).n)
const many = (count: number, hidden = (_: number) => false) =>
  Array.from({ length: count }, (_, i) => logged({ seq: i + 1, hidden: hidden(i + 1) }))

test('a page tells id, coordinate, time, headers and body of each message, oldest first', async () => {
  await using it = await serve({
    edge: {
      log: logOf([
        logged({ seq: 1, headers: 'x-who:a\\cb\\nc\nx-who:second\ncontent-type:application/json\n' }),
        logged({ seq: 2 })
      ])
    }
  })
  const response = await fetch(`${it.url}/history?destination=/sub/chat/7`)
  assert.equal(response.status, 200)
  assert.equal(response.headers.get('cache-control'), 'private, no-cache')
  const page = (await response.json()) as Page
  assert.deepEqual(page.messages[0], {
    id: encodeMessageId({ epoch: 'e1', seq: 1 }, { source: 'my%2Fgroup/chat/2~i1', offset: 101 }, new Map()),
    coordinate: { topic: 'chat', partition: 2, offset: 101 },
    time: '2026-01-02T00:00:00.001Z',
    headers: { 'x-who': 'a:b\nc', 'content-type': 'application/json' },
    body: { n: 1 }
  })
  assert.deepEqual(seqs(page), [1, 2])
  assert.equal(page.before, undefined)
})

test('bodies that are no JSON come as text, bytes as base64, omitted ones not at all', async () => {
  const text = 'content-type:text/plain\n'
  const log = logOf([
    logged({ seq: 1, headers: text, body: '안녕 👋' }),
    logged({ seq: 2, headers: `${text}content-length:2\n`, body: Buffer.from([255, 0]) }),
    logged({ seq: 3, body: '{broken' }),
    logged({ seq: 4, omitted: true })
  ])
  await using it = await serve({ edge: { log } })
  const page = (await (await fetch(`${it.url}/history?destination=/sub/chat/7`)).json()) as Page
  assert.deepEqual(
    page.messages.map(({ body, omitted }) => ({ body, omitted })),
    [
      { body: '안녕 👋', omitted: undefined },
      { body: { base64: '/wA=' }, omitted: undefined },
      { body: '{broken', omitted: undefined },
      { body: undefined, omitted: true }
    ]
  )
})

test('JSON too deep to be written again comes as text', async () => {
  const deep = '['.repeat(20_000) + ']'.repeat(20_000)
  await using it = await serve({ edge: { log: logOf([logged({ seq: 1, body: deep })]) } })
  const response = await fetch(`${it.url}/history?destination=/sub/chat/7`)
  assert.equal(response.status, 200)
  assert.equal(((await response.json()) as Page).messages[0]?.body, deep)
})

test('the newest page costs one read of the end of the log', async () => {
  const reads: (number | undefined)[] = []
  await using it = await serve({ edge: { log: logOf(many(150), reads) } })
  const page = (await (await fetch(`${it.url}/history?destination=/sub/chat/7`)).json()) as Page
  assert.equal(page.messages.length, 50)
  assert.deepEqual(reads, [101])
})

test('the whole log is read where its end is mostly hidden', async () => {
  const reads: (number | undefined)[] = []
  await using it = await serve({
    edge: {
      log: logOf(
        many(100, seq => seq > 20),
        reads
      )
    }
  })
  const page = (await (await fetch(`${it.url}/history?destination=/sub/chat/7&limit=5`)).json()) as Page
  assert.deepEqual(seqs(page), [16, 17, 18, 19, 20])
  assert.deepEqual(reads, [11, undefined])
})

test('a page that holds all of the history needs no more of the log', async () => {
  const reads: (number | undefined)[] = []
  const routes = routesOf(aRoute({ history: { size: 5, maxAgeMs: undefined } }))
  await using it = await serve({ edge: { routes, log: logOf(many(30), reads) } })
  const page = (await (await fetch(`${it.url}/history?destination=/sub/chat/7&limit=10`)).json()) as Page
  assert.deepEqual(seqs(page), [26, 27, 28, 29, 30])
  assert.equal(page.before, undefined)
  assert.deepEqual(reads, [21])
})

test('following `before` reads everything readable once, in order, and ends', () =>
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 20 }),
      fc.integer({ min: 1, max: 60 }),
      fc.array(fc.tuple(fc.boolean(), fc.constantFrom('e1', 'e2', 'e3')), { maxLength: 50 }),
      (limit, size, shape) => {
        const epochs = shape.map(([, epoch]) => epoch).sort()
        const entries = shape.map(([hidden], i) => logged({ seq: i + 1, epoch: epochs[i] as string, hidden }))
        const found: number[] = []
        let before: ReturnType<typeof parseMessageId>
        for (let more = true; more; ) {
          const { page, older } = pageOf(entries, { limit, size, sinceMs: 0, before })
          assert.ok(page.length <= limit)
          found.unshift(...page.map(({ position }) => position.seq))
          const first = page[0]
          more = older
          if (older && first) before = parseMessageId(encodeMessageId(first.position, first.coordinate, new Map()))
        }
        const readable = entries.filter(({ hidden }) => !hidden).slice(-size)
        assert.deepEqual(
          found,
          readable.map(({ position }) => position?.seq)
        )
      }
    )
  ))

test('paging goes on by coordinate after the log was rewritten in another epoch', () => {
  const rewritten = [1, 2, 3, 4].map(seq => logged({ seq, epoch: 'w2' }))
  const before = parseMessageId(
    encodeMessageId({ epoch: 'e1', seq: 90 }, { source: 'my%2Fgroup/chat/2~i1', offset: 103 }, new Map())
  )
  const { page } = pageOf(rewritten, { limit: 10, size: 10, sinceMs: 0, before })
  assert.deepEqual(
    page.map(({ coordinate }) => coordinate.offset),
    [101, 102]
  )
})

test('entries over the age limit of the history are not read', async () => {
  const log = logOf([logged({ seq: 1, timestampMs: Date.now() - 60_000 }), logged({ seq: 2, timestampMs: Date.now() })])
  await using it = await serve({ edge: { log, routes: routesOf(aRoute({ history: { size: 9, maxAgeMs: 30_000 } })) } })
  assert.deepEqual(seqs((await (await fetch(`${it.url}/history?destination=/sub/chat/7`)).json()) as Page), [2])
})

test('an unchanged page is answered with 304, a changed one with 200', async () => {
  const entries = many(3)
  await using it = await serve({ edge: { log: logOf(entries) } })
  const url = `${it.url}/history?destination=/sub/chat/7`
  const etag = (await fetch(url)).headers.get('etag') as string
  const again = await fetch(url, { headers: { 'if-none-match': `"other", ${etag}` } })
  assert.equal(again.status, 304)
  assert.equal(await again.text(), '')
  entries.push(logged({ seq: 4 }))
  const changed = await fetch(url, { headers: { 'if-none-match': etag } })
  assert.equal(changed.status, 200)
  assert.notEqual(changed.headers.get('etag'), etag)
})

for (const [query, detail] of [
  ['', /destination/],
  ['destination=', /destination/],
  ['destination=/sub/chat/7&limit=0', /limit must be >= 1/],
  ['destination=/sub/chat/7&limit=many', /limit must be integer/],
  ['destination=/sub/chat/7&before=hello%20there', /before: not a message-id/]
] as const) {
  test(`the query ?${query} is refused with its reason`, async () => {
    await using it = await serve()
    const response = await fetch(`${it.url}/history?${query}`)
    assert.equal(response.status, 400)
    assert.match(String(response.headers.get('content-type')), /^application\/problem\+json/)
    const problem = (await response.json()) as Record<string, string>
    assert.equal(problem['code'], 'INVALID_QUERY')
    assert.match(String(problem['detail']), detail)
  })
}

test('history asks for the permission of its route and names what is missing', async () => {
  const routes = routesOf(aRoute({ allow: { send: 'anyone', subscribe: 'anyone', history: 'authenticated' } }))
  await using it = await serve({ auth: 'jwt', edge: { routes } })
  const url = `${it.url}/history?destination=/sub/chat/7`
  assert.equal((await fetch(url)).status, 403)
  assert.equal((await fetch(url, { headers: { authorization: 'Bearer ann' } })).status, 200)
  assert.equal((await fetch(`${url}&access_token=ann`)).status, 200)
  const refused = await fetch(url, { headers: { authorization: 'Bearer bad' } })
  assert.equal(refused.status, 401)
  assert.equal(refused.headers.get('www-authenticate'), 'Bearer')
})

test('a destination that no route takes and a log that is away are problems of their own', async () => {
  const log = {
    ...logOf([]),
    read: () => Promise.reject(new BatonError('REDIS_UNAVAILABLE', 'no answer from Redis within 1 s'))
  }
  await using it = await serve({ edge: { log, auth: openAuth } })
  const unknown = await fetch(`${it.url}/history?destination=/nowhere`)
  assert.equal(unknown.status, 404)
  assert.match(await unknown.text(), /UNKNOWN_DESTINATION/)
  const away = await fetch(`${it.url}/history?destination=/sub/chat/7`)
  assert.equal(away.status, 503)
  assert.equal(away.headers.get('retry-after'), '1')
  assert.deepEqual(await away.json(), {
    type: 'urn:baton:error:REDIS_UNAVAILABLE',
    title: 'Redis is away',
    status: 503,
    detail: 'no answer from Redis within 1 s',
    code: 'REDIS_UNAVAILABLE',
    retryable: true,
    retryAfterS: 1
  })
})
