import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { describe, test } from 'node:test'
import pino from 'pino'
import { BatonError } from '../../../src/errors.ts'
import type { Inbound, SendRequest } from '../../../src/inbound.ts'
import type { Produced } from '../../../src/ports.ts'
import type { Reply } from '../../../src/reply.ts'
import { waitFor } from '../../support/wait.ts'
import { aRoute, routesOf, sendBy, serve } from './serve.ts'

const route = aRoute({ send: sendBy('POST /rooms/{room.id}/messages') })

/** Takes everything, keeps what it was asked, and answers as told. */
function inboundOf(produced: Produced[], asked: SendRequest[] = []): Inbound {
  return {
    async prepare(request) {
      asked.push(request)
      return { route: request.route, records: [] }
    },
    produce: async () => produced
  }
}

const written = { topic: 'chat', partition: 1, offset: 42 }

test('a POST reaches inbound as bytes, with its names, principal and own headers, and answers 202 with the coordinate', async () => {
  const asked: SendRequest[] = []
  await using it = await serve({
    edge: false,
    ingest: { routes: routesOf(route), inbound: inboundOf([written], asked) }
  })
  const response = await fetch(`${it.url}/rooms/${encodeURIComponent('a/b 방')}/messages`, {
    method: 'POST',
    headers: {
      'content-type': 'application/vnd.x+json; v=2',
      authorization: 'Bearer ann',
      'x-trace': 't1',
      'x-forwarded-for': '10.0.0.1',
      'x-api-key': 'secret',
      'x-author': 'ann',
      'x-csrf-token': 'secret',
      'accept-language': 'ko'
    },
    body: Buffer.from([123, 255, 0, 125])
  })
  assert.equal(response.status, 202)
  assert.deepEqual(await response.json(), written)
  const [{ names, body, headers, principal }] = asked as [SendRequest]
  assert.deepEqual(names, { 'room.id': 'a/b 방' })
  assert.deepEqual([...body], [123, 255, 0, 125])
  assert.deepEqual(headers, { 'content-type': 'application/vnd.x+json; v=2', 'x-trace': 't1', 'x-author': 'ann' })
  assert.equal(principal.name, 'ann')
})

test('a route that makes lists of records answers with a list, be it of one', async () => {
  const many = aRoute({ send: { ...sendBy('POST /rooms/{room.id}/messages'), many: true } })
  await using it = await serve({ edge: false, ingest: { routes: routesOf(many), inbound: inboundOf([written]) } })
  const response = await fetch(`${it.url}/rooms/7/messages`, { method: 'POST' })
  assert.deepEqual([response.status, await response.json()], [202, [written]])
})

test('an empty body without a type is taken as no bytes', async () => {
  const asked: SendRequest[] = []
  await using it = await serve({
    edge: false,
    ingest: { routes: routesOf(route), inbound: inboundOf([written], asked) }
  })
  const response = await fetch(`${it.url}/rooms/7/messages`, { method: 'POST' })
  assert.deepEqual(await response.json(), written)
  assert.equal(asked[0]?.body.length, 0)
})

test('refusals of inbound and of the body limit are problems', async () => {
  const inbound: Inbound = {
    prepare: async () => {
      throw new BatonError('INVALID_BODY', '/message must be a string', {
        extra: { pointer: '/message', status: 'forged' }
      })
    },
    produce: async () => []
  }
  await using it = await serve({ edge: false, ingest: { routes: routesOf(route), inbound } })
  const post = (body: string) => fetch(`${it.url}/rooms/7/messages`, { method: 'POST', body })
  const invalid = await post('{}')
  assert.equal(invalid.status, 422)
  const problem = (await invalid.json()) as Record<string, unknown>
  assert.equal(problem['pointer'], '/message')
  assert.equal(problem['status'], 422)
  const large = await post('x'.repeat(1025))
  assert.equal(large.status, 413)
  assert.match(await large.text(), /BODY_TOO_LARGE/)
})

