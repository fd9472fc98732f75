import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { SignJWT } from 'jose'
import { chat, MEMBER, member, refused, SECRET, sent, tokenOf, wayIn } from './way-in.ts'

describe('a SEND on its way to Kafka', () => {
  test('passes bytes through, keyed by the destination, without reserved headers', async () => {
    const { send } = wayIn({
      routes: { topic: { topic: 't', channel: 't:{+key}', destination: '/topic/{+key}', send: {} } }
    })
    const body = Buffer.from([0, 255, 1])
    const headers = {
      'content-type': 'text/plain',
      mine: 'x',
      destination: 'x',
      receipt: 'x',
      passcode: 'x',
      Authorization: 'x',
      __proto__x: 'y'
    }
    const record = await sent(send('/topic/a/b', { body, headers }))
    assert.deepEqual(record.value, body)
    assert.equal(record.key, 'a/b')
    assert.deepEqual(record.headers, { 'content-type': 'text/plain', mine: 'x', __proto__x: 'y' })
  })

  test('keeps nothing of what its body came with, nor of a pool', async () => {
    const stamped = { destination: '/pub', set: { at: '{now}' } }
    const { send } = wayIn({
      routes: {
        topic: { topic: 't', channel: 't:{+key}', destination: '/topic/{+key}', send: {} },
        chat: { ...chat, send: stamped }
      }
    })
    const large = Buffer.alloc(100_000, '{"roomId":7}')
    for (const to of ['/topic/a', '/pub']) {
      const { value } = await sent(send(to, { body: large.subarray(0, 12) }))
      assert.equal(value?.buffer.byteLength, value?.length, to)
    }
    const whole = Buffer.alloc(900)
    assert.equal((await sent(send('/topic/a', { body: whole }))).value, whole)
  })

  test('is stamped from destination, body, principal and clock; what came under those names is replaced', async () => {
    const set = {
      roomId: '{roomId}',
      sender: '{principal.nickname}',
      id: '{principal.memberId}',
      path: '{principal.profilePath}',
      at: '{now}',
      ms: '{now.ms}',
      label: '{principal.name} in {roomId}'
    }
    const send = {
      destination: '/pub/{roomId}',
      key: '{roomId}',
      set,
      headers: { from: '{principal.name}', via: '{headers.app}' }
    }
    const { send: sendTo } = wayIn({ routes: { chat: { ...chat, send } } })
    const body = { roomId: '7', message: '안녕 😀', sender: 'forged', id: 1, at: 'never' }
    const record = await sent(sendTo('/pub/7', { body, principal: member, headers: { app: 'web' } }))
    const { at, ms, ...stamped } = record.json as { at: string; ms: number }
    assert.deepEqual(stamped, { roomId: '7', message: '안녕 😀', sender: '김', id: 42, path: null, label: '김 in 7' })
    assert.equal(new Date(at).getTime(), ms)
    assert.ok(Math.abs(Date.now() - ms) < 60_000)
    assert.equal(record.key, '7')
    assert.deepEqual(record.headers, { 'content-type': 'application/json', app: 'web', from: '김', via: 'web' })
  })

  test('keeps numbers that JavaScript cannot hold as they were written', async () => {
    const { send } = wayIn({ routes: { chat: { ...chat, send: { destination: '/pub', set: { at: '{now.ms}' } } } } })
    const { value } = await sent(
      send('/pub', { body: '{"roomId":1,"id":12345678901234567890,"x":1e400,"s":"12345678901234567890"}' })
    )
    assert.match(String(value), /"id":12345678901234567890,"x":1e400,"s":"12345678901234567890"/)
  })

  test('takes them so into another body, and a record for each of them', async () => {
    const body = { roomId: '{roomId}', by: '{memberId}', id: '{item.id}', text: 'room {roomId}' }
    const files = { ...chat, send: { destination: '/pub', forEach: 'files', key: '{roomId}', body } }
    const { send } = wayIn({ routes: { files } })
    const { value, key } = await sent(
      send('/pub', { body: '{"roomId":1e2,"memberId":1234567890123456789,"files":[{"id":9007199254740993}]}' })
    )
    assert.equal(key, '100')
    assert.equal(String(value), '{"roomId":1e2,"by":1234567890123456789,"id":9007199254740993,"text":"room 100"}')
  })

  test('may get another body', async () => {
    const send = { destination: '/pub/{roomId}', body: { roomId: '{roomId}', text: '{message.text}' } }
    const { send: sendTo } = wayIn({ routes: { chat: { ...chat, send } } })
    assert.deepEqual((await sent(sendTo('/pub/7', { body: { message: { text: 'a' }, other: 1 } }))).json, {
      roomId: '7',
      text: 'a'
    })
  })

  test('that is no JSON where JSON is needed is refused', async () => {
    const { send } = wayIn({ routes: { chat: { ...chat, send: { destination: '/pub', set: { at: '{now}' } } } } })
    await refused(send('/pub', { body: 'hidden' }), 'INVALID_BODY', /must be JSON$/)
    await refused(send('/pub', { body: Buffer.from([34, 255, 34]) }), 'INVALID_BODY', /UTF-8/)
    await refused(send('/pub', { body: '["hidden"]' }), 'INVALID_BODY', /JSON object/)
    await refused(
      send('/pub', { body: { roomId: 1 }, headers: { 'content-type': 'text/html' } }),
      'UNSUPPORTED_MEDIA_TYPE',
      /application\/json/
    )
    await sent(
      send('/pub', { body: { roomId: 1 }, headers: { 'content-type': 'application/vnd.x+json; charset=utf-8' } })
    )
  })

  test('with a body nested too deeply, or over the limit, is refused', async () => {
    const { send } = wayIn(
      { routes: { chat: { ...chat, send: { destination: '/pub', set: { at: '{now}' } } } } },
      1_000_000
    )
    const deep = (core: string) => `{"roomId":1,"a":${'['.repeat(400_000)}${core}${']'.repeat(400_000)}}`
    for (const core of ['', '1234567890123456789'])
      await refused(send('/pub', { body: deep(core) }), 'INVALID_BODY', /nested/)
    await refused(send('/pub', { body: 'x'.repeat(1_000_001) }), 'BODY_TOO_LARGE', /1000001 bytes, at most 1000000/)
  })

  test('that breaks its schema is refused with a JSON pointer', async () => {
    const schema = {
      type: 'object',
      required: ['roomId'],
      properties: { message: { type: 'string', maxLength: 3 }, mail: { format: 'email' } }
    }
    const { send } = wayIn({ routes: { chat: { ...chat, send: { destination: '/pub', schema } } } })
    await refused(send('/pub', { body: { message: 'abc' } }), 'INVALID_BODY', /^\/roomId is missing$/)
    await refused(
      send('/pub', { body: { roomId: 1, message: 'hidden' } }),
      'INVALID_BODY',
      /^\/message must NOT have more than 3/
    )
    await refused(send('/pub', { body: { roomId: 1, mail: 'hidden' } }), 'INVALID_BODY', /^\/mail must match format/)
    await sent(send('/pub', { body: { roomId: 1, mail: 'a@b.kr' } }))
  })

  test('that is deeper than a schema which names itself can go is refused', async () => {
    const schema = { anyOf: [{ type: 'array', items: { $ref: '#' } }, { type: 'object' }] }
    const { send } = wayIn({ routes: { chat: { ...chat, send: { destination: '/pub', schema } } } }, 1_000_000)
    await refused(send('/pub', { body: '['.repeat(100_000) + ']'.repeat(100_000) }), 'INVALID_BODY', /nested/)
  })

  test('that could not be routed, or goes elsewhere than it says, never reaches Kafka', async () => {
    const { send } = wayIn({ routes: { chat: { ...chat, send: { destination: '/pub/{roomId}' } } } })
    await refused(send('/pub/7', { body: {} }), 'INVALID_BODY', /roomId/)
    await refused(send('/pub/7', { body: { roomId: 'hidden'.repeat(50) } }), 'INVALID_BODY', /256 bytes/)
    await refused(
      send('/pub/7', { body: { roomId: '8', hidden: 1 } }),
      'INVALID_BODY',
      /^\/roomId is not that of the destination$/
    )
    const body = Buffer.from('{ "roomId": 7 }')
    assert.deepEqual((await sent(send('/pub/7', { body }))).value, body)
  })

  test('whose stamp has no value is refused with its name', async () => {
    const set = { id: '{principal.memberId}', app: '{headers.app}', text: '{message.text}' }
    const { send } = wayIn({ routes: { chat: { ...chat, send: { destination: '/pub', set } } } })
    const body = { roomId: 1, message: { text: 'a' } }
    await refused(send('/pub', { body, headers: { app: 'x' } }), 'UNAUTHENTICATED', /claim memberId/)
    await refused(send('/pub', { body, principal: member }), 'INVALID_BODY', /header app/)
    await refused(
      send('/pub', { body: { roomId: 1 }, principal: member, headers: { app: 'x' } }),
      'INVALID_BODY',
      /\/message\/text is missing/
    )
  })
})

