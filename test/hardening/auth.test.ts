import assert from 'node:assert/strict'
import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { json } from 'node:stream/consumers'
import { after, before, describe, test } from 'node:test'
import { exportJWK, SignJWT } from 'jose'
import { WebSocket } from 'ws'
import { type Baton, startBaton } from '../support/baton.ts'
import { connectSocket, openSocket, refused } from '../support/raw-client.ts'
import { connectStompjs, type Ending } from '../support/stomp-client.ts'
import { deadline, waitFor } from '../support/wait.ts'

// Who may come in, for how long, and who says so: real processes, a real issuer, a real endpoint, a stock client.

const REFRESH = '/app/auth/refresh'
const rooms = {
  topic: 'room',
  channel: 'room:{room}',
  destination: '/sub/{room}',
  allow: { subscribe: { rooms: '{room}' }, send: { rooms: '{room}' }, history: { rooms: '{room}' } },
  send: { destination: '/pub/{room}', http: 'POST /rooms/{room}', set: { room: '{room}', sender: '{principal.name}' } }
}
const http = { allowAbsentOrigin: true }
const lifecycle = { drainTimeoutMs: 0 }
const bearer = (token: string) => ({ Authorization: `Bearer ${token}` })

function listen(listener: RequestListener, port = 0): Promise<Server> {
  const { promise, resolve } = Promise.withResolvers<Server>()
  const server = createServer(listener).listen(port, '127.0.0.1', () => resolve(server))
  return promise
}

const urlOf = (server: Server) => `http://127.0.0.1:${(server.address() as AddressInfo).port}/`

function close(server: Server): void {
  server.close()
  server.closeAllConnections()
}

/** How a connection was refused. */
const refusal = (attempt: Promise<unknown>): Promise<Ending> =>
  attempt.then(
    () => assert.fail('nobody was refused'),
    ({ ending }) => ending
  )

const codeOf = ({ headers, code }: Ending) => [headers?.['code'], code]

