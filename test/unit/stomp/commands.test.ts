import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { BatonError } from '../../../src/errors.ts'
import type { RawClient } from '../../support/stomp-pair.ts'
import { waitFor } from '../../support/wait.ts'
import { delivery, refused, serve } from './serve.ts'

/** Sends a frame and waits for its RECEIPT. */
async function done(client: RawClient, frame: string) {
  const receipt = `r${Math.random()}`
  client.send(frame.replace('\n', `\nreceipt:${receipt}\n`))
  const { headers } = await client.expect('RECEIPT')
  assert.equal(headers['receipt-id'], receipt)
  return headers
}

const BIND = 'SUBSCRIBE\nid:0\ndestination:/sub/1\n\n^@'

describe('SEND', () => {
  test('takes the body as it is and passes the user’s headers on', async () => {
    const { connect, seen } = serve()
    await done(await connect(), 'SEND\ndestination:/pub/1\nconstructor:a\\cb\nx: y \n\n안녕^@')
    const [request] = seen.requests
    assert.equal(String(request?.body), '안녕')
    assert.equal(request?.headers['constructor'], 'a:b')
    assert.equal(request?.headers['x'], ' y ')
    assert.equal(Object.getPrototypeOf(request?.headers), null)
    assert.equal(request?.principal.name, 'guest')
  })

  test('needs a destination that a route takes', async () => {
    const { connect } = serve()
    const nowhere = await connect()
    nowhere.send('SEND\n\nx^@')
    await refused(nowhere, 'MISSING_HEADER', 1002)
    const unknown = await connect()
    unknown.send('SEND\ndestination:/sub/1\nreceipt:7\n\nx^@')
    assert.equal((await refused(unknown, 'UNKNOWN_DESTINATION', 1008)).headers['receipt-id'], '7')
  })

  test('a body that is refused ends the session, and nothing after it is handled', async () => {
    const { connect, seen } = serve()
    const client = await connect()
    client.send('SEND\ndestination:/pub/1\n\nbad^@SEND\ndestination:/pub/1\n\ngood^@')
    await refused(client, 'INVALID_BODY', 1008)
    assert.equal(seen.requests.length, 0)
  })

  test('the next frame does not wait for Kafka; the RECEIPTs do, and come in order', async () => {
    const { connect, world, producedBodies } = serve()
    const acknowledged: (() => void)[] = []
    world.produce = () => new Promise(resolve => acknowledged.push(() => resolve([])))
    const client = await connect()
    client.send(
      'SEND\ndestination:/pub/1\nreceipt:1\n\na^@SEND\ndestination:/pub/1\n\nb^@SEND\ndestination:/pub/1\nreceipt:3\n\nc^@'
    )
    client.send('BEGIN\ntransaction:t\nreceipt:4\n\n^@')
    await waitFor(() => acknowledged.length === 3, { what: 'three calls' })
    assert.deepEqual(producedBodies(), [['a'], ['b'], ['c']])
    acknowledged[2]?.()
    acknowledged[0]?.()
    assert.equal((await client.expect('RECEIPT')).headers['receipt-id'], '1')
    acknowledged[1]?.()
    assert.equal((await client.expect('RECEIPT')).headers['receipt-id'], '3')
    assert.equal((await client.expect('RECEIPT')).headers['receipt-id'], '4')
  })

  test('when Kafka does not acknowledge, the ERROR names the receipt and the session ends', async () => {
    const { connect, world } = serve()
    world.produce = () => Promise.reject(new BatonError('KAFKA_UNAVAILABLE', 'not acknowledged within 10000 ms'))
    const client = await connect()
    client.send('SEND\ndestination:/pub/1\nreceipt:9\n\na^@')
    assert.equal((await refused(client, 'KAFKA_UNAVAILABLE', 1013)).headers['receipt-id'], '9')
    const silent = await connect()
    silent.send('SEND\ndestination:/pub/1\n\na^@')
    await refused(silent, 'KAFKA_UNAVAILABLE', 1013)
  })

  test('F9 only SEND may have a body', async () => {
    const { connect } = serve()
    for (const frame of [BIND.replace('^@', 'x^@'), 'BEGIN\ntransaction:t\n\nx^@', 'DISCONNECT\n\nx^@']) {
      const client = await connect()
      client.send(frame)
      await refused(client, 'BODY_NOT_ALLOWED', 1002)
    }
  })
})

