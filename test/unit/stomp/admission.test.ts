import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { BatonError } from '../../../src/errors.ts'
import { createTally } from '../../../src/stomp/tally.ts'
import type { RawClient } from '../../support/stomp-pair.ts'
import { waitFor } from '../../support/wait.ts'
import { refused, serve } from './serve.ts'

const coded = (code: string) => (error: unknown) => error instanceof BatonError && error.code === code

function connectAs(client: RawClient, login: string): void {
  client.send(`CONNECT\naccept-version:1.2\n${login && `login:${login}\n`}\n^@`)
}

describe('who may still come', () => {
  test('of one principal so many, and another once one has left, by whichever way', async () => {
    const { connect } = serve({ maxSessionsPerPrincipal: 2 })
    const first = await connect('1.2', 'login:ann\n')
    const second = await connect('1.2', 'login:ann\n')
    await connect('1.2', 'login:bob\n')
    first.drop()
    const third = await connect('1.2', 'login:ann\n')
    second.send('DISCONNECT\n\n^@')
    await second.closed()
    await connect('1.2', 'login:ann\n')
    third.send('NONSENSE\n\n^@')
    await refused(third, 'UNKNOWN_COMMAND', 1002)
    await connect('1.2', 'login:ann\n')
  })

  test('one too many is refused at CONNECT, and told when to come back', async () => {
    const { connect, open, metrics } = serve({ maxSessionsPerPrincipal: 1 })
    await connect('1.2', 'login:ann\n')
    const second = open()
    connectAs(second, 'ann')
    const error = await refused(second, 'TOO_MANY_SESSIONS', 1013)
    assert.equal(error.headers['retry-after'], '10')
    const { values } = await metrics.refused.get()
    assert.deepEqual(
      values.map(({ labels, value }) => [labels.code, value]),
      [['TOO_MANY_SESSIONS', 1]]
    )
  })

  test('guests are no principal: they count by address', async () => {
    const { connect, server } = serve({ maxSessionsPerPrincipal: 1, maxSessionsPerAddress: 3 })
    for (let n = 0; n < 2; n++) await connect()
    server.admit('192.0.2.1')
    await connect()
    assert.throws(() => server.admit('192.0.2.1'), coded('TOO_MANY_SESSIONS'))
    assert.throws(() => server.admit('::ffff:192.0.2.1'), coded('TOO_MANY_SESSIONS'))
    server.admit('192.0.2.2')
  })

  test('of the process so many sockets, connected or not', async () => {
    const { open, server } = serve({ maxSockets: 2 })
    const clients = [open(), open()]
    assert.throws(() => server.admit('192.0.2.9'), coded('TOO_MANY_SOCKETS'))
    clients[0]?.drop()
    const isRoom = () => {
      server.admit('192.0.2.9')
      return true
    }
    await waitFor(isRoom, { what: 'room for another' })
  })

  test('after any coming and going all have left: exactly as many may come again', async () => {
    const ends = ['drop', 'disconnect', 'nonsense', 'silent', 'wrong'] as const
    const visit = fc.record({ login: fc.constantFrom('ann', 'bob', ''), end: fc.constantFrom(...ends) })
    const property = fc.asyncProperty(fc.array(visit, { maxLength: 12 }), async visits => {
      const bounds = { maxSockets: 20, maxSessionsPerAddress: 20, maxSessionsPerPrincipal: 2 }
      const { open, server } = serve(bounds)
      const clients = visits.map(({ login, end }) => {
        const client = open()
        if (end === 'wrong') client.send('CONNECT\naccept-version:1.2\nlogin:ann\npasscode:wrong\n\n^@')
        else if (end !== 'silent') connectAs(client, login)
        if (end === 'disconnect') client.send('DISCONNECT\n\n^@')
        if (end === 'nonsense') client.send('NONSENSE\n\n^@')
        return client
      })
      await new Promise(setImmediate)
      for (const { duplex } of clients) duplex.destroy()
      await waitFor(() => [...server.sessions()].length === 0, { what: 'all to have gone', everyMs: 1 })
      for (const login of ['ann', 'bob']) {
        for (let n = 0; n < 2; n++) {
          const client = open()
          connectAs(client, login)
          await client.expect('CONNECTED')
        }
        const over = open()
        connectAs(over, login)
        await refused(over, 'TOO_MANY_SESSIONS', 1013)
      }
      await server.close()
    })
    await fc.assert(property, { numRuns: 50 })
  })
})

test('a tally keeps nothing of those that have left', () => {
  const property = fc.property(fc.array(fc.constantFrom('a', 'b', '__proto__')), keys => {
    const tally = createTally()
    for (const [index, key] of keys.entries()) {
      tally.add(key)
      assert.equal(tally.of(key), keys.slice(0, index + 1).filter(other => other === key).length)
    }
    assert.equal(tally.size, new Set(keys).size)
    for (const key of keys) tally.remove(key)
    assert.deepEqual([tally.size, tally.of('a')], [0, 0])
  })
  fc.assert(property)
})
