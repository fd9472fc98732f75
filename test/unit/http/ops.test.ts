import assert from 'node:assert/strict'
import { test } from 'node:test'
import pino from 'pino'
import { createHttpServer } from '../../../src/http/server.ts'
import { freePorts } from '../../support/ports.ts'
import { logOf, serve } from './serve.ts'

interface Body {
  code: string
  detail: string
}

test('/readyz is 503 while a check fails, names it, and turns to 503 when draining', async () => {
  let ok = false
  await using it = await serve({ checks: () => [{ name: 'redis', ok, ...(!ok && { detail: 'connecting' }) }] })
  const waiting = await fetch(`${it.url}/readyz`)
  assert.equal(waiting.status, 503)
  assert.deepEqual(await waiting.json(), { ready: false, checks: [{ name: 'redis', ok: false, detail: 'connecting' }] })
  ok = true
  assert.equal((await fetch(`${it.url}/readyz`)).status, 200)
  it.server.drain()
  assert.equal((await fetch(`${it.url}/readyz`)).status, 503)
  assert.equal((await fetch(`${it.url}/livez`)).status, 200)
})

test('/metrics speaks the Prometheus text format', async () => {
  await using it = await serve()
  it.metrics.deliveries.inc(7)
  const response = await fetch(`${it.url}/metrics`)
  assert.match(String(response.headers.get('content-type')), /^text\/plain; version=0\.0\.4/)
  assert.match(await response.text(), /^baton_deliveries_total 7$/m)
})

test('a replica without the edge role serves health and metrics only', async () => {
  await using it = await serve({ edge: false })
  assert.equal((await fetch(`${it.url}/livez`)).status, 200)
  for (const path of ['/', '/history?destination=/a', '/console/stats', '/ws'])
    assert.equal((await fetch(it.url + path)).status, 404)
})

test('unknown paths are 404, known ones with another method 405 with Allow, all as problems', async () => {
  await using it = await serve()
  const unknown = await fetch(`${it.url}/nowhere?access_token=secret`)
  assert.equal(unknown.status, 404)
  assert.match(String(unknown.headers.get('content-type')), /^application\/problem\+json/)
  assert.equal(((await unknown.json()) as Body).detail, 'nothing is served at /nowhere')
  assert.equal((await fetch(`${it.url}/console/nothing.js`)).status, 404)
  const wrong = await fetch(`${it.url}/history`, {
    method: 'POST',
    body: '{}',
    headers: { 'content-type': 'application/json' }
  })
  assert.equal(wrong.status, 405)
  assert.equal(wrong.headers.get('allow'), 'GET, HEAD')
  const malformed = await fetch(`${it.url}/%zz`)
  assert.equal(malformed.status, 400)
  assert.match(String(malformed.headers.get('content-type')), /^application\/problem\+json/)
})

test('an error of ours is logged once and tells the client nothing', async () => {
  const lines: string[] = []
  const logger = pino({ level: 'debug' }, { write: (line: string) => lines.push(line) })
  const log = { ...logOf([]), read: () => Promise.reject(new Error('a secret of the house')) }
  await using it = await serve({ logger, edge: { log } })
  const response = await fetch(`${it.url}/history?destination=/sub/chat/7`)
  assert.equal(response.status, 500)
  assert.equal(((await response.json()) as Body).detail, 'see the log of the gateway')
  await it.server.close()
  assert.equal(lines.filter(line => line.includes('a secret of the house')).length, 1)
})

test('only listed origins read answers from other sites', async () => {
  await using it = await serve({ http: { corsOrigins: ['https://chat.example'] } })
  const allowed = async (origin: string) =>
    (await fetch(`${it.url}/livez`, { headers: { origin } })).headers.get('access-control-allow-origin')
  assert.equal(await allowed('https://chat.example'), 'https://chat.example')
  assert.equal(await allowed('https://evil.example'), null)
  const preflight = await fetch(`${it.url}/history`, {
    method: 'OPTIONS',
    headers: {
      origin: 'https://chat.example',
      'access-control-request-method': 'GET',
      'access-control-request-headers': 'authorization'
    }
  })
  assert.equal(preflight.status, 204)
  assert.equal(preflight.headers.get('access-control-allow-headers'), 'authorization')
})

test('a port in use is an error that names the address, and close is idempotent before and after', async () => {
  await using it = await serve()
  const options = {
    http: {
      ...{ host: '127.0.0.1', port: it.port, corsOrigins: [], allowedOrigins: [], allowAbsentOrigin: false },
      ...{ console: true, maxBodyBytes: 1, headersTimeoutMs: 1, requestTimeoutMs: 1, trustProxy: [] }
    },
    admin: { host: '127.0.0.1' },
    stomp: { paths: [], maxBodyBytes: 1, maxHeaderBytes: 1, maxSockets: 1 }
  }
  const second = createHttpServer(
    { ...options, auth: { mode: 'none' }, routes: {}, version: '0' },
    { logger: pino({ level: 'silent' }), metrics: it.metrics, checks: () => [] }
  )
  await second.close()
  await assert.rejects(second.start(), new RegExp(`EADDRINUSE.*127\\.0\\.0\\.1:${it.port}`))
  await second.close()
  await it.server.close()
})

test('the server comes back on the port it left', async () => {
  const [port] = (await freePorts(1)) as [number]
  for (const round of [1, 2]) {
    await using it = await serve({ http: { port } })
    assert.equal((await fetch(`${it.url}/livez`)).status, 200, `round ${round}`)
  }
})
