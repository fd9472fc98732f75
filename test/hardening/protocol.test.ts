import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { type Baton, startBaton } from '../support/baton.ts'
import { unique } from '../support/ids.ts'
import { type ConnectOptions, connectSocket, openSocket, type RawSocket, refused } from '../support/raw-client.ts'
import { once } from '../support/wait.ts'

// Bytes on a real socket to a real process: the grammar of frames, and how they ride in WebSocket messages.

let baton: Baton

before(async () => {
  baton = await startBaton({ env: { BATON_LIFECYCLE_DRAIN_TIMEOUT_MS: '0' } })
})

after(() => baton.stop())

const connect = (options?: ConnectOptions) => connectSocket(baton.wsUrl, options)

/** Connected, and subscribed to a destination of its own. */
async function subscribed(version: '1.0' | '1.1' | '1.2' = '1.2'): Promise<{ socket: RawSocket; destination: string }> {
  const socket = await connect({ version })
  const destination = `/topic/${unique('frames')}`
  await socket.done(`SUBSCRIBE\nid:0\ndestination:${destination}\n\n^@`)
  return { socket, destination }
}

/** What comes back of a SEND with these header lines (each closed by LF) and this body. */
async function echo(lines: string, body = 'x', version: '1.0' | '1.1' | '1.2' = '1.2') {
  const { socket, destination } = await subscribed(version)
  socket.send(`SEND\ndestination:${destination}\n${lines}\n${body}^@`)
  const message = await socket.expect('MESSAGE')
  socket.ws.close()
  return message
}

const SEND = 'SEND\ndestination:/topic/a\n'
const HEART_BEAT = '\n'

describe('a frame that is not as the grammar has it is answered with ERROR, and the connection is closed', () => {
  const MALFORMED = 'MALFORMED_FRAME'
  const cases: [name: string, frame: string | Buffer, code?: string, version?: '1.0' | '1.1'][] = [
    ['F1 no blank line before the NUL', 'SEND\ndestination:/topic/a^@'],
    ['F1 a NUL alone', '^@'],
    ['F1 a NUL in a header', 'SEND\ndestination:/topic/a\nx:\0\n\nx^@'],
    ['F1 a CR within a line', `${SEND}x:a\rb\n\nx^@`],
    ['F1 a lone CR between frames', '\rSEND\n\n^@'],
    ['F1 lines that end in CRLF, in 1.1', 'SEND\r\ndestination:/topic/a\r\n\r\nx^@', MALFORMED, '1.1'],
    ['F2 a command in lower case', 'send\ndestination:/topic/a\n\nx^@', 'UNKNOWN_COMMAND'],
    ['F2 a command with a space', 'SEND \ndestination:/topic/a\n\nx^@', 'UNKNOWN_COMMAND'],
    ['F2 an empty command', 'x:1\n\n^@', 'UNKNOWN_COMMAND'],
    ['F2 a name of Object.prototype as command', 'constructor\n\n^@', 'UNKNOWN_COMMAND'],
    ['F2 a command of the server', 'MESSAGE\ndestination:/topic/a\n\nx^@', 'UNKNOWN_COMMAND'],
    ['F2 a header name in the wrong case', 'SEND\nDestination:/topic/a\n\nx^@', 'MISSING_HEADER'],
    ['F2 headers that are not UTF-8', Buffer.from('SEND\nx:\xff\n\n\0', 'latin1')],
    ['F3 an unknown escape, in 1.2', `${SEND}x:a\\tb\n\nx^@`],
    ['F3 a backslash at the end of a value, in 1.2', `${SEND}x:a\\\n\nx^@`],
    ['F3 an unknown escape in a name', `${SEND}x\\q:a\n\nx^@`],
    ['F3 \\r in 1.1', `${SEND}x:a\\rb\n\nx^@`, MALFORMED, '1.1'],
    ['F6 a header line without a colon', `${SEND}nothing\n\nx^@`],
    ['F6 a header line without a name', `${SEND}:value\n\nx^@`],
    ['F8 a content-length shorter than the body', `${SEND}content-length:1\n\nxyz^@`],
    ['F8 a negative content-length', `${SEND}content-length:-1\n\nx^@`],
    ['F8 a content-length that is no number', `${SEND}content-length:one\n\nx^@`],
    ['F8 a content-length with a sign', `${SEND}content-length:+1\n\nx^@`],
    ['F8 an empty content-length', `${SEND}content-length:\n\nx^@`],
    ['F8 a content-length beyond all numbers', `${SEND}content-length:${'9'.repeat(30)}\n\nx^@`],
    ['F8 the first of two content-lengths is wrong', `${SEND}content-length:9\ncontent-length:1\n\nx^@${SEND}\n^@`],
    ['F9 a SUBSCRIBE with a body', 'SUBSCRIBE\nid:0\ndestination:/topic/a\n\nbody^@', 'BODY_NOT_ALLOWED'],
    ['F9 a DISCONNECT with a body', 'DISCONNECT\ncontent-length:1\n\nx^@', 'BODY_NOT_ALLOWED']
  ]
  for (const [name, frame, code = MALFORMED, version = '1.2'] of cases) {
    test(name, async () => {
      const socket = await connect({ version })
      socket.send(frame)
      await refused(socket, code, 1002)
    })
  }

  test('what came before it was handled, what came after it is not', async () => {
    const { socket: observer, destination } = await subscribed()
    const socket = await connect()
    const sends = ['before', 'after'].map(body => `SEND\ndestination:${destination}\n\n${body}^@`)
    socket.send(sends.join('junk^@'))
    await refused(socket, 'MALFORMED_FRAME', 1002)
    observer.send(`SEND\ndestination:${destination}\n\nlater^@`)
    assert.equal(String((await observer.expect('MESSAGE')).body), 'before')
    assert.equal(String((await observer.expect('MESSAGE')).body), 'later')
  })
})

