import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { type Baton, startBaton } from '../support/baton.ts'
import { unique } from '../support/ids.ts'
import { type ConnectOptions, connectSocket, type RawSocket, refused, type SocketFrame } from '../support/raw-client.ts'

// Every client frame in every version that has it, on a real socket to a real process: the exact answer, and what follows.

let baton: Baton

before(async () => {
  baton = await startBaton({ env: { BATON_LIFECYCLE_DRAIN_TIMEOUT_MS: '0' } })
})

after(() => baton.stop())

const connect = (options?: ConnectOptions) => connectSocket(baton.wsUrl, options)
const place = () => `/topic/${unique('commands')}`

/** A destination, a client that subscribed to it, and a way to send there and see what comes. */
async function subscribed(version: '1.0' | '1.1' | '1.2' = '1.2', lines = 'id:0\n') {
  const destination = place()
  const socket = await connect({ version })
  await socket.done(`SUBSCRIBE\ndestination:${destination}\n${lines}\n^@`)
  const publisher = await connect()
  return {
    socket,
    destination,
    send: (body: string) => publisher.done(`SEND\ndestination:${destination}\n\n${body}^@`),
    /** Sends these bodies and takes their messages. */
    async receive(...bodies: string[]): Promise<SocketFrame[]> {
      const messages: SocketFrame[] = []
      for (const body of bodies) {
        await publisher.done(`SEND\ndestination:${destination}\n\n${body}^@`)
        messages.push(await socket.expect('MESSAGE'))
      }
      assert.deepEqual(
        messages.map(message => String(message.body)),
        bodies
      )
      return messages
    }
  }
}

/** Nothing waits for this client: the RECEIPT of a frame that changes nothing is the next to come. */
const idle = (socket: RawSocket) => socket.done(`BEGIN\ntransaction:${unique('idle')}\n\n^@`)