describe('SUBSCRIBE and UNSUBSCRIBE', () => {
  test('the RECEIPT comes when the subscription is live and says where it stands', async () => {
    const { connect, world, publish } = serve()
    const joined = Promise.withResolvers<void>()
    world.joining = joined.promise
    const client = await connect()
    client.send(`${BIND.replace('\n', '\nreceipt:1\n')}SEND\ndestination:/pub/1\nreceipt:2\n\nx^@`)
    joined.resolve()
    const { headers } = await client.expect('RECEIPT')
    assert.deepEqual(headers, { 'receipt-id': '1', resumed: 'false', 'last-message-id': 'e.7' })
    assert.equal((await client.expect('RECEIPT')).headers['receipt-id'], '2')
    publish('/sub/1', delivery('e.8', 'hello'))
    const message = await client.expect('MESSAGE')
    assert.equal(message.headers['subscription'], '0')
    assert.ok(!('ack' in message.headers))
    assert.equal(String(message.body), 'hello')
  })

  test('last-message-id and history reach the hub, and the RECEIPT tells resumed and gap', async () => {
    const { connect, world, seen } = serve()
    const client = await connect()
    const resumed = await done(client, 'SUBSCRIBE\nid:0\ndestination:/sub/1\nlast-message-id:e.3\n\n^@')
    assert.equal(resumed['resumed'], 'true')
    world.gap = 'unknown'
    const lost = await done(client, 'SUBSCRIBE\nid:1\ndestination:/sub/1\nlast-message-id:e.1\n\n^@')
    assert.deepEqual([lost['resumed'], lost['gap']], ['false', 'unknown'])
    world.gap = undefined
    world.replays = [delivery('e.1', 'old')]
    client.send('SUBSCRIBE\nid:2\ndestination:/sub/2\nhistory:20\nreceipt:h\n\n^@')
    assert.equal(String((await client.expect('MESSAGE')).body), 'old')
    assert.equal((await client.expect('RECEIPT')).headers['receipt-id'], 'h')
    assert.deepEqual(seen.starts, [{ after: 'e.3' }, { after: 'e.1' }, { history: 20 }])
  })

  test('destination and id are required; 1.0 may leave out the id', async () => {
    const { connect } = serve()
    for (const [version, frame] of [
      ['1.2', 'SUBSCRIBE\ndestination:/sub/1\n\n^@'],
      ['1.1', 'SUBSCRIBE\ndestination:/sub/1\n\n^@'],
      ['1.2', 'SUBSCRIBE\nid:0\n\n^@'],
      ['1.2', 'UNSUBSCRIBE\ndestination:/sub/1\n\n^@']
    ] as const) {
      const client = await connect(version)
      client.send(frame)
      await refused(client, 'MISSING_HEADER', 1002)
    }
  })

  test('1.0 without an id: no subscription header, and UNSUBSCRIBE by destination', async () => {
    const { connect, publish, audienceOf } = serve()
    const client = await connect('1.0')
    await done(client, 'SUBSCRIBE\ndestination:/sub/1\n\n^@')
    publish('/sub/1', delivery('e.1', 'x'))
    assert.ok(!('subscription' in (await client.expect('MESSAGE')).headers))
    await done(client, 'UNSUBSCRIBE\ndestination:/sub/1\n\n^@')
    assert.equal(audienceOf('/sub/1').size, 0)
  })

  test('an id in use is refused; after UNSUBSCRIBE it is free again', async () => {
    const client = await serve().connect()
    await done(client, BIND)
    await done(client, 'UNSUBSCRIBE\nid:0\n\n^@')
    await done(client, BIND)
    client.send('SUBSCRIBE\nid:0\ndestination:/sub/2\n\n^@')
    await refused(client, 'DUPLICATE_SUBSCRIPTION', 1002)
  })

  test('after the RECEIPT of UNSUBSCRIBE no MESSAGE comes', async () => {
    const { connect, publish } = serve()
    const client = await connect()
    await done(client, BIND)
    publish('/sub/1', delivery('e.1', 'before'))
    client.send('UNSUBSCRIBE\nid:0\nreceipt:u\n\n^@')
    assert.equal(String((await client.expect('MESSAGE')).body), 'before')
    await client.expect('RECEIPT')
    publish('/sub/1', delivery('e.2', 'after'))
    await done(client, 'BEGIN\ntransaction:t\n\n^@')
  })

  test('UNSUBSCRIBE of an unknown id is refused', async () => {
    const client = await serve().connect()
    client.send('UNSUBSCRIBE\nid:x\n\n^@')
    await refused(client, 'UNKNOWN_SUBSCRIPTION', 1002)
  })

  test('ack must be a mode that the version knows', async () => {
    const { connect } = serve()
    for (const [version, mode] of [
      ['1.2', 'never'],
      ['1.2', ''],
      ['1.0', 'client-individual']
    ] as const) {
      const client = await connect(version)
      client.send(`SUBSCRIBE\nid:0\ndestination:/sub/1\nack:${mode}\n\n^@`)
      await refused(client, 'INVALID_HEADER', 1002)
    }
  })

  test('history must be a whole number within what the route lets people read', async () => {
    const { connect } = serve()
    for (const bad of ['0', '-1', '21', '1.5', 'all', '']) {
      const client = await connect()
      client.send(`SUBSCRIBE\nid:0\ndestination:/sub/1\nhistory:${bad}\n\n^@`)
      assert.match(String((await refused(client, 'INVALID_HEADER', 1002)).body), /1 to 20/)
    }
  })

  test('subscribing and reading history are permissions of their own', async () => {
    const { connect } = serve()
    const reader = await connect('1.2', 'login:no-history\n')
    await done(reader, BIND)
    reader.send('SUBSCRIBE\nid:1\ndestination:/sub/1\nhistory:1\n\n^@')
    await refused(reader, 'FORBIDDEN', 1008)
    const resuming = await connect('1.2', 'login:no-history\n')
    resuming.send('SUBSCRIBE\nid:1\ndestination:/sub/1\nlast-message-id:e.1\n\n^@')
    await refused(resuming, 'FORBIDDEN', 1008)
    const nobody = await connect('1.2', 'login:no-subscribe\n')
    nobody.send(BIND)
    await refused(nobody, 'FORBIDDEN', 1008)
  })

  test('a connection has no more subscriptions than it may', async () => {
    const client = await serve({ maxSubscriptions: 2 }).connect()
    for (const id of [0, 1]) await done(client, `SUBSCRIBE\nid:${id}\ndestination:/sub/1\n\n^@`)
    client.send('SUBSCRIBE\nid:2\ndestination:/sub/1\n\n^@')
    await refused(client, 'TOO_MANY_SUBSCRIPTIONS', 1008)
  })

  test('a client that goes half-way is not added', async () => {
    const { connect, world, server, audienceOf, metrics } = serve()
    world.joining = new Promise(() => undefined)
    const client = await connect()
    client.send(BIND)
    client.drop()
    await waitFor(() => [...server.sessions()].length === 0, { what: 'the session to be gone' })
    assert.equal(audienceOf('/sub/1').size, 0)
    assert.equal((await metrics.subscriptions.get()).values[0]?.value, 0)
  })
})

