import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { type ClientOptions, WebSocket } from 'ws'
import type { Upgrade } from '../../../src/http/socket.ts'
import { serve } from './serve.ts'

/** The socket once open, or the status of the answer that refused it. */
async function open(url: string, protocols: string[] = [], options: ClientOptions = {}): Promise<WebSocket | number> {
  const ws = new WebSocket(url, protocols, options)
  return new Promise((resolve, reject) => {
    ws.once('open', () => resolve(ws))
    ws.once('unexpected-response', (_, response) => resolve(response.statusCode as number))
    ws.once('error', reject)
  })
}

async function connected(...args: Parameters<typeof open>): Promise<WebSocket> {
  const ws = await open(...args)
  assert.ok(ws instanceof WebSocket, `refused with ${ws}`)
  return ws
}

const stay = () => undefined

for (const [offered, chosen] of [
  [['v12.stomp', 'v11.stomp', 'v10.stomp'], 'v12.stomp'],
  [['v10.stomp', 'v11.stomp'], 'v11.stomp'],
  [['other', 'v10.stomp'], 'v10.stomp'],
  [[], '']
] as const) {
  test(`of [${offered}] the sub-protocol "${chosen}" is chosen`, async () => {
    await using it = await serve({ edge: { accept: stay } })
    const ws = await connected(it.wsUrl, [...offered])
    assert.equal(ws.protocol, chosen)
  })
}

test('an unknown sub-protocol is not echoed, so the client fails the connection itself', async () => {
  await using it = await serve({ edge: { accept: stay } })
  await assert.rejects(open(it.wsUrl, ['mqtt']), /Server sent no subprotocol/)
})

test('every configured path accepts sockets and passes what the client showed', async () => {
  const upgrades: Upgrade[] = []
  await using it = await serve({
    stomp: { paths: ['/ws', '/chat/stomp'] },
    edge: { accept: (_, socket, upgrade) => upgrades.push(upgrade) && socket.setNoDelay() }
  })
  await connected(`${it.wsUrl}?access_token=tok`)
  await connected(it.wsUrl.replace('/ws', '/chat/stomp'), [], { headers: { authorization: 'Bearer x' } })
  assert.deepEqual(upgrades, [
    { path: '/ws', remoteAddress: '127.0.0.1', accessToken: 'tok' },
    { path: '/chat/stomp', remoteAddress: '127.0.0.1', authorization: 'Bearer x' }
  ])
})

test('a socket elsewhere is answered with 404, a plain request here too', async () => {
  await using it = await serve({ edge: { accept: stay } })
  for (const path of ['/history', '/livez', '/nowhere', '/'])
    assert.equal(await open(it.wsUrl.replace('/ws', path)), 404)
  const plain = await fetch(`${it.url}/ws`)
  assert.equal(plain.status, 404)
  assert.match(await plain.text(), /speaks STOMP over WebSocket only/)
})

test('origins are checked against the list, however they are written, and one must be there', async () => {
  const allowedOrigins = ['https://chat.example', 'http://a.example:8000', 'capacitor://localhost']
  await using it = await serve({ http: { allowedOrigins }, edge: { accept: stay } })
  const from = (origin: string) => open(it.wsUrl, [], { origin })
  for (const origin of [...allowedOrigins, 'HTTPS://Chat.Example:443', 'http://A.example:8000']) {
    assert.ok((await from(origin)) instanceof WebSocket, origin)
  }
  for (const origin of [
    'http://chat.example',
    'https://chat.example:8443',
    'https://chat.example.evil.example',
    'https://chat.example@evil.example',
    'https://evil.example/https://chat.example',
    'https://sub.chat.example',
    'http://a.example',
    it.url,
    'null'
  ]) {
    assert.equal(await from(origin), 403, origin)
  }
  // Whose name suddenly resolves to Baton's address.
  assert.equal(await open(it.wsUrl, [], { headers: { origin: 'http://evil.example', host: 'evil.example' } }), 403)
  assert.equal(await open(it.wsUrl), 403)
  await using lenient = await serve({ http: { allowedOrigins, allowAbsentOrigin: true }, edge: { accept: stay } })
  assert.ok((await open(lenient.wsUrl)) instanceof WebSocket)
  assert.equal(await open(lenient.wsUrl, [], { origin: 'https://evil.example' }), 403)
})

test('without a list only pages of the same host may connect, and where nobody signs in those of localhost and what is no browser', async () => {
  await using closed = await serve({ auth: 'jwt', edge: { accept: stay } })
  const { host } = new URL(closed.url)
  for (const origin of [closed.url, `https://${host}`])
    assert.ok((await open(closed.wsUrl, [], { origin })) instanceof WebSocket)
  const standard = { headers: { host: 'Chat.example:443' } }
  assert.ok((await open(closed.wsUrl, [], { ...standard, origin: 'https://chat.example' })) instanceof WebSocket)
  for (const origin of ['https://evil.example', 'null', ''])
    assert.equal(await open(closed.wsUrl, [], { headers: { origin } }), 403)
  assert.equal(await open(closed.wsUrl), 403)
  await using free = await serve({ edge: { accept: stay } })
  for (const origin of [free.url, 'http://localhost:5173', 'https://127.0.0.1', 'http://[::1]:3000'])
    assert.ok((await open(free.wsUrl, [], { origin })) instanceof WebSocket, origin)
  for (const origin of [
    'https://any.example',
    'http://localhost.evil.example',
    'http://evil.example:80/localhost',
    'null'
  ])
    assert.equal(await open(free.wsUrl, [], { headers: { origin } }), 403, origin)
  assert.ok((await open(free.wsUrl)) instanceof WebSocket)
})

test('compression is never agreed and a message over the limit is closed with 1009', async () => {
  await using it = await serve({ edge: { accept: stay } })
  const ws = await connected(it.wsUrl, [], { perMessageDeflate: true })
  assert.equal(ws.extensions, '')
  ws.send(Buffer.alloc(100_000))
  const [code] = await once(ws, 'close')
  assert.equal(code, 1009)
})

test('draining refuses new sockets and leaves those that are open until close', async () => {
  await using it = await serve({ edge: { accept: ws => ws.on('message', data => ws.send(data)) } })
  const ws = await connected(it.wsUrl)
  it.server.drain()
  assert.equal(await open(it.wsUrl), 503)
  ws.send('still here')
  assert.equal(String((await once(ws, 'message'))[0]), 'still here')
  const gone = once(ws, 'close')
  await it.server.close()
  await gone
})
