import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BatonError } from '../../../src/errors.ts'
import type { Inbound, SendRequest } from '../../../src/inbound.ts'
import type { Produced } from '../../../src/ports.ts'
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

test('an empty body without a type is taken as no bytes', async () => {
  const asked: SendRequest[] = []
  await using it = await serve({
    edge: false,
    ingest: { routes: routesOf(route), inbound: inboundOf([written, written], asked) }
  })
  const response = await fetch(`${it.url}/rooms/7/messages`, { method: 'POST' })
  assert.deepEqual(await response.json(), [written, written])
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

interface Document {
  paths: Record<string, Record<string, { requestBody?: { content: Record<string, { schema: object }> } }>>
}