describe('headers arrive as they were sent', () => {
  test('F3 F4 1.2 escapes \\r \\n \\c \\\\ in names and values', async () => {
    const { headers } = await echo('a\\cb\\\\:c\\rd\\ne\\cf\\\\\n')
    assert.equal(headers['a\\cb\\\\'], 'c\\rd\\ne\\cf\\\\')
  })

  test('F3 F4 1.1 escapes \\n \\c \\\\ and takes a CR as it is', async () => {
    const { headers } = await echo('a\\cb:c\\nd\\\\\ncr:x\ry\n', 'x', '1.1')
    assert.equal(headers['a\\cb'], 'c\\nd\\\\')
    assert.equal(headers['cr'], 'x\ry')
  })

  test('F3 F4 1.0 escapes nothing', async () => {
    const { headers } = await echo('x:a\\c\\q:b\n', 'x', '1.0')
    assert.equal(headers['x'], 'a\\c\\q:b')
  })

  test('F4 each version writes what another one sent in its own escapes', async () => {
    const { socket, destination } = await subscribed('1.2')
    const [v11, v10] = [await connect({ version: '1.1' }), await connect({ version: '1.0' })]
    for (const other of [v11, v10]) await other.done(`SUBSCRIBE\nid:0\ndestination:${destination}\n\n^@`)
    socket.send(`SEND\ndestination:${destination}\nx:a\\cb\\\\c\\nd\\re\n\nx^@`)
    assert.equal((await socket.expect('MESSAGE')).headers['x'], 'a\\cb\\\\c\\nd\\re')
    assert.equal((await v11.expect('MESSAGE')).headers['x'], 'a\\cb\\\\c\\nd\re')
    assert.equal((await v10.expect('MESSAGE')).headers['x'], 'a:b\\c d e')
  })

  test('F5 values are neither trimmed nor padded, and may be empty', async () => {
    const { headers } = await echo('x: v \nempty:\n')
    assert.equal(headers['x'], ' v ')
    assert.equal(headers['empty'], '')
  })

  test('F6 a colon in a value is tolerated', async () => {
    assert.equal((await echo('x:http://a:1/b\n')).headers['x'], 'http\\c//a\\c1/b')
  })

  test('F7 of a repeated header the first counts', async () => {
    assert.equal((await echo('x:first\nx:second\n')).headers['x'], 'first')
    const { socket, destination } = await subscribed()
    socket.send(`SEND\ndestination:${destination}\ndestination:/nowhere\n\nx^@`)
    await socket.expect('MESSAGE')
  })

  test('F10 content-type is passed on, and none is made up', async () => {
    assert.equal(
      (await echo('content-type:text/html;charset=utf-8\n')).headers['content-type'],
      'text/html;charset=utf-8'
    )
    assert.ok(!('content-type' in (await echo('')).headers))
  })

  test('names of Object.prototype are ordinary names', async () => {
    const names = ['__proto__', 'hasOwnProperty', 'constructor', 'toString']
    const { headers } = await echo(names.map(name => `${name}:${name} of mine\n`).join(''))
    for (const name of names) assert.equal(headers[name], `${name} of mine`)
  })

  test('the server’s own names cannot be forged', async () => {
    const forged = ['message-id', 'subscription', 'ack', 'gap', 'session', 'last-message-id', 'receipt-id', 'user-name']
    const { headers } = await echo(forged.map(name => `${name}:forged\n`).join(''))
    assert.deepEqual(
      Object.values(headers).filter(value => value === 'forged'),
      []
    )
    assert.equal(headers['subscription'], '0')
    assert.match(headers['message-id'] ?? '', /^[\w.-]{3,256}$/)
  })
})

