import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { BatonError } from '../../../src/errors.ts'
import { createRoutes, Unroutable } from '../../../src/routes.ts'
import { topicsOf } from '../../../src/topics.ts'
import { configOf } from '../config-of.ts'

const ID = '0f8fad5b-d9cb-469f-a165-70867728950e.7c9e6679-7425-40de-944b-e07fc1f90ae7'
const MATCH = { request: '{userId}', reply: '{requestUserID}' }

function login(reply: object | string = { topic: 'answers' }) {
  return {
    topic: 'questions',
    send: { destination: '/pub/login', http: 'POST /login/{site}', key: '{userId}', reply }
  }
}

const routesOf = (routes: object) => createRoutes(configOf({ routes }).routes)

function record(value: string | Buffer | null, headers: Record<string, string | Buffer> = {}) {
  return {
    ...{ topic: 'answers', partition: 0, offset: 7, timestampMs: 1, key: null },
    value: value === null ? null : Buffer.from(value),
    headers: Object.entries(headers).map(([name, text]): [string, Buffer] => [name, Buffer.from(text)])
  }
}

describe('a record of a reply topic', () => {
  test('answers the request whose correlation id it echoes, with its own headers', () => {
    const routes = routesOf({ login: login() })
    const headers = { kafka_correlationId: ID, kafka_replyTopic: 'answers', 'x-trace': 'a:b' }
    assert.deepEqual(routes.answer(record('{"ok":true}', headers)), {
      id: ID,
      headers: 'x-trace:a\\cb\ncontent-type:application/json\ncontent-length:11\n',
      body: Buffer.from('{"ok":true}')
    })
    assert.equal(routes.answer({ ...record('{}', headers), topic: 'questions' }), undefined)
    assert.deepEqual(routes.resolve(record('{}', headers)), [])
  })

  test('has the content type that it says, else that of JSON or of bytes', () => {
    const routes = routesOf({ login: login() })
    const typeOf = (value: string | Buffer | null, headers = {}) =>
      /^content-type:(.*)$/m.exec(
        routes.answer(record(value, { kafka_correlationId: ID, ...headers }))?.headers ?? ''
      )?.[1]
    assert.equal(typeOf('{}', { 'Content-Type': 'text/plain' }), 'text/plain')
    assert.equal(typeOf(' [1] '), 'application/json')
    for (const other of ['plain', Buffer.from([34, 255, 34]), null])
      assert.equal(typeOf(other), 'application/octet-stream')
  })

  test('that echoes nothing answers whoever claimed the text of its field, where the route says so', () => {
    const routes = routesOf({ login: login({ topic: 'answers', match: MATCH }) })
    const claimOf = (value: string, headers = {}) => {
      const answer = routes.answer(record(value, headers))
      return answer && 'claim' in answer ? answer.claim : undefined
    }
    assert.equal(claimOf('{"requestUserID":"a/b"}'), 'login:a%2Fb')
    assert.equal(claimOf('{"requestUserID":7}', { kafka_correlationId: Buffer.from([255, 0, 1]) }), 'login:7')
    assert.equal(claimOf('{"requestUserID":7}', { kafka_correlationId: ID }), undefined)
  })

  test('that says of no request that it answers it is unroutable', () => {
    const byHeader = routesOf({ login: login() })
    const byField = routesOf({ login: login({ topic: 'answers', match: MATCH }) })
    const cause = (routes: typeof byHeader, value: string, headers = {}) => {
      try {
        return routes.answer(record(value, headers))
      } catch (error) {
        assert.ok(error instanceof Unroutable)
        return error.message
      }
    }
    assert.equal(cause(byHeader, '{}'), 'MISSING_FIELD: {headers.kafka_correlationId} is missing')
    assert.match(String(cause(byHeader, '{}', { kafka_correlationId: 'secret' })), /^INVALID_FIELD: (?!.*secret)/)
    assert.match(String(cause(byField, '{}')), /^MISSING_FIELD: \{requestUserID\}/)
    assert.match(String(cause(byField, 'secret')), /^BAD_JSON: (?!.*secret)/)
  })

  test('goes to the channel of an ordinary route of its topic too', () => {
    const audit = { topic: 'answers', channel: 'audit:{user}', destination: '/audit/{user}' }
    const routes = routesOf({ login: login(), audit })
    const answered = record('{"user":1}', { kafka_correlationId: ID })
    assert.equal(routes.resolve(answered)[0]?.channel, 'audit:1')
    assert.ok(routes.answer(answered))
  })
})

describe('a request', () => {
  const sender = { name: '', claims: {} }
  const came = (body: string) => ({ names: {}, body: Buffer.from(body), headers: {} })

  test('claims a text of what came, encoded as in an address', () => {
    const match = { request: '{userId}:{headers.tenant}', reply: '{id}:{tenant}' }
    const { rule } = routesOf({ login: login({ topic: 'answers', timeout: '3s', match }) }).sendable('/pub/login')
    const draft = { ...rule.read(came('{"userId":"a:b"}')), headers: { tenant: 't' } }
    assert.equal(rule.reply?.claim?.(draft, sender, new Date()), 'login:a%3Ab:t')
    assert.deepEqual([rule.reply?.topic, rule.reply?.timeoutMs], ['answers', 3000])
  })

  test('without that text is refused, with nothing of its body in the detail', () => {
    const { rule } = routesOf({ login: login({ topic: 'answers', match: MATCH }) }).sendable('/pub/login')
    for (const body of ['{"pw":"secret"}', '{"userId":{"a":"secret"}}', `{"userId":"${'secret'.repeat(50)}"}`]) {
      assert.throws(
        () => rule.reply?.claim?.(rule.read(came(body)), sender, new Date()),
        (error: unknown) => {
          assert.ok(error instanceof BatonError)
          return error.code === 'INVALID_BODY' && !error.message.includes('secret')
        }
      )
    }
  })

  test('with reply: none, or without it, waits for nothing', () => {
    for (const route of [login('none'), { ...login(), send: { destination: '/pub/login' } }]) {
      assert.equal(routesOf({ login: route }).sendable('/pub/login').rule.reply, undefined)
    }
  })
})

test('the topic of replies is consumed, that of the requests is not', () => {
  const config = configOf({
    routes: { login: login({ topic: { name: 'answers', partitions: 2, replicationFactor: 3 } }) }
  })
  const topics = topicsOf(config).map(({ config, ...topic }) => topic)
  assert.deepEqual(topics, [
    { name: 'questions', consumed: false },
    { name: 'answers', partitions: 2, replicationFactor: 3, consumed: true }
  ])
})
