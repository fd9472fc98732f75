import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import pino from 'pino'
import type { Credentials } from '../../../src/auth.ts'
import { BatonError } from '../../../src/errors.ts'
import { deadline } from '../../support/wait.ts'
import { logOf, openAuth, serve } from './serve.ts'

const SECRET = 'hunter2'
const HISTORY = '/history?destination=/sub/chat/7'
const UPGRADE =
  'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n'

/** A server that logs all there is, whose log is broken and whose auth does not work, and what each was shown. */
async function broken(refusal: () => Error = () => new Error('out of order')) {
  const lines: string[] = []
  const shown: Credentials[] = []
  const logger = pino({ level: 'trace' }, { write: (line: string) => lines.push(line) })
  const auth = {
    ...openAuth,
    async authenticate(credentials: Credentials) {
      shown.push(credentials)
      throw refusal()
    }
  }
  const accept = () => {
    throw new Error('out of order')
  }
  const it = await serve({ logger, stomp: { paths: ['/ws'] }, edge: { auth, accept, log: logOf([]) } })
  return { ...it, lines, shown }
}

/** What comes back to these bytes. */
async function ask(port: number, bytes: string): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  socket.end(bytes)
  return deadline(text(socket), 5000, bytes)
}

const request = (target: string, headers = 'Connection: close\r\n') =>
  `GET ${target} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${SECRET}\r\n${headers}\r\n`

for (const target of [
  `${HISTORY}&access_token=${SECRET}`,
  `${HISTORY}&access%5Ftoken=${SECRET}`,
  `${HISTORY}&%61ccess_%74oken=${SECRET}`,
  `${HISTORY}&Access_Token=${SECRET}`,
  `${HISTORY}&access_token=${SECRET}&access_token=${SECRET}`,
  `${HISTORY}&access_token[]=${SECRET}&token=${SECRET}`,
  `${HISTORY}&access_token%3D${SECRET}`,
  `${HISTORY}?access_token=${SECRET}`,
  `/ws?access_token=${SECRET}`,
  `/ws?a&access%5ftoken=${SECRET}&b`,
  `/ws&access_token=${SECRET}`,
  `/ws;access_token=${SECRET}`,
  `/ws%3Faccess_token=${SECRET}`,
  `/ws#access_token=${SECRET}`,
  `/nowhere?access_token=${SECRET}`,
  `/%zz?access_token=${SECRET}`,
  `/%zz%26access_token=${SECRET}%zz`,
  `//?access_token=${SECRET}`,
  `http://a/nowhere?access_token=${SECRET}`
]) {
  test(`the token in ${target} is in no line, nor in an answer, nor is that in Authorization`, async () => {
    await using it = await broken()
    for (const headers of ['Connection: close\r\n', UPGRADE]) {
      const answer = await ask(it.port, request(target, headers))
      assert.ok(answer.startsWith('HTTP/1.1 '), answer)
      assert.ok(!answer.includes(SECRET), answer)
    }
    await it.server.close()
    assert.equal(it.lines.length > 0, !target.includes('%zz'), 'what has no route has no line')
    assert.ok(!it.lines.join('').includes(SECRET), it.lines.join(''))
  })
}

test('nor is it in a line about what is no HTTP', async () => {
  await using it = await broken()
  for (const bytes of [
    `GET /?access_token=${SECRET} HTTP/9.9\r\n\r\n`,
    `GET /?access_token=${SECRET} x HTTP/1.1\r\n\r\n`,
    request('/livez', `x: ${'y'.repeat(20_000)}\r\n`),
    request('/livez', `Authorization Bearer ${SECRET}\r\n`)
  ]) {
    assert.match(await ask(it.port, bytes), /^HTTP\/1.1 4/)
  }
  await it.server.close()
  assert.ok(!it.lines.join('').includes(SECRET), it.lines.join(''))
})

test('a token is taken from the query however its name is written, and a repeated one is none', async () => {
  await using it = await broken(() => new BatonError('UNAUTHENTICATED', 'no'))
  const accessTokenOf = async (query: string) => {
    await fetch(`${it.url}${HISTORY}&${query}`)
    return it.shown.at(-1)?.accessToken
  }
  assert.equal(await accessTokenOf('access_token=a.b%2Bc'), 'a.b+c')
  assert.equal(await accessTokenOf('limit=5&access%5Ftoken=a'), 'a')
  assert.equal(await accessTokenOf('access_token=a&access_token=b'), 'a,b')
  assert.equal(await accessTokenOf('xaccess_token=a'), undefined)
  assert.equal(it.shown.at(-1)?.path, '/history')
})