describe('frames that cannot be obeyed are answered with ERROR, their receipt-id in it, and the close', () => {
  const cases: [name: string, frame: string, code: string, closeCode?: number, version?: '1.0' | '1.1'][] = [
    ['SEND without a destination', 'SEND\n\nx^@', 'MISSING_HEADER'],
    ['SEND to no route', 'SEND\ndestination:/nowhere\n\nx^@', 'UNKNOWN_DESTINATION', 1008],
    ['SEND to where one can only subscribe', 'SEND\ndestination:/sub/chat/room/1\n\nx^@', 'UNKNOWN_DESTINATION', 1008],
    ['SEND of what is no JSON', 'SEND\ndestination:/pub/chat/message\n\nx^@', 'INVALID_BODY', 1008],
    [
      'SEND against the schema',
      'SEND\ndestination:/pub/chat/message\n\n{"type":"BYE","roomId":"1"}^@',
      'INVALID_BODY',
      1008
    ],
    [
      'SEND of another media type',
      'SEND\ndestination:/pub/chat/message\ncontent-type:text/xml\n\n<x/>^@',
      'UNSUPPORTED_MEDIA_TYPE',
      1008
    ],
    ['SEND in no transaction', 'SEND\ndestination:/topic/a\ntransaction:t\n\nx^@', 'UNKNOWN_TRANSACTION'],
    ['SUBSCRIBE without a destination', 'SUBSCRIBE\nid:0\n\n^@', 'MISSING_HEADER'],
    ['SUBSCRIBE without an id, in 1.2', 'SUBSCRIBE\ndestination:/topic/a\n\n^@', 'MISSING_HEADER'],
    ['SUBSCRIBE without an id, in 1.1', 'SUBSCRIBE\ndestination:/topic/a\n\n^@', 'MISSING_HEADER', 1002, '1.1'],
    ['SUBSCRIBE to no route', 'SUBSCRIBE\nid:0\ndestination:/nowhere\n\n^@', 'UNKNOWN_DESTINATION', 1008],
    ['SUBSCRIBE to nothing', 'SUBSCRIBE\nid:0\ndestination:\n\n^@', 'MALFORMED_DESTINATION', 1008],
    [
      'SUBSCRIBE to a bad escape',
      'SUBSCRIBE\nid:0\ndestination:/sub/chat/room/%zz\n\n^@',
      'MALFORMED_DESTINATION',
      1008
    ],
    [
      'SUBSCRIBE to a template',
      'SUBSCRIBE\nid:0\ndestination:/sub/chat/room/{roomId}\n\n^@',
      'MALFORMED_DESTINATION',
      1008
    ],
    [
      'SUBSCRIBE to a room in a room',
      'SUBSCRIBE\nid:0\ndestination:/sub/chat/room/a/b\n\n^@',
      'UNKNOWN_DESTINATION',
      1008
    ],
    [
      'SUBSCRIBE to a room without a name',
      'SUBSCRIBE\nid:0\ndestination:/sub/chat/room/\n\n^@',
      'UNKNOWN_DESTINATION',
      1008
    ],
    [
      'SUBSCRIBE to a room of a very long name',
      `SUBSCRIBE\nid:0\ndestination:/sub/chat/room/${'x'.repeat(257)}\n\n^@`,
      'UNKNOWN_DESTINATION',
      1008
    ],
    ['SUBSCRIBE with an unknown ack', 'SUBSCRIBE\nid:0\ndestination:/topic/a\nack:maybe\n\n^@', 'INVALID_HEADER'],
    [
      'SUBSCRIBE with client-individual, in 1.0',
      'SUBSCRIBE\nid:0\ndestination:/topic/a\nack:client-individual\n\n^@',
      'INVALID_HEADER',
      1002,
      '1.0'
    ],
    ...['0', '-1', '1.5', 'all', '', '1e3', '999999999'].map((history): [string, string, string] => [
      `SUBSCRIBE with history:${history}`,
      `SUBSCRIBE\nid:0\ndestination:/topic/a\nhistory:${history}\n\n^@`,
      'INVALID_HEADER'
    ]),
    ...['', 'garbage', '1.2.3', '0.0.z', `e.1${'.vAAAAAAAA1'.repeat(40)}`].map((id): [string, string, string] => [
      `SUBSCRIBE with last-message-id:${id.slice(0, 20)}`,
      `SUBSCRIBE\nid:0\ndestination:/topic/a\nlast-message-id:${id}\n\n^@`,
      'INVALID_RESUME'
    ]),
    ['UNSUBSCRIBE without an id', 'UNSUBSCRIBE\ndestination:/topic/a\n\n^@', 'MISSING_HEADER'],
    ['UNSUBSCRIBE of an unknown id', 'UNSUBSCRIBE\nid:x\n\n^@', 'UNKNOWN_SUBSCRIPTION'],
    [
      'UNSUBSCRIBE of an unknown destination, in 1.0',
      'UNSUBSCRIBE\ndestination:/topic/a\n\n^@',
      'UNKNOWN_SUBSCRIPTION',
      1002,
      '1.0'
    ],
    ['ACK without an id, in 1.2', 'ACK\nmessage-id:1\nsubscription:0\n\n^@', 'MISSING_HEADER'],
    ['ACK without a subscription, in 1.1', 'ACK\nmessage-id:1\n\n^@', 'MISSING_HEADER', 1002, '1.1'],
    ['ACK without a message-id, in 1.0', 'ACK\nid:1\n\n^@', 'MISSING_HEADER', 1002, '1.0'],
    ['ACK of what never came', 'ACK\nid:1\n\n^@', 'UNKNOWN_ACK'],
    ['NACK of what never came', 'NACK\nid:1\n\n^@', 'UNKNOWN_ACK'],
    ['NACK in 1.0, which has none', 'NACK\nmessage-id:1\n\n^@', 'UNKNOWN_COMMAND', 1002, '1.0'],
    ...['BEGIN', 'COMMIT', 'ABORT'].map((command): [string, string, string] => [
      `${command} without a transaction`,
      `${command}\n\n^@`,
      'MISSING_HEADER'
    ]),
    ['COMMIT of an unknown transaction', 'COMMIT\ntransaction:t\n\n^@', 'UNKNOWN_TRANSACTION'],
    ['ABORT of an unknown transaction', 'ABORT\ntransaction:t\n\n^@', 'UNKNOWN_TRANSACTION'],
    ['an unknown command', 'PUBLISH\ndestination:/topic/a\n\n^@', 'UNKNOWN_COMMAND']
  ]
  for (const [name, frame, code, closeCode = 1002, version = '1.2'] of cases) {
    test(name, async () => {
      const socket = await connect({ version })
      socket.send(frame.replace('\n', '\nreceipt:the frame\n'))
      assert.equal((await refused(socket, code, closeCode)).headers['receipt-id'], 'the frame')
    })
  }
})

