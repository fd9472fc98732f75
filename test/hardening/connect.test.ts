import assert from 'node:assert/strict'
import { request } from 'node:http'
import { after, before, describe, test } from 'node:test'
import { type Baton, startBaton } from '../support/baton.ts'
import { refusals } from '../support/metric.ts'
import { type ConnectOptions, connectSocket, openSocket, refused } from '../support/raw-client.ts'
import { once } from '../support/wait.ts'

// From the upgrade to CONNECTED, and what keeps a connection alive after it, on real sockets to real processes.

const PASSCODE = 'open-sesame'
const USERS = {
  http: { allowedOrigins: ['https://chat.example'] },
  auth: { mode: 'users', users: [{ login: 'ann', passcode: PASSCODE }] },
  lifecycle: { drainTimeoutMs: 0 },
  routes: { open: { topic: 'open', channel: 'open', destination: '/sub/open' } }
}

let baton: Baton
let strict: Baton

before(async () => {
  baton = await startBaton({ env: { BATON_STOMP_CONNECT_TIMEOUT_MS: '1000', BATON_LIFECYCLE_DRAIN_TIMEOUT_MS: '0' } })
  strict = await startBaton({ config: USERS })
})

after(() => Promise.all([baton.stop(), strict.stop()]))

/** What the server answers to an upgrade that it does not take. */
async function upgradeRefusal(url: string, headers: Record<string, string>) {
  const asked = request(url.replace('ws:', 'http:'), {
    headers: {
      connection: 'Upgrade',
      upgrade: 'websocket',
      'sec-websocket-version': '13',
      'sec-websocket-key': 'AAAAAAAAAAAAAAAAAAAAAA==',
      ...headers
    }
  })
  asked.end()
  const [response] = (await once(asked, 'response', { what: 'an answer to the upgrade' })) as [AsyncIterable<Buffer>]
  const { statusCode, headers: answered } = response as unknown as {
    statusCode: number
    headers: Record<string, string>
  }
  // It is closed then: whoever keeps connections must know.
  assert.equal(answered['connection'], 'close')
  const problem = JSON.parse(String(Buffer.concat(await Array.fromAsync(response)))) as Record<string, unknown>
  return { statusCode, type: answered['content-type'] ?? '', problem }
}

async function connected(lines: string, command = 'CONNECT', url = baton.wsUrl) {
  const socket = await openSocket(url)
  socket.send(`${command}\n${lines}\n^@`)
  return { socket, headers: (await socket.expect('CONNECTED')).headers }
}

describe('the upgrade', () => {
  for (const [offered, chosen] of [
    [[], ''],
    [['v12.stomp'], 'v12.stomp'],
    [['v10.stomp', 'v11.stomp'], 'v11.stomp'],
    [['v10.stomp', 'v11.stomp', 'v12.stomp'], 'v12.stomp'],
    [['mqtt', 'v10.stomp', 'v13.stomp'], 'v10.stomp']
  ] as [string[], string][]) {
    test(`T1 T2 of [${offered}] the sub-protocol chosen is "${chosen}"`, async () => {
      assert.equal((await openSocket(baton.wsUrl, { protocols: offered })).ws.protocol, chosen)
    })
  }

  test('T3 an unknown sub-protocol is not echoed, so that the client fails the connection itself', async () => {
    await assert.rejects(openSocket(baton.wsUrl, { protocols: ['mqtt'] }), /no subprotocol/)
  })

  test('T4 the version is that of accept-version, whatever the sub-protocol says', async () => {
    await connectSocket(baton.wsUrl, { protocols: ['v12.stomp'], version: '1.1' })
    await connectSocket(baton.wsUrl, { protocols: ['v10.stomp'], version: '1.2' })
  })

  test('T9 a page that is not listed is answered with 403, a program without an Origin passes', async () => {
    const { statusCode, type, problem } = await upgradeRefusal(strict.wsUrl, { origin: 'https://evil.example' })
    assert.equal(statusCode, 403)
    assert.match(type, /^application\/problem\+json/)
    assert.equal(problem['code'], 'ORIGIN_REFUSED')
    await openSocket(strict.wsUrl, { headers: { origin: 'https://chat.example' } })
    await openSocket(strict.wsUrl)
  })

  test('T9 where nobody signs in, pages of a development server may connect, and no stranger’s', async () => {
    await openSocket(baton.wsUrl, { headers: { origin: 'http://localhost:5173' } })
    const { statusCode } = await upgradeRefusal(baton.wsUrl, { origin: 'https://anywhere.example' })
    assert.equal(statusCode, 403)
  })

  test('a path without STOMP is answered with 404', async () => {
    const { statusCode, problem } = await upgradeRefusal(`${baton.wsUrl}/nowhere`, {})
    assert.equal(statusCode, 404)
    assert.equal(problem['code'], 'NOT_FOUND')
  })
})

