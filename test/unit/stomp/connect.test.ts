import assert from 'node:assert/strict'
import { describe, mock, test } from 'node:test'
import { chooseVersion, negotiateHeartBeat } from '../../../src/stomp/connect.ts'
import { createHeart } from '../../../src/stomp/heartbeat.ts'
import { stompPair } from '../../support/stomp-pair.ts'
import { waitFor } from '../../support/wait.ts'
import { delivery, refused, serve } from './serve.ts'

describe('CONNECT', () => {
  test('C1 STOMP is another word for CONNECT', async () => {
    for (const command of ['CONNECT', 'STOMP']) {
      const client = serve().open()
      client.send(`${command}\naccept-version:1.2\nhost:x\n\n^@`)
      assert.equal((await client.expect('CONNECTED')).headers['version'], '1.2')
    }
  })

  test('C2 the highest common version is chosen; without accept-version it is 1.0', () => {
    assert.equal(chooseVersion('1.0,1.1,1.2'), '1.2')
    assert.equal(chooseVersion('1.2,1.1,1.0'), '1.2')
    assert.equal(chooseVersion('1.1,2.0'), '1.1')
    assert.equal(chooseVersion('1.0'), '1.0')
    assert.equal(chooseVersion(undefined), '1.0')
  })

  test('C3 without a common version an ERROR lists ours, then the connection is closed', async () => {
    const client = serve().open()
    client.send('CONNECT\naccept-version:2.0,1.9\n\n^@')
    const error = await refused(client, 'UNSUPPORTED_VERSION', 1002)
    assert.equal(error.headers['version'], '1.0,1.1,1.2')
    assert.match(String(error.body), /1\.0,1\.1,1\.2/)
  })

  test('C4 CONNECTED carries version, session, server and heart-beat, and user-name for one who said who they are', async () => {
    const { open } = serve()
    const guest = open()
    guest.send('CONNECT\naccept-version:1.2\n\n^@')
    const { headers } = await guest.expect('CONNECTED')
    assert.match(headers['session'] ?? '', /^[\w-]{36}$/)
    assert.equal(headers['server'], 'baton/9.9.9')
    assert.equal(headers['heart-beat'], '0,0')
    assert.ok(!('user-name' in headers))
    const known = open()
    known.send('CONNECT\naccept-version:1.2\nlogin:a:b\n\n^@')
    assert.equal((await known.expect('CONNECTED')).headers['user-name'], 'a:b')
  })

  test('C4 a 1.0 client gets a session and no heart-beat', async () => {
    const client = serve().open()
    client.send('CONNECT\nheart-beat:nonsense\n\n^@')
    const { headers } = await client.expect('CONNECTED')
    assert.ok(headers['session'])
    assert.equal(headers['version'], '1.0')
    assert.ok(!('heart-beat' in headers))
  })

  test('C6 credentials come from the frame, else from the upgrade; who is refused gets an ERROR and is closed', async () => {
    const { open, seen } = serve()
    open({ authorization: 'Bearer upgrade', accessToken: 'query' }).send('CONNECT\naccept-version:1.2\n\n^@')
    open({ authorization: 'Bearer upgrade' }).send(
      'CONNECT\naccept-version:1.2\nlogin:me\npasscode:a\\cb\nAuthorization:Bearer frame\n\n^@'
    )
    const client = open()
    client.send('CONNECT\naccept-version:1.2\nlogin:me\npasscode:wrong\nreceipt:1\n\n^@')
    await refused(client, 'UNAUTHENTICATED', 1008)
    const shown = seen.credentials.map(({ headers: _, ...credentials }) => credentials)
    const from = { path: '/ws', remoteAddress: '192.0.2.1' }
    assert.deepEqual(shown.slice(0, 2), [
      { ...from, authorization: 'Bearer upgrade', accessToken: 'query' },
      { ...from, login: 'me', passcode: 'a\\cb', authorization: 'Bearer frame' }
    ])
    assert.equal(seen.credentials[1]?.headers?.get('accept-version'), '1.2')
    assert.ok(!JSON.stringify(seen.log).includes('wrong'))
  })

  test('C7 any frame before CONNECT is refused', async () => {
    for (const frame of ['SEND\ndestination:/pub/1\n\nx^@', 'DISCONNECT\n\n^@', 'connect\n\n^@']) {
      const client = serve().open()
      client.send(frame)
      await refused(client, 'NOT_CONNECTED', 1002)
    }
  })

  test('C7 what is no command is not logged, for it could be a token', async () => {
    const { open, seen } = serve()
    for (const command of ['Bearer eyJhbGciOi', 'eyJhbGciOi', 'GET /ws?access_token=eyJhbGciOi HTTP/1.1']) {
      const client = open()
      client.send(`${command}\n\n^@`)
      await refused(client, 'NOT_CONNECTED', 1002)
    }
    assert.equal(seen.log.length, 3)
    assert.doesNotMatch(JSON.stringify(seen.log), /eyJ/)
  })

  test('C7 a second CONNECT is refused', async () => {
    const client = await serve().connect()
    client.send('CONNECT\naccept-version:1.2\n\n^@')
    await refused(client, 'ALREADY_CONNECTED', 1002)
  })

  test('T4 T6 frames behind CONNECT in one chunk are read in the version that it brings', async () => {
    const { open, seen } = serve()
    const client = open()
    client.send('CONNECT\naccept-version:1.1\n\n^@SEND\ndestination:/pub/1\nreceipt:1\nx:\\c\r\n\nbody^@')
    await client.expect('CONNECTED')
    await client.expect('RECEIPT')
    assert.equal(seen.requests[0]?.headers['x'], ':\r')
  })

  test('C11 who does not CONNECT in time is refused', async () => {
    const client = serve({ connectTimeoutMs: 1 }).open()
    client.send('CONN')
    await refused(client, 'CONNECT_TIMEOUT', 1002)
  })

  test('C11 who did CONNECT has all the time of the world', async t => {
    t.mock.timers.enable({ apis: ['setInterval', 'Date'] })
    const { connect } = serve({ connectTimeoutMs: 1000 })
    const client = await connect()
    for (let i = 0; i < 20; i++) t.mock.timers.tick(250)
    client.send('DISCONNECT\nreceipt:1\n\n^@')
    await client.expect('RECEIPT')
  })

  test('C10 clients that connect and go at once leave nothing behind', async () => {
    const { open, server, metrics } = serve()
    for (let i = 0; i < 50; i++) {
      const client = open()
      client.send('CONNECT\naccept-version:1.2\n\n^@SUBSCRIBE\nid:0\ndestination:/sub/1\n\n^@')
      await client.expect('CONNECTED')
      client.drop()
    }
    await waitFor(() => [...server.sessions()].length === 0, { what: 'all sessions to be gone' })
    assert.equal((await metrics.sessions.get()).values[0]?.value, 0)
    assert.equal((await metrics.subscriptions.get()).values[0]?.value, 0)
  })
})