describe('ACK and NACK', () => {
  async function subscribed(ack: string, version = '1.2', options = {}) {
    const world = serve(options)
    const client = await world.connect(version)
    await done(client, `SUBSCRIBE\nid:0\ndestination:/sub/1\nack:${ack}\n\n^@`)
    return {
      ...world,
      client,
      async receive(...ids: string[]) {
        world.publish('/sub/1', ...ids.map(id => delivery(id, 'x')))
        for (const id of ids) assert.equal((await client.expect('MESSAGE')).headers['ack'], id)
      }
    }
  }

  test('client is cumulative: an ACK takes all before it along', async () => {
    const { client, receive } = await subscribed('client')
    await receive('1', '2', '3')
    await done(client, 'ACK\nid:2\n\n^@')
    await done(client, 'ACK\nid:3\n\n^@')
    client.send('ACK\nid:1\n\n^@')
    await refused(client, 'UNKNOWN_ACK', 1002)
  })

  test('client-individual touches no other', async () => {
    const { client, receive } = await subscribed('client-individual')
    await receive('1', '2', '3')
    for (const id of ['2', '3', '1']) await done(client, `ACK\nid:${id}\n\n^@`)
    client.send('ACK\nid:2\n\n^@')
    await refused(client, 'UNKNOWN_ACK', 1002)
  })

  test('1.1 names message-id and subscription, 1.0 message-id', async () => {
    const v11 = await subscribed('client', '1.1')
    await v11.receive('1')
    await done(v11.client, 'ACK\nmessage-id:1\nsubscription:0\n\n^@')
    const v10 = await subscribed('client', '1.0')
    await v10.receive('1')
    await done(v10.client, 'ACK\nmessage-id:1\n\n^@')
    for (const [version, frame] of [
      ['1.2', 'message-id:1\nsubscription:0'],
      ['1.1', 'message-id:1'],
      ['1.0', 'id:1']
    ] as const) {
      const { client, receive } = await subscribed('client', version)
      await receive('1')
      client.send(`ACK\n${frame}\n\n^@`)
      await refused(client, 'MISSING_HEADER', 1002)
    }
  })

  test('an ACK of another subscription’s message is refused in 1.1', async () => {
    const { client, receive } = await subscribed('client', '1.1')
    await receive('1')
    client.send('ACK\nmessage-id:1\nsubscription:9\n\n^@')
    await refused(client, 'UNKNOWN_ACK', 1002)
  })

  test('NACK lets go of the message, is counted, and is unknown to 1.0', async () => {
    const { client, receive, metrics } = await subscribed('client-individual')
    await receive('1')
    await done(client, 'NACK\nid:1\n\n^@')
    assert.equal((await metrics.nacks.get()).values[0]?.value, 1)
    const v10 = await subscribed('client', '1.0')
    await v10.receive('1')
    v10.client.send('NACK\nmessage-id:1\n\n^@')
    await refused(v10.client, 'UNKNOWN_COMMAND', 1002)
  })

  test('two subscriptions that wait for one message are acknowledged one after the other', async () => {
    const { client, publish } = await subscribed('client')
    await done(client, 'SUBSCRIBE\nid:1\ndestination:/sub/1\nack:client\n\n^@')
    publish('/sub/1', delivery('1', 'x'))
    await client.expect('MESSAGE')
    await client.expect('MESSAGE')
    await done(client, 'ACK\nid:1\n\n^@')
    await done(client, 'ACK\nid:1\n\n^@')
    client.send('ACK\nid:1\n\n^@')
    await refused(client, 'UNKNOWN_ACK', 1002)
  })

  test('a message may be acknowledged after UNSUBSCRIBE', async () => {
    const { client, receive } = await subscribed('client-individual')
    await receive('1', '2')
    await done(client, 'UNSUBSCRIBE\nid:0\n\n^@')
    await done(client, 'ACK\nid:2\n\n^@')
    await done(client, 'ACK\nid:1\n\n^@')
  })

  test('a client that leaves more unacknowledged than the window is closed', async () => {
    const { client, receive, publish, metrics } = await subscribed('client', '1.2', { ackWindow: 3 })
    await receive('1', '2', '3')
    await done(client, 'ACK\nid:3\n\n^@')
    await receive('4', '5', '6')
    publish('/sub/1', delivery('7', 'x'))
    await client.expect('MESSAGE')
    await refused(client, 'SLOW_CONSUMER', 1013)
    assert.deepEqual((await metrics.slowCloses.get()).values[0]?.labels, { cause: 'acks' })
  })
})