describe('SEND', () => {
  test('its RECEIPT says that the record is written, and keeps the order of frames', async () => {
    const { socket, destination } = await subscribed()
    for (const n of [1, 2, 3]) socket.send(`SEND\ndestination:${destination}\nreceipt:r\\c${n}\n\n${n}^@`)
    const receipts: unknown[] = []
    const bodies: string[] = []
    while (receipts.length + bodies.length < 6) {
      const { command, headers, body } = await socket.next()
      if (command === 'RECEIPT') receipts.push(headers)
      else bodies.push(String(body))
    }
    assert.deepEqual(
      receipts.map(headers => ({ ...(headers as object) })),
      [1, 2, 3].map(n => ({ 'receipt-id': `r\\c${n}` }))
    )
    assert.deepEqual(bodies, ['1', '2', '3'])
  })

  test('MESSAGE has the destination of the SUBSCRIBE and ids that differ', async () => {
    const { destination, receive } = await subscribed()
    const messages = await receive('a', 'b')
    for (const { headers } of messages) {
      assert.deepEqual(Object.keys(headers).toSorted(), ['content-length', 'destination', 'message-id', 'subscription'])
      assert.equal(headers['destination'], destination)
    }
    assert.notEqual(messages[0]?.headers['message-id'], messages[1]?.headers['message-id'])
  })

  test('it is stamped, and excepted from the history, as its route says', async () => {
    const socket = await connect()
    const room = unique('room')
    await socket.done(`SUBSCRIBE\nid:0\ndestination:/sub/chat/room/${room}\n\n^@`)
    for (const type of ['ENTER', 'TALK']) {
      socket.send(`SEND\ndestination:/pub/chat/message\n\n{"type":"${type}","roomId":"${room}"}^@`)
      const body = JSON.parse(String((await socket.expect('MESSAGE')).body)) as Record<string, string>
      assert.deepEqual(Object.keys(body), ['type', 'roomId', 'sendDate'])
    }
    socket.send(`SUBSCRIBE\nid:1\ndestination:/sub/chat/room/${room}\nhistory:10\nreceipt:h\n\n^@`)
    assert.match(String((await socket.expect('MESSAGE')).body), /TALK/)
    await socket.expect('RECEIPT')
  })
})

describe('SUBSCRIBE and UNSUBSCRIBE', () => {
  test('it is live before the SEND that follows it in the same message', async () => {
    const socket = await connect()
    const destination = place()
    socket.send(`SUBSCRIBE\nid:0\ndestination:${destination}\n\n^@SEND\ndestination:${destination}\n\nfirst^@`)
    assert.equal(String((await socket.expect('MESSAGE')).body), 'first')
  })

  test('nothing is replayed that was not asked for', async () => {
    const { destination, receive } = await subscribed()
    await receive('old')
    const late = await connect()
    await late.done(`SUBSCRIBE\nid:0\ndestination:${destination}\n\n^@`)
    await receive('new')
    assert.equal(String((await late.expect('MESSAGE')).body), 'new')
  })

  test('every subscription of a destination gets each message, under its own id', async () => {
    const { socket, destination, send } = await subscribed()
    await socket.done(`SUBSCRIBE\nid:second\\c2\ndestination:${destination}\n\n^@`)
    await send('x')
    const ids = [await socket.expect('MESSAGE'), await socket.expect('MESSAGE')].map(m => m.headers['subscription'])
    assert.deepEqual(ids.toSorted(), ['0', 'second\\c2'])
  })

  test('an id in use is answered with ERROR, also for another destination', async () => {
    const { socket } = await subscribed()
    socket.send(`SUBSCRIBE\nid:0\ndestination:${place()}\nreceipt:r\n\n^@`)
    assert.equal((await refused(socket, 'DUPLICATE_SUBSCRIPTION', 1002)).headers['receipt-id'], 'r')
  })

  test('after the RECEIPT of UNSUBSCRIBE no MESSAGE comes, and the id is free', async () => {
    const { socket, destination, send, receive } = await subscribed()
    await receive('before')
    await socket.done('UNSUBSCRIBE\nid:0\n\n^@')
    await send('between')
    await socket.done(`SUBSCRIBE\nid:0\ndestination:${destination}\n\n^@`)
    await receive('after')
  })

  test('1.0 needs no id: no subscription header, and UNSUBSCRIBE by destination', async () => {
    const { socket, destination, receive, send } = await subscribed('1.0', '')
    const [message] = await receive('x')
    assert.ok(message && !('subscription' in message.headers))
    await socket.done(`UNSUBSCRIBE\ndestination:${destination}\n\n^@`)
    await send('y')
    await idle(socket)
  })

  test('1.0 may give an id, and then UNSUBSCRIBE names it', async () => {
    const { socket, receive } = await subscribed('1.0', 'id:a\\c\n')
    const [message] = await receive('x')
    assert.equal(message?.headers['subscription'], 'a\\c')
    await socket.done('UNSUBSCRIBE\nid:a\\c\n\n^@')
  })

  test('history and last-message-id replay before what is live, the RECEIPT last', async () => {
    const { destination, receive } = await subscribed()
    const [first] = await receive('1', '2', '3')
    const replayed = async (lines: string) => {
      const socket = await connect()
      socket.send(`SUBSCRIBE\nid:0\ndestination:${destination}\n${lines}receipt:r\n\n^@`)
      const bodies: string[] = []
      for (;;) {
        const { command, headers, body } = await socket.next()
        if (command === 'RECEIPT') return { bodies, resumed: headers['resumed'], last: headers['last-message-id'] }
        bodies.push(String(body))
      }
    }
    const { bodies, resumed, last } = await replayed(`last-message-id:${first?.headers['message-id']}\n`)
    assert.deepEqual([bodies, resumed], [['2', '3'], 'true'])
    assert.deepEqual(await replayed('history:2\n'), { bodies: ['2', '3'], resumed: 'false', last })
    assert.deepEqual(await replayed(''), { bodies: [], resumed: 'false', last })
    assert.deepEqual(await replayed(`last-message-id:${last}\n`), { bodies: [], resumed: 'true', last })
  })
})

