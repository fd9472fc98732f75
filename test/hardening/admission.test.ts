import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { after, before, describe, test } from 'node:test'
import { WebSocket } from 'ws'
import { type Baton, startBaton } from '../support/baton.ts'
import { refusals } from '../support/metric.ts'
import { connectSocket, openSocket, type RawSocket, refused } from '../support/raw-client.ts'
import { deadline, waitFor } from '../support/wait.ts'

// Who may come, and how many: told before a socket is opened where it can be, with a word when to try again.

const MAX_SOCKETS = 20
const PER_ADDRESS = 5
const PER_PRINCIPAL = 2
/** Of connections that are no WebSocket, in src/http/server.ts. */
const SPARE_CONNECTIONS = 1000
const DEADLINE_MS = 10_000

const CONFIG = {
  http: { trustProxy: ['127.0.0.1'] },
  stomp: {
    maxSockets: MAX_SOCKETS,
    maxSessionsPerAddress: PER_ADDRESS,
    maxSessionsPerPrincipal: PER_PRINCIPAL
  },
  auth: { mode: 'users', guests: true, users: [{ login: 'ann', passcode: 'open-sesame' }] },
  lifecycle: { drainTimeoutMs: 0 },
  routes: { room: { topic: 'room', channel: 'room', destination: '/room', allow: { subscribe: 'anyone' } } }
}

let baton: Baton

before(async () => {
  baton = await startBaton({ config: CONFIG })
})

after(() => baton.stop())

const from = (address: string) => ({ headers: { 'x-forwarded-for': address } })
const ANN = 'login:ann\npasscode:open-sesame\n'

/** What an upgrade is refused with. */
async function refusedUpgrade(url: string, headers: Record<string, string> = {}) {
  const ws = new WebSocket(url, { headers })
  ws.on('error', () => undefined)
  const [, response] = await deadline(once(ws, 'unexpected-response'), DEADLINE_MS, 'the upgrade to be refused')
  const chunks: Buffer[] = await response.toArray()
  const { code } = JSON.parse(String(Buffer.concat(chunks)))
  return { status: response.statusCode, code, retryAfter: response.headers['retry-after'] }
}

/** Ends them, and waits until as many as before are let in: nothing is counted of those that left. */
async function gone(sockets: RawSocket[]): Promise<void> {
  for (const { ws } of sockets) ws.terminate()
  const isRoom = async () => {
    const openings = Array.from({ length: MAX_SOCKETS }, (_, n) => openSocket(baton.wsUrl, from(`10.9.0.${n}`)))
    const opened = (await Promise.allSettled(openings)).flatMap(one => (one.status === 'fulfilled' ? [one.value] : []))
    for (const { ws } of opened) ws.terminate()
    return opened.length === MAX_SOCKETS
  }
  await waitFor(isRoom, { what: 'as many as before to be let in', everyMs: 100 })
}

describe('sockets of the process', () => {
  test('are refused with 503 beyond their number, health checks are answered, and who leaves makes room', async () => {
    for (let round = 0; round < 2; round++) {
      const sockets: RawSocket[] = []
      for (let n = 0; n < MAX_SOCKETS; n++) sockets.push(await openSocket(baton.wsUrl, from(`10.${round}.0.${n}`)))
      const before = await refusals(baton, 'TOO_MANY_SOCKETS')
      assert.deepEqual(await refusedUpgrade(baton.wsUrl), { status: 503, code: 'TOO_MANY_SOCKETS', retryAfter: '5' })
      assert.equal(await refusals(baton, 'TOO_MANY_SOCKETS'), before + 1)
      for (const path of ['/livez', '/readyz']) assert.equal((await fetch(baton.url + path)).status, 200)
      await gone(sockets)
    }
  })

  test('of clients that leave in the midst of the handshake hold no place', async () => {
    const upgrade = Buffer.from(
      'GET /ws HTTP/1.1\r\nhost: a\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n'
    )
    for (let n = 0; n < 10 * MAX_SOCKETS; n++) {
      const socket = connect(baton.port, '127.0.0.1').on('error', () => undefined)
      socket.write(upgrade, () => socket.resetAndDestroy())
      await once(socket, 'close')
    }
    await gone([])
    assert.doesNotMatch(baton.logs, /"level":50/)
  })

  test('and connections that say nothing are dropped beyond theirs', async () => {
    const before = await refusals(baton, 'TOO_MANY_SOCKETS')
    const connections: Socket[] = []
    let dropped = 0
    for (let n = 0; n < MAX_SOCKETS + SPARE_CONNECTIONS + 50; n++) {
      const socket = connect(baton.port, '127.0.0.1').on('error', () => undefined)
      socket.once('close', () => dropped++)
      connections.push(socket.resume())
    }
    await waitFor(() => dropped >= 50, { what: 'those over the bound to be dropped' })
    for (const socket of connections) socket.destroy()
    await waitFor(async () => (await refusals(baton, 'TOO_MANY_SOCKETS')) >= before + 50, { what: 'an answer again' })
  })
})

describe('sessions', () => {
  test('from one address are refused with 429 beyond their number; a /64 of IPv6 is one address', async () => {
    for (const [one, same, other] of [
      ['192.0.2.1', '::ffff:192.0.2.1', '192.0.2.2'],
      ['2001:db8:0:1::1', '2001:db8:0:1:ffff::2', '2001:db8:0:2::1']
    ] as const) {
      const sockets: RawSocket[] = []
      for (let n = 0; n < PER_ADDRESS; n++) sockets.push(await openSocket(baton.wsUrl, from(one)))
      const before = await refusals(baton, 'TOO_MANY_SESSIONS')
      const refusal = await refusedUpgrade(baton.wsUrl, from(same).headers)
      assert.deepEqual(refusal, { status: 429, code: 'TOO_MANY_SESSIONS', retryAfter: '10' })
      assert.equal(await refusals(baton, 'TOO_MANY_SESSIONS'), before + 1)
      sockets.push(await openSocket(baton.wsUrl, from(other)))
      await gone(sockets)
    }
  })

  test('of one principal end in ERROR beyond their number, guests do not', async () => {
    const sockets = [
      await connectSocket(baton.wsUrl),
      await connectSocket(baton.wsUrl),
      await connectSocket(baton.wsUrl)
    ]
    for (let n = 0; n < PER_PRINCIPAL; n++)
      sockets.push(await connectSocket(baton.wsUrl, { connect: ANN, ...from(`10.0.0.${n}`) }))
    const over = await openSocket(baton.wsUrl, from('10.0.0.9'))
    over.send(`CONNECT\naccept-version:1.2\n${ANN}\n^@`)
    assert.equal((await refused(over, 'TOO_MANY_SESSIONS', 1013)).headers['retry-after'], '10')
    sockets.at(-1)?.send('DISCONNECT\n\n^@')
    await sockets.at(-1)?.closed()
    sockets.push(await connectSocket(baton.wsUrl, { connect: ANN, ...from('10.0.0.9') }))
    await gone(sockets)
  })
})

test('X-Forwarded-For of someone who is no proxy of ours is not believed', async () => {
  await using strict = await startBaton({ config: { ...CONFIG, http: { trustProxy: ['203.0.113.0/24'] } } })
  for (let n = 0; n < PER_ADDRESS; n++) await openSocket(strict.wsUrl, from(`10.0.0.${n}`))
  const { code } = await refusedUpgrade(strict.wsUrl, from('10.0.0.99').headers)
  assert.equal(code, 'TOO_MANY_SESSIONS')
})
