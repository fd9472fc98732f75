import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { after, before, describe, test } from 'node:test'
import { Ajv2020 } from 'ajv/dist/2020.js'
import formats from 'ajv-formats'
import { type Baton, startBaton } from '../support/baton.ts'
import { unique } from '../support/ids.ts'
import { connectSocket } from '../support/raw-client.ts'
import { waitFor } from '../support/wait.ts'

// The HTTP side of a real process, as a client sees it: every refusal a problem, every answer as the document says.

const PAGE_ORIGIN = 'https://chat.example'
const MIB = 1024 * 1024
const basic = (pair: string) => ({ authorization: `Basic ${Buffer.from(pair).toString('base64')}` })
const ANN = { ...basic('ann:open-sesame'), 'content-type': 'application/json' }

const USERS = {
  http: { corsOrigins: [PAGE_ORIGIN] },
  auth: { mode: 'users', guests: true, users: [{ login: 'ann', passcode: 'open-sesame' }] },
  lifecycle: { drainTimeoutMs: 0 },
  routes: {
    room: {
      topic: 'room',
      channel: 'room:{room}',
      destination: '/sub/{room}',
      history: { size: 30 },
      allow: { send: 'authenticated', subscribe: 'anyone', history: 'anyone' },
      send: {
        http: 'POST /rooms/{room}',
        set: { room: '{room}' },
        schema: { type: 'object', required: ['n'], properties: { n: { type: 'integer' } } }
      }
    },
    closed: { topic: 'closed', channel: 'closed', destination: '/closed' }
  }
}

let baton: Baton
let users: Baton

before(async () => {
  baton = await startBaton({ env: { BATON_LIFECYCLE_DRAIN_TIMEOUT_MS: '0' } })
  users = await startBaton({ config: USERS })
})

after(() => Promise.all([baton.stop(), users.stop()]))

const json = (n: number) => JSON.stringify({ n })
const read = (destination: string, more = '') => `/history?destination=${encodeURIComponent(destination)}${more}`