describe('ACK and NACK', () => {
  const ids: Record<string, (message: SocketFrame | undefined) => string> = {
    '1.2': message => `id:${message?.headers['ack']}\n`,
    '1.1': message => `message-id:${message?.headers['message-id']}\nsubscription:0\n`,
    '1.0': message => `message-id:${message?.headers['message-id']}\n`
  }

  for (const version of ['1.0', '1.1', '1.2'] as const) {
    const idOf = ids[version] as (message: SocketFrame | undefined) => string

    test(`client is cumulative, in ${version}`, async () => {
      const { socket, receive } = await subscribed(version, 'id:0\nack:client\n')
      const [first, second, third] = await receive('1', '2', '3')
      await socket.done(`ACK\n${idOf(second)}\n^@`)
      await socket.done(`ACK\n${idOf(third)}\n^@`)
      socket.send(`ACK\n${idOf(first)}receipt:r\n\n^@`)
      assert.equal((await refused(socket, 'UNKNOWN_ACK', 1002)).headers['receipt-id'], 'r')
    })

    if (version === '1.0') continue
    test(`client-individual touches no other, in ${version}`, async () => {
      const { socket, receive } = await subscribed(version, 'id:0\nack:client-individual\n')
      const [first, second, third] = await receive('1', '2', '3')
      await socket.done(`ACK\n${idOf(second)}\n^@`)
      await socket.done(`NACK\n${idOf(third)}\n^@`)
      await socket.done(`ACK\n${idOf(first)}\n^@`)
      socket.send(`NACK\n${idOf(second)}\n^@`)
      await refused(socket, 'UNKNOWN_ACK', 1002)
    })
  }

  test('auto asks for none: no ack header, and an ACK is answered with ERROR', async () => {
    const { socket, receive } = await subscribed('1.2', 'id:0\nack:auto\n')
    const [message] = await receive('x')
    assert.ok(message && !('ack' in message.headers))
    socket.send(`ACK\nid:${message?.headers['message-id']}\n\n^@`)
    await refused(socket, 'UNKNOWN_ACK', 1002)
  })

  test('1.1 refuses the ACK of another subscription’s message', async () => {
    const { socket, destination, receive } = await subscribed('1.1', 'id:0\nack:client\n')
    await socket.done(`SUBSCRIBE\nid:1\ndestination:${destination}-other\nack:client\n\n^@`)
    const [message] = await receive('x')
    socket.send(`ACK\nmessage-id:${message?.headers['message-id']}\nsubscription:1\n\n^@`)
    await refused(socket, 'UNKNOWN_ACK', 1002)
  })

  test('in a transaction they take effect at COMMIT, and never after ABORT', async () => {
    const { socket, receive } = await subscribed('1.2', 'id:0\nack:client-individual\n')
    const [message] = await receive('x')
    const ack = `ACK\nid:${message?.headers['ack']}\n`
    for (const end of ['ABORT', 'COMMIT']) {
      await socket.done('BEGIN\ntransaction:t\n\n^@')
      await socket.done(`${ack}transaction:t\n\n^@`)
      await socket.done(`${end}\ntransaction:t\n\n^@`)
    }
    socket.send(`${ack}\n^@`)
    await refused(socket, 'UNKNOWN_ACK', 1002)
  })
})