describe('transactions', () => {
  test('SENDs are prepared at once and produced at COMMIT, as one call', async () => {
    const { connect, seen, producedBodies } = serve()
    const client = await connect()
    await done(client, 'BEGIN\ntransaction:t\n\n^@')
    for (const body of ['a', 'b']) await done(client, `SEND\ndestination:/pub/1\ntransaction:t\n\n${body}^@`)
    await done(client, 'SEND\ndestination:/pub/1\n\noutside^@')
    assert.equal(seen.requests.length, 3)
    assert.deepEqual(producedBodies(), [['outside']])
    await done(client, 'COMMIT\ntransaction:t\n\n^@')
    assert.deepEqual(producedBodies(), [['outside'], ['a', 'b']])
  })

  test('ABORT and the end of the connection produce nothing', async () => {
    const { connect, seen, server } = serve()
    const client = await connect()
    for (const name of ['t', 'u']) {
      await done(client, `BEGIN\ntransaction:${name}\n\n^@`)
      await done(client, `SEND\ndestination:/pub/1\ntransaction:${name}\n\nx^@`)
    }
    await done(client, 'ABORT\ntransaction:t\n\n^@')
    client.drop()
    await waitFor(() => [...server.sessions()].length === 0, { what: 'the session to be gone' })
    assert.equal(seen.produced.length, 0)
  })

  test('ACKs take effect at COMMIT, and never after ABORT', async () => {
    const { connect, publish } = serve({ ackWindow: 1 })
    const client = await connect()
    await done(client, 'SUBSCRIBE\nid:0\ndestination:/sub/1\nack:client\n\n^@')
    publish('/sub/1', delivery('1', 'x'))
    await client.expect('MESSAGE')
    for (const end of ['ABORT', 'COMMIT']) {
      await done(client, 'BEGIN\ntransaction:t\n\n^@')
      await done(client, 'ACK\nid:1\ntransaction:t\n\n^@')
      await done(client, `${end}\ntransaction:t\n\n^@`)
    }
    client.send('ACK\nid:1\n\n^@')
    await refused(client, 'UNKNOWN_ACK', 1002)
  })

  test('BEGIN needs a name that is not in use; the others one that is', async () => {
    const { connect } = serve()
    const twice = await connect()
    await done(twice, 'BEGIN\ntransaction:t\n\n^@')
    twice.send('BEGIN\ntransaction:t\n\n^@')
    await refused(twice, 'DUPLICATE_TRANSACTION', 1002)
    for (const frame of [
      'COMMIT\ntransaction:x\n\n^@',
      'ABORT\ntransaction:x\n\n^@',
      'SEND\ndestination:/pub/1\ntransaction:x\n\n^@'
    ]) {
      const client = await connect()
      client.send(frame)
      await refused(client, 'UNKNOWN_TRANSACTION', 1002)
    }
    for (const command of ['BEGIN', 'COMMIT', 'ABORT']) {
      const client = await connect()
      client.send(`${command}\n\n^@`)
      await refused(client, 'MISSING_HEADER', 1002)
    }
  })

  test('what is held for COMMIT is bounded', async () => {
    const { connect } = serve()
    const many = await connect()
    for (const name of ['t', 'u']) await done(many, `BEGIN\ntransaction:${name}\n\n^@`)
    many.send('BEGIN\ntransaction:v\n\n^@')
    await refused(many, 'TRANSACTION_TOO_LARGE', 1009)
    const large = await connect()
    await done(large, 'BEGIN\ntransaction:t\n\n^@')
    large.send(`SEND\ndestination:/pub/1\ntransaction:t\n\n${'x'.repeat(2000)}^@`)
    await refused(large, 'TRANSACTION_TOO_LARGE', 1009)
    const wordy = await connect()
    await done(wordy, 'BEGIN\ntransaction:t\n\n^@')
    wordy.send(`SEND\ndestination:/pub/1\ntransaction:t\nx:${'x'.repeat(2000)}\n\n^@`)
    await refused(wordy, 'TRANSACTION_TOO_LARGE', 1009)
    const both = await connect()
    for (const name of ['t', 'u']) await done(both, `BEGIN\ntransaction:${name}\n\n^@`)
    for (const name of ['t', 'u']) both.send(`SEND\ndestination:/pub/1\ntransaction:${name}\n\n${'x'.repeat(1000)}^@`)
    await refused(both, 'TRANSACTION_TOO_LARGE', 1009)
  })
})

