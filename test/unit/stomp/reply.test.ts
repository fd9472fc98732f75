import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { BatonError } from '../../../src/errors.ts'
import type { Prepared } from '../../../src/inbound.ts'
import type { Reply } from '../../../src/reply.ts'
import { countOf } from '../../support/flows.ts'
import { waitFor } from '../../support/wait.ts'
import { refused, serve } from './serve.ts'

const ID = '0f8fad5b-d9cb-469f-a165-70867728950e.7c9e6679-7425-40de-944b-e07fc1f90ae7'
const QUEUE = '/temp-queue/rpc-replies'

const replyOf = (text: string, headers = 'x-a:1\\c2\n'): Reply => ({
  id: ID,
  headers: `${headers}content-type:text/plain\ncontent-length:${Buffer.byteLength(text)}\n`,
  body: Buffer.from(text)
})

/** A server whose requests wait until the test answers or refuses them. */
function serveReplies() {
  const it = serve()
  const asked: { prepared: Prepared; answer(reply: Reply): void; refuse(error: unknown): void }[] = []
  const kafka = { acknowledge: Promise.resolve() }
  it.world.ask = async prepared => {
    const { promise, resolve, reject } = Promise.withResolvers<Reply>()
    promise.catch(() => undefined)
    asked.push({ prepared, answer: resolve, refuse: reject })
    return { produced: kafka.acknowledge, reply: promise }
  }
  const isAsked = (count = 1) => waitFor(() => asked.length >= count, { what: `${count} requests` })
  return { ...it, asked, kafka, isAsked }
}

const ask = (more: string, body = '?') => `SEND\ndestination:/pub/asked\nreply-to:${QUEUE}\n${more}\n${body}^@`

describe('a request', () => {
  test('is answered by a MESSAGE to its reply-to, which names no subscription where there is none', async () => {
    const { connect, asked, isAsked, seen, metrics } = serveReplies()
    const client = await connect()
    client.send(ask('correlation-id:c\\c1\nx:y\n'))
    await isAsked()
    assert.deepEqual({ ...seen.requests[0]?.headers }, { destination: '/pub/asked', 'correlation-id': 'c:1', x: 'y' })
    asked[0]?.answer(replyOf('안녕'))
    const { headers, body } = await client.expect('MESSAGE')
    const { 'message-id': id, ...others } = headers
    assert.match(id ?? '', /^[0-9a-f-]{36}$/)
    assert.deepEqual(others, {
      subscription: QUEUE,
      destination: QUEUE,
      'correlation-id': 'c\\c1',
      'x-a': '1\\c2',
      'content-type': 'text/plain',
      'content-length': '6'
    })
    assert.equal(String(body), '안녕')
    assert.equal(await countOf(metrics.deliveries), 1)
  })

  test('names the subscription to its reply-to, as long as there is one', async () => {
    const { connect, asked, isAsked, metrics } = serveReplies()
    const client = await connect()
    client.send(`SUBSCRIBE\nid:a\\cb\ndestination:${QUEUE}\nreceipt:s\n\n^@`)
    assert.deepEqual((await client.expect('RECEIPT')).headers, { 'receipt-id': 's' })
    assert.equal(await countOf(metrics.subscriptions), 1)
    client.send(ask('') + ask(''))
    await isAsked(2)
    asked[0]?.answer(replyOf('1'))
    const first = await client.expect('MESSAGE')
    client.send('UNSUBSCRIBE\nid:a\\cb\nreceipt:u\n\n^@')
    await client.expect('RECEIPT')
    assert.equal(await countOf(metrics.subscriptions), 0)
    asked[1]?.answer(replyOf('2'))
    const second = await client.expect('MESSAGE')
    assert.deepEqual([first.headers['subscription'], second.headers['subscription']], ['a\\cb', QUEUE])
    assert.notEqual(first.headers['message-id'], second.headers['message-id'])
  })

  test('is answered in the encoding of the version, and to that session only', async () => {
    const { connect, asked, isAsked } = serveReplies()
    const other = await connect()
    other.send(`SUBSCRIBE\nid:0\ndestination:${QUEUE}\nreceipt:s\n\n^@`)
    await other.expect('RECEIPT')
    const client = await connect('1.0')
    client.send(ask('correlation-id:c:1\n'))
    await isAsked()
    asked[0]?.answer(replyOf('x'))
    const { headers } = await client.expect('MESSAGE')
    assert.deepEqual([headers['correlation-id'], headers['x-a']], ['c:1', '1:2'])
    other.send('BEGIN\ntransaction:t\nreceipt:next\n\n^@')
    assert.equal((await other.expect('RECEIPT')).headers['receipt-id'], 'next')
  })

  test('gets its RECEIPT when Kafka has acknowledged it, whether or not it is answered', async () => {
    const { connect, asked, isAsked, kafka } = serveReplies()
    const { promise, resolve } = Promise.withResolvers<void>()
    kafka.acknowledge = promise
    const client = await connect()
    client.send(ask('receipt:1\n'))
    await isAsked()
    asked[0]?.answer(replyOf('early'))
    await client.expect('MESSAGE')
    resolve()
    assert.equal((await client.expect('RECEIPT')).headers['receipt-id'], '1')
  })

  test('without a reply in time ends the session with an ERROR that has its correlation-id', async () => {
    const { connect, asked, isAsked } = serveReplies()
    const client = await connect()
    client.send(ask('correlation-id:c1\nreceipt:1\n'))
    await client.expect('RECEIPT')
    await isAsked()
    asked[0]?.refuse(new BatonError('REPLY_TIMEOUT', 'none within 10 ms'))
    const { headers } = await refused(client, 'REPLY_TIMEOUT', 1013)
    assert.equal(headers['correlation-id'], 'c1')
  })

  test('that cannot wait is refused at once', async () => {
    const { connect, world } = serveReplies()
    world.ask = () => Promise.reject(new BatonError('TOO_MANY_PENDING', 'too many'))
    const client = await connect()
    client.send(ask(''))
    await refused(client, 'TOO_MANY_PENDING', 1013)
  })

  test('whose session has ended is answered to nobody', async () => {
    const { connect, asked, isAsked, metrics } = serveReplies()
    const client = await connect()
    client.send(ask(''))
    await isAsked()
    client.send('DISCONNECT\n\n^@')
    await client.closed()
    asked[0]?.answer(replyOf('x'))
    await asked[0]
    assert.equal(await countOf(metrics.deliveries), 0)
  })

  for (const [what, frame] of [
    ['a reply-to that is no temporary queue', 'SEND\ndestination:/pub/asked\nreply-to:/sub/1\n\n?^@'],
    ['a reply-to within a transaction', `BEGIN\ntransaction:t\n\n^@${ask('transaction:t\n')}`],
    ['a claim within a transaction', 'BEGIN\ntransaction:t\n\n^@SEND\ndestination:/pub/claimed\ntransaction:t\n\n?^@'],
    ['a subscription that acknowledges', `SUBSCRIBE\nid:0\ndestination:${QUEUE}\nack:client\n\n^@`],
    ['a subscription with history', `SUBSCRIBE\nid:0\ndestination:${QUEUE}\nhistory:1\n\n^@`],
    ['a subscription that resumes', `SUBSCRIBE\nid:0\ndestination:${QUEUE}\nlast-message-id:0.0\n\n^@`]
  ] as const) {
    test(`${what} is refused as INVALID_HEADER`, async () => {
      const { connect, asked } = serveReplies()
      const client = await connect()
      client.send(frame)
      await refused(client, 'INVALID_HEADER', 1002)
      assert.equal(asked.length, 0)
    })
  }
})