describe('CONNECT', () => {
  test('C1 STOMP is the same', async () => {
    assert.equal((await connected('accept-version:1.2\nhost:x\n', 'STOMP')).headers['version'], '1.2')
  })

  for (const [accepted, version] of [
    ['', '1.0'],
    ['accept-version:1.0\n', '1.0'],
    ['accept-version:1.1\n', '1.1'],
    ['accept-version:1.0,1.1,1.2\n', '1.2'],
    ['accept-version:1.2,1.1,1.0\n', '1.2'],
    ['accept-version: 1.1 , 1.3,2.0\n', '1.1']
  ] as const) {
    test(`C2 ${JSON.stringify(accepted)} is answered with version ${version}`, async () => {
      assert.equal((await connected(accepted)).headers['version'], version)
    })
  }

  for (const accepted of ['1.3', '2.0,3.0', '1', '', '1.2.0']) {
    test(`C3 accept-version:${accepted} is answered with ERROR and the versions there are`, async () => {
      const socket = await openSocket(baton.wsUrl)
      socket.send(`CONNECT\naccept-version:${accepted}\n\n^@`)
      const { headers } = await refused(socket, 'UNSUPPORTED_VERSION', 1002)
      assert.equal(headers['version'], '1.0,1.1,1.2')
    })
  }

  test('C4 C5 CONNECTED tells version, session, server and heart-beat, and asks for no host', async () => {
    const { headers } = await connected('accept-version:1.2\nheart-beat:0,0\nreceipt:ignored\n')
    assert.deepEqual(Object.keys(headers), ['version', 'session', 'server', 'heart-beat'])
    assert.match(headers['server'] ?? '', /^baton\/\d/)
    assert.equal(headers['heart-beat'], '0,0')
    assert.ok(!('heart-beat' in (await connected('heart-beat:1000,1000\n')).headers))
    const [a, b] = [await connected(''), await connected('')]
    assert.notEqual(a.headers['session'], b.headers['session'])
  })

  test('F3 its headers are not unescaped, and its lines may end in CRLF', async () => {
    const { socket, headers } = await connected('accept-version:1.2\r\nlogin:a\\q\r\n\r', 'CONNECT\r')
    assert.equal(headers['version'], '1.2')
    await socket.done('BEGIN\r\ntransaction:t\r\n\r\n^@')
  })

  test('C6 a wrong or missing passcode is answered with ERROR, which does not tell it', async () => {
    for (const lines of ['', 'login:ann\n', 'login:ann\npasscode:open\n', `login:bob\npasscode:${PASSCODE}\n`]) {
      const socket = await openSocket(strict.wsUrl)
      socket.send(`CONNECT\naccept-version:1.2\n${lines}\n^@`)
      const { body } = await refused(socket, 'UNAUTHENTICATED', 1008)
      assert.ok(!body.includes('open'))
    }
    assert.ok(!strict.logs.includes(PASSCODE))
    const { headers } = await connected(
      `accept-version:1.2\nlogin:ann\npasscode:${PASSCODE}\n`,
      'CONNECT',
      strict.wsUrl
    )
    assert.equal(headers['user-name'], 'ann')
  })

  for (const frame of [
    'SEND\ndestination:/topic/a\nreceipt:r\n\nx^@',
    'DISCONNECT\nreceipt:r\n\n^@',
    'CONNECTED\nreceipt:r\n\n^@'
  ]) {
    test(`C7 ${frame.split('\n', 1)} before CONNECT is answered with ERROR`, async () => {
      const socket = await openSocket(baton.wsUrl)
      socket.send(frame)
      assert.equal((await refused(socket, 'NOT_CONNECTED', 1002)).headers['receipt-id'], 'r')
    })
  }

  test('C7 what is no STOMP at all is answered with ERROR', async () => {
    const socket = await openSocket(baton.wsUrl)
    socket.send('GET / HTTP/1.1\r\nhost: a\r\n\r\n^@')
    await refused(socket, 'NOT_CONNECTED', 1002)
  })

  for (const command of ['CONNECT', 'STOMP']) {
    test(`C7 a second one (${command}) is answered with ERROR`, async () => {
      const socket = await connectSocket(baton.wsUrl)
      socket.send(`${command}\naccept-version:1.2\n\n^@`)
      await refused(socket, 'ALREADY_CONNECTED', 1002)
    })
  }

  test('F9 a body is answered with ERROR', async () => {
    const socket = await openSocket(baton.wsUrl)
    socket.send('CONNECT\naccept-version:1.2\n\nbody^@')
    await refused(socket, 'BODY_NOT_ALLOWED', 1002)
  })

  test('C10 hundreds that connect and go at once leave the server as it was', async () => {
    const clients = Array.from({ length: 200 }, async (_, n) => {
      const socket = await openSocket(baton.wsUrl)
      socket.send('CONNECT\naccept-version:1.2\n\n^@')
      if (n % 2 === 0) socket.ws.terminate()
      else socket.send('DISCONNECT\n\n^@')
      return socket.closed()
    })
    const ends = await Promise.all(clients)
    assert.deepEqual(new Set(ends.map(({ code }) => code)), new Set([1006, 1000]))
    await connectSocket(baton.wsUrl)
  })

  test('C11 a socket that never CONNECTs is answered with ERROR and closed, heart-beats or not', async () => {
    const before = await refusals(baton, 'CONNECT_TIMEOUT')
    const silent = await openSocket(baton.wsUrl)
    const beating = await openSocket(baton.wsUrl)
    const beats = setInterval(() => beating.send('\n'), 100)
    await refused(silent, 'CONNECT_TIMEOUT', 1002)
    await refused(beating, 'CONNECT_TIMEOUT', 1002)
    clearInterval(beats)
    assert.ok((await refusals(baton, 'CONNECT_TIMEOUT')) >= before + 2)
  })
})