describe('a refusal is a problem (RFC 9457)', () => {
  const cases: [name: string, status: number, code: string, path: string, init?: RequestInit][] = [
    ['an unknown path', 404, 'NOT_FOUND', '/nowhere'],
    ['a path that is no URL', 400, 'INVALID_QUERY', '/%zz'],
    ['the path of the WebSocket', 404, 'NOT_FOUND', '/ws'],
    ['another method', 405, 'METHOD_NOT_ALLOWED', '/history', { method: 'DELETE' }],
    ['a history of nothing', 400, 'INVALID_QUERY', '/history'],
    ['a history of two destinations', 400, 'INVALID_QUERY', `${read('/sub/1')}&destination=/sub/2`],
    ['a history of no destination of ours', 404, 'UNKNOWN_DESTINATION', read('/nowhere')],
    ['a history of a malformed destination', 400, 'MALFORMED_DESTINATION', read('/sub/%zz')],
    ...['0', '-1', '201', '1.5', 'all', ''].map((limit): [string, number, string, string] => [
      `limit=${limit}`,
      400,
      'INVALID_QUERY',
      read('/sub/1', `&limit=${limit}`)
    ]),
    ...['', 'garbage', '1.2.3'].map((id): [string, number, string, string] => [
      `before=${id}`,
      400,
      'INVALID_QUERY',
      read('/sub/1', `&before=${id}`)
    ]),
    ['a history that is closed', 403, 'FORBIDDEN', read('/closed'), { headers: ANN }],
    ['a wrong passcode', 401, 'UNAUTHENTICATED', read('/sub/1'), { headers: basic('ann:wrong') }],
    [
      'a token where passcodes are asked for',
      401,
      'UNAUTHENTICATED',
      `${read('/sub/1')}`,
      { headers: { authorization: 'Bearer x' } }
    ],
    ['an Authorization of no scheme', 401, 'UNAUTHENTICATED', read('/sub/1'), { headers: { authorization: 'x' } }],
    [
      'a POST by a guest',
      403,
      'FORBIDDEN',
      '/rooms/1',
      { method: 'POST', body: json(1), headers: { 'content-type': 'application/json' } }
    ],
    ['a body that is no JSON', 422, 'INVALID_BODY', '/rooms/1', { method: 'POST', body: '{', headers: ANN }],
    ['a body against the schema', 422, 'INVALID_BODY', '/rooms/1', { method: 'POST', body: '{"n":"1"}', headers: ANN }],
    ['no body', 422, 'INVALID_BODY', '/rooms/1', { method: 'POST', headers: ANN }],
    [
      'another media type',
      415,
      'UNSUPPORTED_MEDIA_TYPE',
      '/rooms/1',
      { method: 'POST', body: '<n/>', headers: { ...ANN, 'content-type': 'text/xml' } }
    ],
    [
      'a body over the limit',
      413,
      'BODY_TOO_LARGE',
      '/rooms/1',
      { method: 'POST', body: Buffer.alloc(MIB + 1, ' '), headers: ANN }
    ]
  ]
  for (const [name, status, code, path, init] of cases) {
    test(`${name}: ${status} ${code}`, async () => {
      const response = await fetch(users.url + path, init)
      const problem = (await response.json()) as Record<string, unknown>
      assert.equal(response.status, status, JSON.stringify(problem))
      assert.match(response.headers.get('content-type') ?? '', /^application\/problem\+json/)
      const { title, detail, pointer, ...others } = problem
      assert.deepEqual(others, { type: `urn:baton:error:${code}`, status, code, retryable: false })
      assert.equal(pointer, name === 'a body against the schema' ? '/n' : undefined)
      assert.ok(title && detail && title !== detail)
      assert.equal(response.headers.get('www-authenticate'), status === 401 ? 'Bearer' : null)
      assert.equal(response.headers.has('allow'), status === 405)
      assert.ok(!/ann:|open-sesame/.test(JSON.stringify(problem)))
    })
  }

  test('a body over the limit that does not tell its length: 413', async () => {
    const body = ReadableStream.from([Buffer.alloc(MIB + 1, ' ')])
    const init = { method: 'POST', body, headers: ANN, duplex: 'half' } as RequestInit
    assert.equal((await fetch(`${users.url}/rooms/1`, init)).status, 413)
  })

  test('nothing outside of the console is served by it', async () => {
    for (const path of [
      '/console/..%2fserver.ts',
      '/console/%2e%2e/server.ts',
      '/console/stompjs/..%2f..%2f..%2fws/package.json'
    ]) {
      assert.ok((await fetch(users.url + path)).status >= 400, path)
    }
  })
})

describe('messages over HTTP', () => {
  interface Page {
    messages: { id: string; body: { n: number }; coordinate: object }[]
    before?: string
  }

  const page = async (url: string) => (await (await fetch(users.url + url)).json()) as Page

  test('what is POSTed reaches subscribers, and the history page by page to its end', async () => {
    const room = unique('방')
    const subscriber = await connectSocket(users.wsUrl)
    await subscriber.done(`SUBSCRIBE\nid:0\ndestination:/sub/${room}\n\n^@`)
    const coordinates: unknown[] = []
    for (let n = 1; n <= 35; n++) {
      const headers = { ...ANN, 'x-trace': `t${n}` }
      const response = await fetch(`${users.url}/rooms/${encodeURIComponent(room)}`, {
        method: 'POST',
        body: json(n),
        headers
      })
      assert.equal(response.status, 202)
      coordinates.push(await response.json())
      const message = await subscriber.expect('MESSAGE')
      assert.deepEqual(JSON.parse(String(message.body)), { n, room })
      assert.equal(message.headers['x-trace'], `t${n}`)
      assert.ok(!('authorization' in message.headers))
    }
    const pages: Page[] = []
    for (let before = ''; ; ) {
      const next = await page(read(`/sub/${room}`, `&limit=7${before && `&before=${before}`}`))
      pages.unshift(next)
      if (!next.before) break
      before = encodeURIComponent(next.before)
    }
    assert.deepEqual(
      pages.map(({ messages }) => messages.length),
      [2, 7, 7, 7, 7]
    )
    const messages = pages.flatMap(one => one.messages)
    assert.deepEqual(
      messages.map(({ body }) => body.n),
      Array.from({ length: 30 }, (_, n) => n + 6)
    )
    assert.deepEqual(
      messages.map(({ coordinate }) => coordinate),
      coordinates.slice(5)
    )
    subscriber.send(
      `SUBSCRIBE\nid:1\ndestination:/sub/${room}\nlast-message-id:${messages.at(-2)?.id}\nreceipt:r\n\n^@`
    )
    assert.equal(JSON.parse(String((await subscriber.expect('MESSAGE')).body)).n, 35)
    assert.equal((await subscriber.expect('RECEIPT')).headers['resumed'], 'true')
    subscriber.ws.close()
  })

  test('an unchanged page is answered with 304, a changed one with 200', async () => {
    const url = baton.url + read('/topic/etag')
    const first = await fetch(url)
    const etag = first.headers.get('etag') as string
    assert.deepEqual(await first.json(), { destination: '/topic/etag', messages: [] })
    const again = () => fetch(url, { headers: { 'if-none-match': `"other", ${etag}` } })
    const same = await again()
    assert.deepEqual([same.status, await same.text(), same.headers.get('etag')], [304, '', etag])
    assert.equal((await fetch(`${baton.url}/topic/etag`, { method: 'POST', body: 'x' })).status, 202)
    await waitFor(async () => (await again()).status === 200, { what: 'the page to change' })
  })

  test('HEAD answers as GET does, without the body', async () => {
    for (const path of ['/livez', '/readyz', '/metrics', '/openapi.json', '/', read('/topic/head')]) {
      const head = await fetch(baton.url + path, { method: 'HEAD' })
      const get = await fetch(baton.url + path)
      assert.deepEqual([head.status, get.status, await head.text()], [200, 200, ''], path)
      assert.equal(head.headers.get('content-type'), get.headers.get('content-type'), path)
      assert.equal(head.headers.get('etag'), get.headers.get('etag'), path)
    }
  })
})