test('the OpenAPI document holds the route with its body schema, which does not check bodies', async () => {
  const schema = { type: 'object', required: ['message'], properties: { message: { type: 'string' } } }
  const routes = { chat: { destination: '/sub/{room.id}', send: { schema } } }
  await using it = await serve({
    routes,
    edge: false,
    ingest: { routes: routesOf(route), inbound: inboundOf([written]) }
  })
  assert.equal((await fetch(`${it.url}/rooms/7/messages`, { method: 'POST', body: 'no JSON' })).status, 202)
  const document = (await (await fetch(`${it.url}/openapi.json`)).json()) as Document
  const post = document.paths['/rooms/{room_id}/messages']?.['post']
  assert.deepEqual(post?.requestBody?.content['application/json']?.schema, schema)
  assert.deepEqual(Object.keys(document.paths).sort(), ['/livez', '/metrics', '/readyz', '/rooms/{room_id}/messages'])
})

describe('a route with reply', () => {
  const waits = { ...sendBy('POST /login'), reply: { topic: 'answers', timeoutMs: 1000, claim: undefined } }
  const routes = routesOf(aRoute({ send: waits }))
  const inbound = inboundOf([written])
  const replying = (reply: Promise<Reply>) => ({
    async ask() {
      reply.catch(() => undefined)
      return { produced: Promise.resolve(), reply }
    }
  })
  const replyOf = (headers: string, body: Buffer): Reply => ({ id: 'r', headers, body })

  test('answers 200 with the bytes and the content type of the reply', async () => {
    for (const [headers, type] of [
      ['content-type:application/json\n', 'application/json'],
      ['content-type:text/plain;charset=utf-8\n', 'text/plain;charset=utf-8'],
      ['content-type:글\n', 'application/octet-stream']
    ] as const) {
      const body = Buffer.from([123, 0, 255, 125])
      const replies = replying(Promise.resolve(replyOf(headers, body)))
      await using it = await serve({ edge: { routes }, ingest: { inbound, replies } })
      const response = await fetch(`${it.url}/login`, { method: 'POST', body: '{}' })
      assert.deepEqual([response.status, response.headers.get('content-type')], [200, type])
      assert.deepEqual(Buffer.from(await response.arrayBuffer()), body)
    }
  })

  test('answers an empty reply, and a problem where none came in time', async () => {
    await using empty = await serve({
      edge: { routes },
      ingest: { inbound, replies: replying(Promise.resolve(replyOf('', Buffer.alloc(0)))) }
    })
    const nothing = await fetch(`${empty.url}/login`, { method: 'POST' })
    assert.deepEqual([nothing.status, await nothing.text()], [200, ''])
    const late = Promise.reject(new BatonError('REPLY_TIMEOUT', 'route login: none within 10 ms'))
    late.catch(() => undefined)
    await using it = await serve({ edge: { routes }, ingest: { inbound, replies: replying(late) } })
    const response = await fetch(`${it.url}/login`, { method: 'POST' })
    assert.equal(response.status, 504)
    assert.equal(((await response.json()) as { code: string }).code, 'REPLY_TIMEOUT')
  })

  test('is in the OpenAPI document with 200, and others with 202', async () => {
    const other = aRoute({ name: 'other', send: sendBy('POST /other') })
    await using it = await serve({ edge: { routes: routesOf(...routes.all, other) } })
    const document = (await (await fetch(`${it.url}/openapi.json`)).json()) as Document
    const codesOf = (path: string) => Object.keys(document.paths[path]?.['post']?.responses ?? {})
    assert.deepEqual(
      [codesOf('/login'), codesOf('/other')],
      [
        ['200', 'default'],
        ['202', 'default']
      ]
    )
  })
})

interface Document {
  paths: Record<
    string,
    Record<string, { requestBody?: { content: Record<string, { schema: object }> }; responses: object }>
  >
}

test('a POST that its client cuts off is no error of ours', async () => {
  const errors: string[] = []
  const logger = pino({ level: 'error' }, { write: line => void errors.push(line) })
  const ingest = { routes: routesOf(route), inbound: inboundOf([written]) }
  await using it = await serve({ logger, edge: false, ingest })
  const socket = connect(it.port, '127.0.0.1')
  socket.write('POST /rooms/1/messages HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf')
  socket.end()
  const refusals = async () => (await it.metrics.refused.get()).values.map(({ labels }) => labels.code)
  await waitFor(async () => (await refusals()).length > 0, { what: 'a refusal' })
  assert.deepEqual(await refusals(), ['MALFORMED_REQUEST'])
  assert.deepEqual(errors, [])
})