describe('heart-beats', { concurrency: true }, () => {
  for (const [asked, answered] of [
    ['0,0', '0,0'],
    ['10000,10000', '10000,10000'],
    ['1000,0', '0,1000'],
    ['0,2000', '2000,0'],
    ['1,1', '1000,1000'],
    ['60000,60000', '10000,10000']
  ] as const) {
    test(`C8 ${asked} is answered with ${answered}`, async () => {
      const { headers } = await connected(`accept-version:1.2\nheart-beat:${asked}\n`)
      assert.equal(headers['heart-beat'], answered)
    })
  }

  for (const malformed of [
    '',
    '1000',
    '1000,',
    'a,b',
    '-1,0',
    '1.5,1',
    '1000,1000,1000',
    ' 1000, 1000',
    '1e3,0',
    '9'.repeat(20)
  ]) {
    test(`C8 "${malformed}" is answered with ERROR`, async () => {
      const socket = await openSocket(baton.wsUrl)
      socket.send(`CONNECT\naccept-version:1.2\nheart-beat:${malformed}\n\n^@`)
      await refused(socket, 'INVALID_HEADER', 1002)
    })
  }

  const HEART_BEAT: ConnectOptions = { connect: 'heart-beat:1000,1000\n' }

  test('C9 an idle client gets an EOL within each interval, and one that sends nothing is closed within three', async () => {
    const socket = await connectSocket(baton.wsUrl, HEART_BEAT)
    const start = performance.now()
    await refused(socket, 'HEARTBEAT_TIMEOUT', 1002)
    const elapsedMs = performance.now() - start
    assert.ok(elapsedMs > 2000 && elapsedMs < 3500, `closed after ${elapsedMs} ms`)
    assert.ok(socket.beats >= 2, `${socket.beats} EOLs`)
  })

  test('C9 any data counts: EOLs, frames, and parts of one', async () => {
    const socket = await connectSocket(baton.wsUrl, HEART_BEAT)
    const parts = ['\n', 'BEGIN\n', 'transaction:t\n', '\n', '\0', '\n', 'COMMIT\ntransaction:t\n\n^@']
    let at = 0
    const sending = setInterval(() => socket.send(parts[at++ % parts.length] as string), 700)
    try {
      while (socket.beats < 5) await once(socket.ws, 'message', { what: 'an EOL' })
    } finally {
      clearInterval(sending)
    }
    await socket.done('BEGIN\ntransaction:u\n\n^@')
  })

  test('C9 a WebSocket ping is no heart-beat', async () => {
    const socket = await connectSocket(baton.wsUrl, HEART_BEAT)
    const pings = setInterval(() => socket.ws.ping(), 300)
    await refused(socket, 'HEARTBEAT_TIMEOUT', 1002)
    clearInterval(pings)
  })
})