describe('pages of other sites', () => {
  const from = (url: string, origin: string, init: RequestInit = {}) =>
    fetch(url, { ...init, headers: { origin, ...init.headers } })
  const preflight = { method: 'OPTIONS', headers: { 'access-control-request-method': 'POST' } }

  test('may read where they are listed, problems too, and ask before they POST', async () => {
    for (const path of [read('/sub/1'), '/nowhere']) {
      const response = await from(users.url + path, PAGE_ORIGIN)
      assert.equal(response.headers.get('access-control-allow-origin'), PAGE_ORIGIN)
      assert.match(response.headers.get('access-control-expose-headers') ?? '', /etag/)
    }
    const asked = await from(`${users.url}/rooms/1`, PAGE_ORIGIN, preflight)
    assert.equal(asked.status, 204)
    assert.match(asked.headers.get('access-control-allow-methods') ?? '', /POST/)
  })

  test('without a list OPTIONS is a method like any other that is not taken', async () => {
    const response = await from(`${baton.url}/livez`, PAGE_ORIGIN, preflight)
    assert.equal(response.status, 405)
    assert.equal(response.headers.get('allow'), 'GET, HEAD')
    assert.equal((await from(`${users.url}/livez`, PAGE_ORIGIN, { method: 'OPTIONS' })).status, 204)
  })

  test('may not where they are not, nor where there is no list', async () => {
    for (const url of [users.url, baton.url]) {
      for (const init of [{}, preflight]) {
        const { headers } = await from(`${url}/livez`, 'https://evil.example', init)
        assert.equal(headers.get('access-control-allow-origin'), null)
      }
    }
  })
})

