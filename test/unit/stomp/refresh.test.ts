import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { BatonError } from '../../../src/errors.ts'
import type { RawClient } from '../../support/stomp-pair.ts'
import { refused, serve } from './serve.ts'

const REFRESH = '/app/auth/refresh'
const START_MS = Date.parse('2026-01-01T00:00:00Z')

/** Credentials are `Bearer <name> <seconds until it expires> <claim>`. */
function expiring() {
  const it = serve({ refreshDestination: REFRESH })
  it.world.authenticate = async ({ authorization = '' }) => {
    const [, name = '', seconds = '60', may] = authorization.split(' ')
    if (name === 'bad') throw new BatonError('UNAUTHENTICATED', 'the token is bad')
    return { name, claims: { may }, guest: name === '', expiresAtMs: START_MS + Number(seconds) * 1000 }
  }
  const connect = async (shown = 'ann 60', version = '1.2'): Promise<RawClient> =>
    it.connect(version, `Authorization:Bearer ${shown}\n`)
  return { ...it, connect }
}

const atStart = (t: TestContext) => t.mock.timers.enable({ apis: ['setInterval', 'Date'], now: START_MS })

async function refresh(client: RawClient, shown: string): Promise<void> {
  client.send(`SEND\ndestination:${REFRESH}\nreceipt:r\n\n${shown}^@`)
  assert.equal((await client.expect('RECEIPT')).headers['receipt-id'], 'r')
}

describe('a credential that expires', () => {
  test('ends its session within a second with ERROR and 1008, and not before', async t => {
    atStart(t)
    const client = await expiring().connect()
    t.mock.timers.tick(59_900)
    await refresh(client, 'ann 60')
    t.mock.timers.tick(1000)
    await refused(client, 'TOKEN_EXPIRED', 1008)
  })

  for (const version of ['1.0', '1.1', '1.2']) {
    test(`gives way to a fresh one, as the body or in Authorization, in STOMP ${version}`, async t => {
      atStart(t)
      const { connect, seen, producedBodies } = expiring()
      const client = await connect('ann 60', version)
      await refresh(client, 'ann 120\n')
      t.mock.timers.tick(119_000)
      client.send(`SEND\ndestination:${REFRESH}\nAuthorization:Bearer ann 180 x\nreceipt:r\n\nnot looked at^@`)
      await client.expect('RECEIPT')
      const shown = seen.credentials.map(({ authorization }) => authorization)
      assert.deepEqual(shown, ['Bearer ann 60', 'Bearer ann 120', 'Bearer ann 180 x'])
      client.send('SEND\ndestination:/pub/1\nreceipt:s\n\nx^@')
      await client.expect('RECEIPT')
      assert.deepEqual(producedBodies(), [['x']], 'a refresh is no message')
      assert.equal(seen.requests[0]?.principal.claims['may'], 'x', 'what comes after goes by the fresh one')
      t.mock.timers.tick(60_000)
      t.mock.timers.tick(1000)
      await refused(client, 'TOKEN_EXPIRED', 1008)
    })
  }

  test('is not that of the upgrade when it is refreshed', async () => {
    const { open, seen } = expiring()
    const client = open({ authorization: 'Bearer ann 60', accessToken: 'old' })
    client.send(`CONNECT\naccept-version:1.2\n\n^@SEND\ndestination:${REFRESH}\n\n^@`)
    await client.expect('CONNECTED')
    await refused(client, 'FORBIDDEN', 1008)
    const { authorization, accessToken } = seen.credentials[1] ?? {}
    assert.deepEqual([authorization, accessToken], [undefined, undefined])
  })

  test('of another principal, or a refused one, ends the session', async () => {
    const { connect, seen } = expiring()
    for (const [shown, code] of [
      ['bob 60', 'FORBIDDEN'],
      ['bad', 'UNAUTHENTICATED']
    ] as const) {
      const client = await connect()
      client.send(`SEND\ndestination:${REFRESH}\nreceipt:r\n\n${shown}^@SEND\ndestination:/pub/1\n\nx^@`)
      const { headers, body } = await refused(client, code, 1008)
      assert.equal(headers['receipt-id'], 'r')
      assert.ok(!String(body).includes('bob'))
    }
    assert.deepEqual(seen.requests, [])
  })

  test('that no longer allows a subscription ends the session; temporary ones need no leave', async () => {
    const { connect } = expiring()
    const replies = await connect()
    replies.send('SUBSCRIBE\nid:0\ndestination:/temp-queue/a\n\n^@')
    await refresh(replies, 'ann 60 no-subscribe')
    const client = await connect()
    client.send('SUBSCRIBE\nid:0\ndestination:/sub/1\nreceipt:s\n\n^@')
    await client.expect('RECEIPT')
    await refresh(client, 'ann 60 no-send')
    client.send(`SEND\ndestination:${REFRESH}\n\nann 60 no-subscribe^@`)
    assert.match(String((await refused(client, 'FORBIDDEN', 1008)).body), /subscribe is not allowed on route room/)
  })

  test('is not refreshed within a transaction, nor where none expires', async () => {
    const client = await expiring().connect()
    client.send(`BEGIN\ntransaction:t\n\n^@SEND\ndestination:${REFRESH}\ntransaction:t\n\nann 60^@`)
    await refused(client, 'INVALID_HEADER', 1002)
    const other = await serve().connect()
    other.send(`SEND\ndestination:${REFRESH}\n\nann 60^@`)
    await refused(other, 'UNKNOWN_DESTINATION', 1008)
  })
})