describe('sessions by tokens of an issuer', () => {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const shown: string[] = []
  let issuer: Server
  let baton: Baton
  let log = ''

  before(async () => {
    const keys = [{ ...(await exportJWK(publicKey)), kid: 'k', alg: 'ES256' }]
    issuer = await listen((_, response) => response.end(JSON.stringify({ keys })))
    const jwt = { jwksUrl: urlOf(issuer), issuer: 'us', audience: 'chat' }
    baton = await startBaton({
      config: { http, lifecycle, log: { level: 'trace' }, auth: { mode: 'jwt', jwt }, routes: { rooms } },
      heard: text => {
        log += text
      }
    })
  })
  after(async () => {
    await baton.stop()
    close(issuer)
  })

  /** @param seconds until it expires: `exp` is a whole second, so it is cut by up to one. */
  async function tokenOf(
    claims: object,
    { seconds = 600, key = privateKey }: { seconds?: number; key?: KeyObject } = {}
  ) {
    const exp = Math.floor(Date.now() / 1000) + seconds
    const token = await new SignJWT({ iss: 'us', aud: 'chat', rooms: ['7'], ...claims, exp })
      .setProtectedHeader({ alg: 'ES256', kid: 'k' })
      .sign(key)
    shown.push(token)
    return { token, expiresAtMs: exp * 1000 }
  }

  async function expires(ended: Promise<Ending>, expiresAtMs: number): Promise<void> {
    const ending = await deadline(ended, 10_000, 'the session to expire')
    const lateMs = Date.now() - expiresAtMs
    assert.deepEqual(codeOf(ending), ['TOKEN_EXPIRED', 1008])
    assert.ok(lateMs >= 0 && lateMs < 1000, `${lateMs} ms after exp`)
  }

  describe('a token that expires', { concurrency: true }, () => {
    test('ends them within a second of its exp', async () => {
      const { token, expiresAtMs } = await tokenOf({ sub: 'ann' }, { seconds: 2 })
      const client = await connectStompjs(baton.wsUrl, { headers: bearer(token) })
      await client.subscribe('/sub/7')
      await expires(client.ended, expiresAtMs)
    })

    for (const version of ['1.0', '1.1', '1.2'] as const) {
      test(`gives way to a fresh one, and its claims, in STOMP ${version}`, async () => {
        const first = await tokenOf({ sub: 'ann' }, { seconds: 2 })
        const second = await tokenOf({ sub: 'ann', rooms: ['7', '8'] }, { seconds: 4 })
        const client = await connectStompjs(baton.wsUrl, { version, headers: bearer(first.token) })
        const { messages } = await client.subscribe('/sub/7')
        await client.send(REFRESH, second.token)
        await client.send('/pub/8', '{}')
        await waitFor(() => Date.now() > first.expiresAtMs + 1000, { what: 'the first one to be over' })
        await client.send('/pub/7', '{}')
        await waitFor(() => messages.length > 0, { what: 'the message' })
        await expires(client.ended, second.expiresAtMs)
      })
    }
  })

  test('end with what a fresh token forbids, or that of somebody else', async () => {
    const { token } = await tokenOf({ sub: 'ann' })
    for (const [claims, reason] of [
      [{ sub: 'ann', rooms: ['8'] }, /subscribe on route rooms/],
      [{ sub: 'bob' }, /another principal/]
    ] as const) {
      const client = await connectStompjs(baton.wsUrl, { headers: bearer(token) })
      await client.subscribe('/sub/7')
      const ending = await refusal(client.send(REFRESH, '', bearer((await tokenOf(claims)).token)))
      assert.deepEqual(codeOf(ending), ['FORBIDDEN', 1008])
      assert.match(ending.detail ?? '', reason)
    }
    const client = await connectStompjs(baton.wsUrl, { headers: bearer(token) })
    const foreign = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
    const forged = await tokenOf({ sub: 'ann' }, { key: foreign })
    assert.deepEqual(codeOf(await refusal(client.send(REFRESH, forged.token))), ['UNAUTHENTICATED', 1008])
  })

  test('begin with nothing but a good token, and no line of the log holds any', async () => {
    const foreign = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
    const bad = await Promise.all([
      tokenOf({ sub: 'ann' }, { key: foreign }),
      tokenOf({ sub: 'ann' }, { seconds: -1 }),
      tokenOf({ iss: 'them' }),
      tokenOf({ aud: 'mail' }),
      tokenOf({ nbf: 9_999_999_999 })
    ])
    for (const { token } of bad) {
      const ending = await refusal(connectStompjs(baton.wsUrl, { headers: { passcode: token } }))
      assert.deepEqual(codeOf(ending), ['UNAUTHENTICATED', 1008])
    }
    const { token } = await tokenOf({ sub: 'ann' })
    for (const query of [`access_token=${token}`, `access%5Ftoken=${token}`]) {
      await using client = await connectStompjs(`${baton.wsUrl}?${query}`)
      assert.equal(client.connected['user-name'], 'ann')
      const get = await fetch(`${baton.url}/history?destination=/sub/7&${query}`)
      const body = { method: 'POST', body: '{}', headers: { 'content-type': 'application/json' } }
      const post = await fetch(`${baton.url}/rooms/7?${query}`, body)
      assert.deepEqual([get.status, post.status], [200, 202])
    }
    const both = `access_token=${token}&access_token=${token}`
    assert.equal((await fetch(`${baton.url}/history?destination=/sub/7&${both}`)).status, 401)
    for (const path of [`/nowhere?access_token=${token}`, `/%zz?access_token=${token}`, `/history?jwt=${token}`])
      assert.ok((await fetch(baton.url + path, { headers: bearer(token) })).status >= 400)
    const raw = await openSocket(`${baton.wsUrl}?access_token=${bad[0]?.token}`, { headers: bearer('x.y.z') })
    raw.send(`${token}\n\n^@`)
    await refused(raw, 'NOT_CONNECTED', 1002)

    await waitFor(() => log.includes('NOT_CONNECTED'), { what: 'the last line' })
    assert.ok(log.includes('"path":"/nowhere"'))
    for (const secret of shown.flatMap(one => one.split('.'))) {
      // The header is the same for all, and may be in no line either.
      assert.ok(!log.includes(secret), `${secret} is in the log`)
    }
  })

  test('begin from no page that is not listed', async () => {
    const ws = new WebSocket(baton.wsUrl, { origin: 'https://evil.example' })
    const [error] = await new Promise<[Error]>(resolve => ws.once('error', (...told) => resolve(told)))
    assert.match(error.message, /403/)
  })
})