describe('BEGIN, COMMIT and ABORT', () => {
  test('SENDs appear at COMMIT, in order; those outside do not wait', async () => {
    const { socket, destination } = await subscribed()
    await socket.done('BEGIN\ntransaction:t\n\n^@')
    for (const body of ['1', '2', '3'])
      await socket.done(`SEND\ndestination:${destination}\ntransaction:t\n\n${body}^@`)
    socket.send(`SEND\ndestination:${destination}\n\noutside^@`)
    assert.equal(String((await socket.expect('MESSAGE')).body), 'outside')
    socket.send('COMMIT\ntransaction:t\n\n^@')
    for (const body of ['1', '2', '3']) {
      const message = await socket.expect('MESSAGE')
      assert.equal(String(message.body), body)
      assert.ok(!('transaction' in message.headers))
    }
  })

  test('nothing of an ABORTed transaction appears, nor of one whose connection ended', async () => {
    const { destination, receive } = await subscribed()
    for (const end of ['ABORT\ntransaction:t\n\n^@', 'DISCONNECT\n\n^@']) {
      const socket = await connect()
      await socket.done('BEGIN\ntransaction:t\n\n^@')
      await socket.done(`SEND\ndestination:${destination}\ntransaction:t\n\nnever^@`)
      socket.send(end)
      socket.ws.close()
      await socket.closed()
    }
    await receive('later')
  })

  test('BEGIN of one that is open is answered with ERROR; after its end the name is free', async () => {
    const socket = await connect()
    for (const end of ['COMMIT', 'ABORT']) {
      await socket.done('BEGIN\ntransaction:t\n\n^@')
      await socket.done(`${end}\ntransaction:t\n\n^@`)
    }
    await socket.done('BEGIN\ntransaction:t\n\n^@')
    socket.send('BEGIN\ntransaction:t\nreceipt:r\n\n^@')
    assert.equal((await refused(socket, 'DUPLICATE_TRANSACTION', 1002)).headers['receipt-id'], 'r')
  })

  test('two that are open at one time do not mix', async () => {
    const { socket, destination } = await subscribed()
    for (const name of ['t', 'u']) await socket.done(`BEGIN\ntransaction:${name}\n\n^@`)
    for (const name of ['t', 'u', 't'])
      socket.send(`SEND\ndestination:${destination}\ntransaction:${name}\n\n${name}^@`)
    await socket.done('ABORT\ntransaction:t\n\n^@')
    socket.send('COMMIT\ntransaction:u\n\n^@')
    assert.equal(String((await socket.expect('MESSAGE')).body), 'u')
    await idle(socket)
  })
})

describe('DISCONNECT', () => {
  test('its RECEIPT comes after all others, then the close', async () => {
    const { socket, destination } = await subscribed()
    socket.send(`SEND\ndestination:${destination}\nreceipt:1\n\nx^@DISCONNECT\nreceipt:2\n\n^@`)
    const receipts: unknown[] = []
    while (receipts.length < 2) {
      const { command, headers } = await socket.next()
      if (command === 'RECEIPT') receipts.push(headers['receipt-id'])
    }
    assert.deepEqual(receipts, ['1', '2'])
    assert.deepEqual(await socket.closed(), { code: 1000, reason: 'DISCONNECT', left: [] })
  })

  test('without a receipt the close is all that comes', async () => {
    for (const version of ['1.0', '1.1', '1.2'] as const) {
      const socket = await connect({ version })
      socket.send('DISCONNECT\n\n^@')
      assert.deepEqual(await socket.closed(), { code: 1000, reason: 'DISCONNECT', left: [] })
    }
  })

  test('what follows it is not handled', async () => {
    const { destination, receive } = await subscribed()
    const socket = await connect()
    socket.send(`DISCONNECT\nreceipt:bye\n\n^@SEND\ndestination:${destination}\nreceipt:no\n\nno^@NONSENSE\n\n^@`, '^@')
    assert.equal((await socket.expect('RECEIPT')).headers['receipt-id'], 'bye')
    assert.deepEqual(await socket.closed(), { code: 1000, reason: 'DISCONNECT', left: [] })
    await receive('later')
  })
})
