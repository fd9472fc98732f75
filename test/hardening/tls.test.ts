import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect as connectPlain } from 'node:net'
import { after, before, describe, test } from 'node:test'
import { type ConnectionOptions, connect, getCACertificates, setDefaultCACertificates } from 'node:tls'
import { type Baton, startBaton } from '../support/baton.ts'
import { selfSigned } from '../support/certificate.ts'
import { refusals } from '../support/metric.ts'
import { CLIENTS } from '../support/stomp-client.ts'
import { deadline, waitFor } from '../support/wait.ts'
import { faultsOf } from '../unit/config-of.ts'

const own = selfSigned()
const other = selfSigned()
const routes = { any: { topic: 'any', channel: 'any', destination: '/any' } }

describe('with http.tls', () => {
  let baton: Baton
  before(async () => {
    setDefaultCACertificates([...getCACertificates(), own.cert])
    const { cert, key } = own.files
    const files = { BATON_HTTP_TLS_CERT_FILE: cert, BATON_HTTP_TLS_KEY_FILE: key }
    baton = await startBaton({ env: { ...files, BATON_HTTP_HEADERS_TIMEOUT_MS: '3000' } })
  })
  after(() => baton.stop())

  for (const [name, open] of CLIENTS) {
    test(`${name} speaks STOMP over wss, and what is fanned out comes whole and in order`, async () => {
      assert.match(baton.wsUrl, /^wss:/)
      const destination = `/topic/tls/${name}`
      const readers = await Promise.all([open(baton.wsUrl), open(baton.wsUrl), open(baton.wsUrl)])
      const subscriptions = await Promise.all(readers.map(reader => reader.subscribe(destination)))
      const bodies = Array.from({ length: 200 }, (_, n) => `${n} ${'x'.repeat((n * 997) % 20_000)}`)
      await Promise.all(bodies.map(body => readers[0]?.send(destination, body)))
      for (const { messages } of subscriptions) {
        await waitFor(() => messages.length >= bodies.length, { what: () => `all messages, ${messages.length} came` })
        assert.deepEqual(
          messages.map(({ body }) => `${body}`),
          bodies
        )
      }
      await Promise.all(readers.map(reader => reader[Symbol.asyncDispose]()))
    })
  }

  test('HTTP is https on the same port, and plain text is not answered', async () => {
    const { status, headers } = await fetch(`${baton.url}/readyz`)
    assert.deepEqual([status, headers.get('strict-transport-security')], [200, 'max-age=31536000'])
    await assert.rejects(fetch(`${baton.url.replace('https', 'http')}/readyz`))
  })

  test('a connection that never says hello is closed within its bound, and counted', async () => {
    const silent = connectPlain(baton.port, '127.0.0.1').on('error', () => undefined)
    await deadline(once(silent.resume(), 'close'), 8000, 'the connection to be closed')
    assert.equal(await refusals(baton, 'REQUEST_TIMEOUT'), 1)
  })

  const protocolWith = async (options: ConnectionOptions) => {
    const socket = connect({ host: '127.0.0.1', port: baton.port, ...options })
    try {
      await once(socket, 'secureConnect')
      return socket.getProtocol()
    } finally {
      socket.destroy()
    }
  }

  test('TLS 1.2 and 1.3 are spoken, nothing before', async () => {
    assert.equal(await protocolWith({}), 'TLSv1.3')
    assert.equal(await protocolWith({ maxVersion: 'TLSv1.2' }), 'TLSv1.2')
    // A client that would: it is the server who refuses.
    const old = { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'ALL@SECLEVEL=0' } as const
    await assert.rejects(protocolWith(old), { code: 'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION' })
  })
})

test('a certificate or key that cannot be used is a fault at its path, which does not quote it', () => {
  const weak = selfSigned(1024)
  for (const [tls, fault] of [
    [{ cert: 'hidden', key: own.key }, /http\.tls\.cert: must be a certificate in PEM/],
    [{ cert: own.cert, key: 'hidden' }, /http\.tls\.key: must be a private key in PEM/],
    [{ cert: own.cert, key: other.key }, /http\.tls\.key: does not belong to the certificate/],
    [{ cert: weak.cert, key: weak.key }, /http\.tls\.cert: is refused by OpenSSL/],
    [{ cert: own.cert }, /http\.tls: key is missing/]
  ] as const) {
    const [told = '', ...more] = faultsOf({ routes, http: { tls } })
    assert.match(told, fault)
    assert.doesNotMatch(told, /hidden/)
    assert.deepEqual(more, [])
  }
  assert.deepEqual(faultsOf({ routes, http: { tls: { cert: own.cert + other.cert, key: own.key } } }), [])
})