describe('heart-beats', () => {
  test('C8 each direction goes at the slower of what one can and the other wants, down to 1,000 ms', () => {
    const rhythm = (proposed: string | undefined, heartBeatMs = 10_000) => negotiateHeartBeat(proposed, heartBeatMs)
    assert.deepEqual(rhythm('10000,10000'), {
      header: '10000,10000',
      rhythm: { sendEveryMs: 10_000, expectEveryMs: 10_000 }
    })
    assert.deepEqual(rhythm('1000,2000'), { header: '2000,1000', rhythm: { sendEveryMs: 2000, expectEveryMs: 1000 } })
    assert.deepEqual(rhythm('5,5'), { header: '1000,1000', rhythm: { sendEveryMs: 1000, expectEveryMs: 1000 } })
    assert.deepEqual(rhythm('60000,60000'), {
      header: '10000,10000',
      rhythm: { sendEveryMs: 60_000, expectEveryMs: 60_000 }
    })
    assert.deepEqual(rhythm('0,5000'), { header: '5000,0', rhythm: { sendEveryMs: 5000, expectEveryMs: 0 } })
    for (const none of [rhythm(undefined), rhythm('0,0'), rhythm('5000,5000', 0)]) {
      assert.deepEqual(none, { header: '0,0', rhythm: { sendEveryMs: 0, expectEveryMs: 0 } })
    }
  })

  test('C8 a malformed heart-beat is refused', async () => {
    for (const bad of ['x', '1000', '-1,0', '1000,1000,1000', '1.5,1']) {
      const client = serve().open()
      client.send(`CONNECT\naccept-version:1.2\nheart-beat:${bad}\n\n^@`)
      await refused(client, 'INVALID_HEADER', 1002)
    }
  })

  test('C9 a client that falls silent is closed, one that sends anything is not', async t => {
    t.mock.timers.enable({ apis: ['setInterval', 'Date'] })
    const { connect } = serve()
    const [silent, alive] = [await connect('1.2', 'heart-beat:1000,0\n'), await connect('1.2', 'heart-beat:1000,0\n')]
    for (let ms = 0; ms < 3000; ms += 250) {
      alive.send('\n')
      await new Promise(resolve => setImmediate(resolve))
      t.mock.timers.tick(250)
    }
    await refused(silent, 'HEARTBEAT_TIMEOUT', 1002)
    alive.send('DISCONNECT\nreceipt:1\n\n^@')
    await alive.expect('RECEIPT')
  })

  test('C9 an idle server sends an EOL within each interval, a busy one need not', async t => {
    t.mock.timers.enable({ apis: ['setInterval', 'Date'] })
    const { connect, publish } = serve()
    const client = await connect('1.2', 'heart-beat:0,1000\n')
    const tick = async () => {
      t.mock.timers.tick(250)
      await new Promise(resolve => setImmediate(resolve))
    }
    for (let ms = 0; ms < 10_000; ms += 250) await tick()
    assert.ok(client.beats >= 10 && client.beats <= 14, `${client.beats} beats in ten seconds`)
    client.send('SUBSCRIBE\nid:0\ndestination:/sub/1\nreceipt:1\n\n^@')
    await client.expect('RECEIPT')
    const before = client.beats
    for (let ms = 0; ms < 5000; ms += 250) {
      publish('/sub/1', delivery('1', 'x'))
      await new Promise(resolve => setImmediate(resolve))
      await tick()
    }
    assert.equal(client.beats, before)
  })

  test('nobody is declared dead for a time in which the process stood still', t => {
    t.mock.timers.enable({ apis: ['setInterval', 'Date'] })
    const heart = createHeart({ connectTimeoutMs: 10_000, sendQueueAgeMs: 10_000 })
    const silent = mock.fn()
    const pulse = heart.watch(stompPair().transport, { late() {}, stuck() {}, ticked() {}, silent })
    pulse.greeted()
    pulse.begin({ sendEveryMs: 0, expectEveryMs: 1000 })
    t.mock.timers.setTime(Date.now() + 3_600_000)
    t.mock.timers.tick(250)
    assert.equal(silent.mock.callCount(), 0)
    for (let ms = 0; ms < 3000; ms += 250) t.mock.timers.tick(250)
    assert.ok(silent.mock.callCount() > 0)
    heart.close()
  })

  test('the age of a send queue is that of its oldest byte', t => {
    t.mock.timers.enable({ apis: ['setInterval', 'Date'] })
    const heart = createHeart({ connectTimeoutMs: 100_000, sendQueueAgeMs: 2000 })
    const stuck = mock.fn()
    const queue = { queuedBytes: 0, writtenBytes: 0, paused: false, write() {} }
    const pulse = heart.watch(queue, { late() {}, silent() {}, ticked() {}, stuck })
    // 100 bytes more each tick, of which the client reads as many: the queue is never empty, yet nothing in it gets old.
    for (let i = 0; i < 40; i++) {
      queue.writtenBytes += 100
      queue.queuedBytes = 500
      t.mock.timers.tick(250)
    }
    assert.equal(stuck.mock.callCount(), 0)
    queue.queuedBytes = 600
    for (let i = 0; i < 40 && stuck.mock.callCount() === 0; i++) {
      queue.writtenBytes += 100
      queue.queuedBytes += 100
      t.mock.timers.tick(250)
      assert.equal(stuck.mock.callCount() > 0, i > 3, `tick ${i}`)
    }
    pulse.stop()
    heart.close()
  })
})
