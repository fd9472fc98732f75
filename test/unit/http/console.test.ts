import assert from 'node:assert/strict'
import { test } from 'node:test'
import { serve } from './serve.ts'

const chat = {
  destination: '/sub/chat/room/{roomId}',
  send: { destination: '/pub/chat/message', http: 'POST /chat' }
}

test('the page and everything it loads come from this server under a policy without inline code', async () => {
  await using it = await serve()
  const page = await fetch(`${it.url}/`)
  assert.match(String(page.headers.get('content-type')), /^text\/html/)
  const policy = String(page.headers.get('content-security-policy'))
  assert.match(policy, /default-src 'none'/)
  assert.doesNotMatch(policy, /unsafe/)
  const html = await page.text()
  assert.doesNotMatch(html, /<style|\sstyle=|\son\w+=|https?:/)
  const queue = [...html.matchAll(/(?:src|href)="(\/console\/[^"]+)"/g)].map(([, path]) => path as string)
  const loaded = new Set<string>()
  for (let path = queue.shift(); path; path = queue.shift()) {
    if (loaded.has(path)) continue
    loaded.add(path)
    const response = await fetch(it.url + path)
    assert.equal(response.status, 200, path)
    if (!path.endsWith('.js')) continue
    for (const [, module] of (await response.text()).matchAll(/^(?:import|export)[^'"]*?from ['"](\.[^'"]+)['"]/gm))
      queue.push(new URL(module as string, it.url + path).pathname)
  }
  assert.ok(loaded.has('/console/stompjs/client.js'))
})

test('the page is told where to connect and which routes there are', async () => {
  await using it = await serve({ routes: { chat }, stomp: { paths: ['/stomp', '/ws'] } })
  assert.deepEqual(await (await fetch(`${it.url}/console/config`)).json(), {
    stompPath: '/stomp',
    routes: [
      {
        name: 'chat',
        destination: '/sub/chat/room/{roomId}',
        send: '/pub/chat/message',
        http: 'POST /chat',
        historySize: 200
      }
    ]
  })
})

test('counters and sessions are shown, the sessions up to a bound', async () => {
  const sessions = Array.from({ length: 500 }, (_, i) => ({
    id: `s${i}`,
    principal: `p${i}`,
    destinations: ['/sub/chat/room/1']
  }))
  await using it = await serve({ edge: { sessions: () => sessions } })
  it.metrics.records.inc({ topic: 'a' }, 2)
  it.metrics.records.inc({ topic: 'b' }, 3)
  const stats = (await (await fetch(`${it.url}/console/stats`)).json()) as {
    counters: Record<string, number>
    sessions: object[]
  }
  assert.equal(stats.counters['records'], 5)
  assert.deepEqual(stats.sessions[1], sessions[1])
  assert.equal(stats.sessions.length, 200)
})

test('where people sign in, guests may not see who is connected', async () => {
  await using it = await serve({ auth: 'jwt' })
  assert.equal((await fetch(`${it.url}/console/stats`)).status, 403)
  assert.equal((await fetch(`${it.url}/console/stats`, { headers: { authorization: 'Bearer ann' } })).status, 200)
})