describe('who may send', () => {
  const auth = { mode: 'jwt', guests: true, jwt: { secret: SECRET } }

  test('is asked before the body is judged, where no name decides', async () => {
    const { send } = wayIn({
      auth,
      routes: { chat: { ...chat, send: { destination: '/pub', schema: { required: ['x'] } } } }
    })
    await refused(send('/pub', { body: {}, principal: member }), 'FORBIDDEN', /^send on route chat/)
  })

  test('is asked of the room that the finished record names, not of what the destination pretends', async () => {
    const allow = { send: { rooms: ['{roomId}'] } }
    const { send } = wayIn({ auth, routes: { chat: { ...chat, allow, send: { destination: '/pub' } } } })
    const principal = { ...member, claims: { rooms: ['7', 8] } }
    await sent(send('/pub', { body: { roomId: 7 }, principal }))
    await sent(send('/pub', { body: { roomId: '8' }, principal }))
    await refused(send('/pub', { body: { roomId: 9 }, principal }), 'FORBIDDEN', /^send on route chat/)
    await refused(send('/pub', { body: { roomId: 7 } }), 'FORBIDDEN', /guest/)
  })

  const sender = {
    auth,
    routes: {
      chat: {
        ...chat,
        allow: { send: 'authenticated' },
        send: {
          destination: '/pub',
          token: '{sender}',
          set: { sender: '{principal.nickname}', memberId: '{principal.memberId}' }
        }
      }
    }
  }

  test('is said by a token in the body, which is not relayed', async () => {
    const { send } = wayIn(sender)
    const token = await tokenOf(MEMBER)
    const { json } = await sent(send('/pub', { body: { roomId: 1, sender: token } }))
    assert.deepEqual(json, { roomId: 1, sender: '김', memberId: 42 })
  })

  test('is the session’s principal where the body holds no token, but never a guest', async () => {
    const { send } = wayIn(sender)
    const { json } = await sent(send('/pub', { body: { roomId: 1, sender: 'whoever' }, principal: member }))
    assert.deepEqual(json, { roomId: 1, sender: '김', memberId: 42 })
    await refused(send('/pub', { body: { roomId: 1, sender: 'whoever' } }), 'UNAUTHENTICATED', /token/)
    await refused(send('/pub', { body: { roomId: 1 } }), 'UNAUTHENTICATED', /token/)
  })

  test('is refused with a bad token, whoever the session is', async () => {
    const { send } = wayIn(sender)
    const expired = await tokenOf({ ...MEMBER, exp: 1 })
    const forged = await new SignJWT(MEMBER).setProtectedHeader({ alg: 'HS256' }).sign(Buffer.alloc(32))
    await refused(
      send('/pub', { body: { roomId: 1, sender: expired }, principal: member }),
      'UNAUTHENTICATED',
      /expired/
    )
    await refused(
      send('/pub', { body: { roomId: 1, sender: forged }, principal: member }),
      'UNAUTHENTICATED',
      /signature/
    )
  })
})

test('what was prepared is produced in one call, in order, and counted by route', async () => {
  const { inbound, metrics, produced, send } = wayIn({
    routes: { chat: { ...chat, send: { destination: '/pub/{roomId}', body: { roomId: '{roomId}' } } } }
  })
  const prepared = await Promise.all(['1', '2', '3'].map(room => send(`/pub/${room}`, { body: '{}' })))
  assert.deepEqual(
    (await inbound.produce(prepared)).map(({ offset }) => offset),
    [0, 1, 2]
  )
  assert.deepEqual(
    produced.map(call => call.map(({ value }) => String(value))),
    [['{"roomId":"1"}', '{"roomId":"2"}', '{"roomId":"3"}']]
  )
  const { values } = await metrics.produced.get()
  assert.deepEqual(
    values.map(({ value, labels }) => [labels.route, value]),
    [['chat', 3]]
  )
})