describe('a SEND without reply-to', () => {
  test('is produced, and asks nothing', async () => {
    const { connect, asked, producedBodies } = serveReplies()
    const client = await connect()
    client.send('SEND\ndestination:/pub/asked\nreceipt:1\n\n?^@')
    await client.expect('RECEIPT')
    assert.deepEqual([producedBodies(), asked.length], [[['?']], 0])
  })

  test('claims its text all the same where replies are matched by a field, and nobody gets the reply', async () => {
    const { connect, asked, metrics } = serveReplies()
    const client = await connect()
    client.send('SEND\ndestination:/pub/claimed\nreceipt:1\n\n?^@')
    await client.expect('RECEIPT')
    assert.equal(asked.length, 1)
    asked[0]?.answer(replyOf('x'))
    client.send('BEGIN\ntransaction:t\nreceipt:2\n\n^@')
    await client.expect('RECEIPT')
    assert.equal(await countOf(metrics.deliveries), 0)
  })

  test('on a route without reply keeps a reply-to as a header of its own', async () => {
    const { connect, asked, seen } = serveReplies()
    const client = await connect()
    client.send('SEND\ndestination:/pub/1\nreply-to:anything\nreceipt:1\n\n?^@')
    await client.expect('RECEIPT')
    assert.equal(seen.requests[0]?.headers['reply-to'], 'anything')
    assert.equal(asked.length, 0)
  })
})

test('subscriptions to temporary queues count, and have ids as others', async () => {
  const { connect } = serveReplies()
  const client = await connect()
  for (let n = 0; n < 8; n++) client.send(`SUBSCRIBE\nid:${n}\ndestination:/temp-queue/${n}\n\n^@`)
  client.send(`SUBSCRIBE\nid:8\ndestination:/temp-queue/8\n\n^@`)
  await refused(client, 'TOO_MANY_SUBSCRIPTIONS', 1008)
  const twice = await connect()
  twice.send(`SUBSCRIBE\nid:0\ndestination:${QUEUE}\n\n^@SUBSCRIBE\nid:0\ndestination:${QUEUE}\n\n^@`)
  await refused(twice, 'DUPLICATE_SUBSCRIPTION', 1002)
})