describe('DISCONNECT and what is not known', () => {
  test('DISCONNECT is answered after everything before it, then the connection is closed', async () => {
    const { connect, world } = serve()
    const acknowledged = Promise.withResolvers<[]>()
    world.produce = () => acknowledged.promise
    const client = await connect()
    client.send('SEND\ndestination:/pub/1\nreceipt:1\n\na^@DISCONNECT\nreceipt:2\n\n^@SEND\n\nnever^@')
    acknowledged.resolve([])
    assert.equal((await client.expect('RECEIPT')).headers['receipt-id'], '1')
    assert.equal((await client.expect('RECEIPT')).headers['receipt-id'], '2')
    assert.equal((await client.closed()).code, 1000)
    await assert.rejects(client.next(), /closed/)
  })

  test('DISCONNECT without a receipt closes', async () => {
    const client = await serve().connect()
    client.send('DISCONNECT\n\n^@')
    assert.equal((await client.closed()).code, 1000)
  })

  test('F2 commands are case-sensitive, and one that is not known is refused', async () => {
    const { connect } = serve()
    for (const command of ['send', 'MESSAGE', 'toString', 'SEND ']) {
      const client = await connect()
      client.send(`${command}\nreceipt:5\n\n^@`)
      assert.equal((await refused(client, 'UNKNOWN_COMMAND', 1002)).headers['receipt-id'], '5')
    }
  })

  test('F11 any frame but CONNECT may ask for a RECEIPT', async () => {
    const { open } = serve()
    const client = open()
    client.send('CONNECT\naccept-version:1.2\nreceipt:0\n\n^@')
    assert.ok(!('receipt-id' in (await client.expect('CONNECTED')).headers))
    await done(client, BIND)
    for (const frame of [
      'BEGIN\ntransaction:t\n\n^@',
      'ABORT\ntransaction:t\n\n^@',
      'UNSUBSCRIBE\nid:0\n\n^@',
      'DISCONNECT\n\n^@'
    ]) {
      await done(client, frame)
    }
  })
})