describe('sessions by an endpoint', () => {
  const asked: Record<string, unknown>[] = []
  let endpoint: Server
  let baton: Baton

  const listener: RequestListener = async (request, response) => {
    const shown = (await json(request)) as { headers: Record<string, string> }
    asked.push(shown)
    const { login, passcode, Authorization = '' } = shown.headers
    const [, name, until] = /^Bearer (\w+) (\S+)$/.exec(Authorization) ?? []
    if (name) response.end(JSON.stringify({ name, claims: { rooms: ['7'] }, expiresAt: until }))
    else if (passcode === 'sesame') response.end(JSON.stringify({ name: login, claims: { rooms: ['7'] } }))
    else response.writeHead(401).end()
  }

  before(async () => {
    endpoint = await listen((request, response) => void listener(request, response))
    const auth = { mode: 'http', http: { url: urlOf(endpoint), timeoutMs: 1000 } }
    baton = await startBaton({ config: { http, lifecycle, auth, routes: { rooms } } })
  })
  after(async () => {
    await baton.stop()
    close(endpoint)
  })

  test('are whom it says, with the claims it gives, over STOMP and HTTP', async () => {
    const login = { login: 'ann', passcode: 'sesame' }
    await using client = await connectStompjs(baton.wsUrl, { headers: login })
    assert.equal(client.connected['user-name'], 'ann')
    const { messages } = await client.subscribe('/sub/7')
    await client.send('/pub/7', '{}')
    await waitFor(() => messages.length === 1, { what: 'the message' })
    assert.equal(JSON.parse(`${messages[0]?.body}`).sender, 'ann')
    const { headers, ...from } = asked[0] as { headers: object }
    assert.partialDeepStrictEqual(headers, login)
    assert.deepEqual(from, { remoteAddress: '127.0.0.1', path: '/ws' })

    const until = new Date(Date.now() + 60_000).toISOString()
    const get = await fetch(`${baton.url}/history?destination=/sub/7`, { headers: bearer(`bob ${until}`) })
    assert.equal(get.status, 200)
    const shown = { headers: bearer(`bob ${until}`), remoteAddress: '127.0.0.1', path: '/history' }
    assert.deepEqual(asked.at(-1), shown)
    assert.equal((await fetch(`${baton.url}/history?destination=/sub/7`)).status, 401)
  })

  test('end when it says, or go on as it says', async () => {
    const at = (ms: number) => `ann ${new Date(Date.now() + ms).toISOString()}`
    const client = await connectStompjs(baton.wsUrl, { headers: bearer(at(1000)) })
    await client.send(REFRESH, at(2000))
    const begun = performance.now()
    assert.deepEqual(codeOf(await deadline(client.ended, 5000, 'the end')), ['TOKEN_EXPIRED', 1008])
    assert.ok(performance.now() - begun > 1900)
  })

  test('are not begun where it refuses; where it is away, clients are told to come again, and then may', async () => {
    const wrong = { login: 'ann', passcode: 'wrong' }
    assert.deepEqual(codeOf(await refusal(connectStompjs(baton.wsUrl, { headers: wrong }))), ['UNAUTHENTICATED', 1008])
    const there = await connectSocket(baton.wsUrl, { connect: 'login:ann\npasscode:sesame\n' })
    const { port } = endpoint.address() as AddressInfo
    close(endpoint)
    const away = await refusal(connectStompjs(baton.wsUrl, { headers: { login: 'bob', passcode: 'sesame' } }))
    assert.deepEqual(codeOf(away), ['AUTH_UNAVAILABLE', 1013])
    const problem = await fetch(`${baton.url}/history?destination=/sub/7`, { headers: bearer('bob x') })
    assert.deepEqual([problem.status, problem.headers.get('retry-after')], [503, '5'])
    await there.done('SEND\ndestination:/pub/7\n\n{}^@')
    endpoint = await listen((request, response) => void listener(request, response), port)
    await using client = await connectStompjs(baton.wsUrl, { headers: { login: 'bob', passcode: 'sesame' } })
    assert.equal(client.connected['user-name'], 'bob')
    assert.doesNotMatch(baton.logs, /sesame/)
  })
})