describe('what is said about the process', () => {
  interface Operation {
    parameters?: { name: string; in: string; required?: boolean; schema: object }[]
    requestBody?: { content: Record<string, { schema: object }> }
    responses: Record<string, { description: string; content?: Record<string, { schema: object }> }>
  }

  test('the OpenAPI document holds valid schemas only, and its answers are as it says', async () => {
    const document = (await (await fetch(`${users.url}/openapi.json`)).json()) as {
      openapi: string
      paths: Record<string, Record<string, Operation>>
    }
    assert.equal(document.openapi, '3.1.0')
    assert.deepEqual(Object.keys(document.paths), ['/livez', '/readyz', '/metrics', '/history', '/rooms/{room}'])
    const ajv = formats.default(new Ajv2020({ strict: true, strictTypes: false }))
    for (const [path, operations] of Object.entries(document.paths)) {
      for (const { parameters = [], requestBody, responses } of Object.values(operations)) {
        const named = parameters.filter(parameter => parameter.in === 'path').map(({ name }) => name)
        assert.deepEqual(
          named,
          [...path.matchAll(/\{(\w+)\}/g)].map(match => match[1])
        )
        const contents = [requestBody, ...Object.values(responses)].flatMap(part => Object.values(part?.content ?? {}))
        for (const { schema } of [...parameters, ...contents]) ajv.compile(schema)
        for (const { description } of Object.values(responses)) assert.ok(description)
      }
    }
    const history = document.paths['/history']?.['get']
    const required = history?.parameters?.filter(parameter => parameter.required).map(({ name }) => name)
    assert.deepEqual(required, ['destination'])
    assert.ok(document.paths['/rooms/{room}']?.['post']?.requestBody)
    for (const [path, answer] of [
      [read('/sub/1'), history?.responses['200']?.content?.['application/json']],
      [read('/nowhere'), history?.responses['default']?.content?.['application/problem+json']],
      ['/readyz', document.paths['/readyz']?.['get']?.responses['200']?.content?.['application/json']]
    ] as const) {
      const valid = ajv.compile(answer?.schema ?? false)
      assert.ok(valid(await (await fetch(users.url + path)).json()), `${path}: ${JSON.stringify(valid.errors)}`)
    }
  })

  test('metrics are in the Prometheus text format, each with help and type, and move', async () => {
    const socket = await connectSocket(baton.wsUrl)
    const destination = `/topic/${unique('metrics')}`
    const scrape = async () => {
      const response = await fetch(`${baton.url}/metrics`)
      assert.match(response.headers.get('content-type') ?? '', /^text\/plain; version=0\.0\.4/)
      const lines = (await response.text()).split('\n').filter(line => line !== '')
      const described = new Set(
        lines.flatMap(line => /^# TYPE (\w+) (?:counter|gauge|histogram|summary)$/.exec(line)?.[1] ?? [])
      )
      const samples = new Map<string, number>()
      for (const line of lines.filter(candidate => !candidate.startsWith('# '))) {
        const sample = /^(\w+)(\{\w+="[^"]*"(?:,\w+="[^"]*")*\})? (\S+)$/.exec(line)
        assert.ok(sample, line)
        const [, name = '', labels = '', value] = sample
        assert.ok(described.has(name) || described.has(name.replace(/_(?:bucket|sum|count)$/, '')), line)
        assert.ok(!Number.isNaN(Number(value?.replace('+Inf', 'Infinity'))), line)
        samples.set(name + labels, Number(value))
      }
      return (name: string) => samples.get(name) ?? 0
    }
    await socket.done(`SUBSCRIBE\nid:0\ndestination:${destination}\n\n^@`)
    const before = await scrape()
    socket.send(`SEND\ndestination:${destination}\n\nx^@`)
    await socket.expect('MESSAGE')
    const after = await scrape()
    assert.ok(after('baton_sessions') >= 1 && after('baton_subscriptions') >= 1)
    for (const name of [
      'baton_deliveries_total',
      'baton_records_consumed_total{topic="topic"}',
      'baton_entries_appended_total{topic="topic"}',
      'baton_records_produced_total{route="topic"}',
      'baton_delivery_latency_seconds_count'
    ]) {
      assert.equal(after(name), before(name) + 1, name)
    }
    socket.ws.close()
  })
})

describe('what is no request', () => {
  test('is answered with a problem, and the connection is closed', async () => {
    await using baton = await startBaton()
    const answerTo = (bytes: string) =>
      new Promise<string>((resolve, reject) => {
        let answer = ''
        const socket = connect(baton.port, '127.0.0.1', () => socket.write(bytes))
        socket
          .on('data', data => (answer += data))
          .on('end', () => resolve(answer))
          .on('error', reject)
      })
    const garbage = await answerTo('HELO there\r\n\r\n')
    assert.match(garbage, /^HTTP\/1\.1 400 /)
    assert.match(garbage, /application\/problem\+json[\s\S]*"code":"MALFORMED_REQUEST"/)
    const endless = await answerTo(`GET / HTTP/1.1\r\nhost: a\r\nx: ${'x'.repeat(20_000)}\r\n\r\n`)
    assert.match(endless, /^HTTP\/1\.1 431 [\s\S]*"code":"TOO_MANY_HEADERS"/)
  })
})
