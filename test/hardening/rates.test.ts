import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { Client } from '@stomp/stompjs'
import { createResuming } from '../../src/http/console/resume.js'
import { type Baton, startBaton } from '../support/baton.ts'
import { unique } from '../support/ids.ts'
import { refusals } from '../support/metric.ts'
import { connectSocket, refused } from '../support/raw-client.ts'
import { waitFor } from '../support/wait.ts'

// Slow enough that nothing is regained while a test sends, and quick enough that it can be waited for.

const BURST = 10
const OWN_BURST = 3
const OWN_EVERY_S = 4
const users = ['ann', 'bob'].map(login => ({ login, passcode: login }))

const CONFIG = {
  http: { trustProxy: ['127.0.0.1'] },
  stomp: { sendsPerSecond: 1, sendBurst: BURST },
  auth: { mode: 'users', guests: true, users },
  lifecycle: { drainTimeoutMs: 0 },
  routes: {
    room: {
      ...{ topic: 'room', channel: 'room:{room}', destination: '/room/{room}' },
      allow: { send: 'anyone', subscribe: 'anyone', history: 'anyone' },
      send: { http: 'POST /room/{room}', set: { room: '{room}' } }
    },
    bell: {
      ...{ topic: 'bell', channel: 'bell', destination: '/bell' },
      allow: { send: 'anyone' },
      send: { http: 'POST /bell', rate: { perSecond: 1 / OWN_EVERY_S, burst: OWN_BURST } }
    }
  }
}

let baton: Baton

before(async () => {
  baton = await startBaton({ config: CONFIG })
})

after(() => baton.stop())

const isSoon = (retryAfter: string | undefined) => /^[1-4]$/.test(retryAfter ?? '')

const SEND = 'SEND\ndestination:/room/1\n'

describe('a session', () => {
  test('that sends too much is told so, and when to come back; what came before is done', async () => {
    const before = await refusals(baton, 'RATE_LIMITED')
    const socket = await connectSocket(baton.wsUrl)
    for (let n = 0; n < BURST; n++) socket.send(`${SEND}receipt:${n}\n\n{}^@`)
    socket.send(`${SEND}\n{}^@`)
    for (let n = 0; n < BURST; n++) assert.equal((await socket.expect('RECEIPT')).headers['receipt-id'], `${n}`)
    const { headers, body } = await refused(socket, 'RATE_LIMITED', 1013)
    assert.equal(headers['retry-after'], '1')
    assert.match(String(body), /1 a second .* 10 at once .*stomp\.sendsPerSecond/)
    assert.equal(await refusals(baton, 'RATE_LIMITED'), before + 1)
    await (await connectSocket(baton.wsUrl)).done(`${SEND}\n{}^@`)
  })

  test('is bound on a route that asks for it, and sends to others', async () => {
    const socket = await connectSocket(baton.wsUrl)
    for (let n = 0; n < OWN_BURST; n++) await socket.done('SEND\ndestination:/bell\n\n{}^@')
    await socket.done(`${SEND}\n{}^@`)
    socket.send('SEND\ndestination:/bell\n\n{}^@')
    const { headers, body } = await refused(socket, 'RATE_LIMITED', 1013)
    assert.ok(isSoon(headers['retry-after']))
    assert.match(String(body), /routes\.bell\.send\.rate/)
  })

  test('of the front-end’s helper is back when it was told to come, not before, and sends again', async () => {
    const delaysMs: number[] = []
    const client = new Client({ brokerURL: baton.wsUrl })
    const onState = ({ delayMs }: { delayMs?: number }) => delayMs !== undefined && delaysMs.push(delayMs)
    const link = createResuming(client, { minDelayMs: 1, onState })
    await using _ = { [Symbol.asyncDispose]: () => link.stop() }
    link.start()
    await waitFor(() => client.connected, { what: 'the connection' })
    const sends = Array.from({ length: BURST + 1 }, () => link.send('/room/1', '{}'))
    await assert.rejects(Promise.all(sends), /before it was confirmed/)
    await waitFor(() => delaysMs.length === 2 && client.connected, { what: 'the next connection' })
    assert.ok((delaysMs[1] as number) >= 1000, `${delaysMs}`)
    await link.send('/room/1', '{}')
  })

  test('has no way round it by a transaction, of which nothing is written then', async () => {
    const room = unique('room')
    const reader = await connectSocket(baton.wsUrl)
    await reader.done(`SUBSCRIBE\nid:0\ndestination:/room/${room}\n\n^@`)
    const socket = await connectSocket(baton.wsUrl)
    await socket.done('BEGIN\ntransaction:t\n\n^@')
    for (let n = 0; n <= BURST; n++) socket.send(`SEND\ndestination:/room/${room}\ntransaction:t\n\n{}^@`)
    socket.send('COMMIT\ntransaction:t\n\n^@')
    await refused(socket, 'RATE_LIMITED', 1013)
    reader.send(`SEND\ndestination:/room/${room}\n\n{"later":true}^@`)
    assert.match(String((await reader.expect('MESSAGE')).body), /later/)
  })
})

describe('over HTTP', () => {
  const post = (path: string, headers: Record<string, string> = {}) =>
    fetch(baton.url + path, {
      method: 'POST',
      body: '{}',
      headers: { 'content-type': 'application/json', ...headers }
    })
  const as = (login: string) => ({ authorization: `Basic ${Buffer.from(`${login}:${login}`).toString('base64')}` })
  const at = (address: string) => ({ 'x-forwarded-for': address })

  test('a principal is refused with 429 and Retry-After, whatever its address, and others are not', async () => {
    for (let n = 0; n < OWN_BURST; n++)
      assert.equal((await post('/bell', { ...as('ann'), ...at(`10.0.0.${n}`) })).status, 202)
    const response = await post('/bell', as('ann'))
    assert.equal(response.status, 429)
    const retryAfter = response.headers.get('retry-after') ?? ''
    assert.ok(isSoon(retryAfter))
    const { code, retryAfterS } = (await response.json()) as Record<string, unknown>
    assert.deepEqual([code, retryAfterS], ['RATE_LIMITED', Number(retryAfter)])
    assert.equal((await post('/bell', as('bob'))).status, 202)
    assert.equal((await post('/room/1', as('ann'))).status, 202)
  })

  test('a guest is its address, and may go on once it has waited', async () => {
    for (let n = 0; n < OWN_BURST; n++) assert.equal((await post('/bell', at(`2001:db8::${n}`))).status, 202)
    assert.equal((await post('/bell', at('2001:db8::9'))).status, 429)
    assert.equal((await post('/bell', at('2001:db8:0:1::9'))).status, 202)
    const isTaken = async () => (await post('/bell', at('2001:db8::9'))).status === 202
    await waitFor(isTaken, { what: 'the next to be taken', everyMs: 200 })
  })
})