describe('bodies arrive as they were sent', () => {
  test('F8 NULs pass with a content-length', async () => {
    const message = await echo('content-length:5\n', 'a\0b\0c')
    assert.equal(String(message.body), 'a\0b\0c')
    assert.equal(message.headers['content-length'], '5')
  })

  test('F8 without a content-length the body ends at the first NUL', async () => {
    assert.equal(String((await echo('', 'a\n\nb: c\n')).body), 'a\n\nb: c\n')
  })

  test('F8 an empty body', async () => {
    assert.equal((await echo('content-length:0\n', '')).body.length, 0)
    assert.equal((await echo('', '')).body.length, 0)
  })

  test('F10 bytes that are not UTF-8 come in a binary message, text in a text message', async () => {
    const { socket, destination } = await subscribed()
    const bytes = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte))
    const head = `SEND\ndestination:${destination}\ncontent-length:256\n\n`
    socket.send(Buffer.concat([Buffer.from(head), bytes, Buffer.of(0)]))
    const binary = await socket.expect('MESSAGE')
    assert.deepEqual(binary.body, bytes)
    assert.equal(binary.binary, true)
    socket.send(`SEND\ndestination:${destination}\n\n안녕 👋^@`)
    const text = await socket.expect('MESSAGE')
    assert.equal(String(text.body), '안녕 👋')
    assert.equal(text.binary, false)
  })

  test('a body of 1 MiB passes', async () => {
    const body = 'é'.repeat(2 ** 19)
    assert.equal(String((await echo('', body)).body), body)
  })
})

describe('frames may lie in WebSocket messages in any way', () => {
  test('T5 text and binary may be mixed within a frame', async () => {
    const { socket, destination } = await subscribed()
    socket.send('SEND\ndesti', Buffer.from(`nation:${destination}\n\nbo`), 'dy', Buffer.of(0))
    assert.equal(String((await socket.expect('MESSAGE')).body), 'body')
  })

  test('T6 many frames in a message, CONNECT and DISCONNECT among them', async () => {
    const socket = await openSocket(baton.wsUrl)
    const destination = `/topic/${unique('frames')}`
    const sends = Array.from({ length: 100 }, (_, n) => `SEND\ndestination:${destination}\nreceipt:${n}\n\n${n}^@`)
    const receipts: string[] = []
    const bodies: string[] = []
    socket.send(
      `CONNECT\naccept-version:1.2\n\n^@SUBSCRIBE\nid:0\ndestination:${destination}\n\n^@${sends.join('\n')}DISCONNECT\nreceipt:bye\n\n^@`
    )
    await socket.expect('CONNECTED')
    while (receipts.at(-1) !== 'bye') {
      const { command, headers, body } = await socket.next()
      if (command === 'RECEIPT') receipts.push(headers['receipt-id'] as string)
      else bodies.push(`${command} ${body}`)
    }
    assert.deepEqual(receipts, [...sends.keys(), 'bye'].map(String))
    assert.deepEqual(
      bodies,
      [...sends.keys()].slice(0, bodies.length).map(n => `MESSAGE ${n}`)
    )
    assert.equal((await socket.closed()).code, 1000)
  })

  test('T6 a frame byte by byte: within a CRLF, an escape and a character', async () => {
    const { socket, destination } = await subscribed()
    const frame = Buffer.from(`SEND\r\ndestination:${destination}\r\nx:\\c안\r\n\r\n녕👋\0\r\n`)
    for (const byte of frame) socket.send(Buffer.of(byte))
    const { headers, body } = await socket.expect('MESSAGE')
    assert.equal(headers['x'], '\\c안')
    assert.equal(String(body), '녕👋')
  })

  test('T7 EOLs between frames are heart-beats, LF or CRLF, before CONNECT too', async () => {
    for (const version of ['1.0', '1.1', '1.2']) {
      const socket = await openSocket(baton.wsUrl)
      socket.send(HEART_BEAT, '\n\n', `\nCONNECT\naccept-version:${version}\n\n^@\n`, '\r\n')
      await socket.expect('CONNECTED')
      socket.send('\n\n\n', '\r\n\r\n', '\r', '\n')
      await socket.done('BEGIN\ntransaction:t\n\n^@\n')
    }
  })

  test('T8 a message in WebSocket fragments is one message', async () => {
    const { socket, destination } = await subscribed()
    const parts = [`SEND\ndestination:${destination}\n`, '\nfrag', 'mented', '\0']
    for (const [at, part] of parts.entries()) socket.ws.send(part, { fin: at === parts.length - 1 })
    assert.equal(String((await socket.expect('MESSAGE')).body), 'fragmented')
  })

  test('T8 an empty message says nothing', async () => {
    const { socket } = await subscribed()
    socket.send('', Buffer.alloc(0))
    await socket.done('BEGIN\ntransaction:t\n\n^@')
  })

  test('T8 a WebSocket ping is answered with its own bytes', async () => {
    const { socket } = await subscribed()
    const pong = once(socket.ws, 'pong', { what: 'a pong' })
    socket.ws.ping('there?')
    assert.equal(String((await pong)[0]), 'there?')
  })

  test('T8 text that is not UTF-8 is closed with 1007', async () => {
    const { socket } = await subscribed()
    socket.ws.send(Buffer.from([0x53, 0xff, 0x00]), { binary: false })
    assert.equal((await socket.closed()).code, 1007)
  })

  test('T8 a frame that no client may send is closed with 1002', async () => {
    const { socket } = await subscribed()
    socket.ws.send('unmasked', { mask: false })
    assert.equal((await socket.closed()).code, 1002)
  })

  test('T8 the client’s own close is answered', async () => {
    const { socket } = await subscribed()
    socket.ws.close(1000, 'bye')
    assert.equal((await socket.closed()).code, 1000)
  })
})
