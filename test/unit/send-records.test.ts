import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { BatonError } from '../../src/errors.ts'
import { createRoutes } from '../../src/routes.ts'
import { configOf, faultsOf } from './config-of.ts'
import { chat, member, refused, SECRET, sent, wayIn } from './way-in.ts'

const rooms = { topic: { name: 'chat', partitions: 3 }, channel: 'chat:{room}', destination: '/sub/{room}' }
const partitionFault = (partition: unknown) => faultsOf({ routes: { rooms: { ...rooms, send: { partition } } } })
const bodyOf = (value: Buffer | null) => JSON.parse(`${value}`)

describe('the partition of a record', () => {
  test('is a field modulo a number, as a number or as its digits', async () => {
    const { send } = wayIn({ routes: { rooms: { ...rooms, send: { destination: '/pub', partition: '{room} % 3' } } } })
    for (const [room, partition] of [
      [3, 0],
      ['6', 0],
      [1, 1],
      ['7', 1],
      [8, 2],
      [-1, 2],
      ['123456789012345678901234567890', 0]
    ]) {
      assert.equal((await sent(send('/pub', { body: { room } }))).partition, partition, `room ${room}`)
    }
  })

  test('is refused for what is no whole number, with a pointer', async () => {
    const { send } = wayIn({ routes: { rooms: { ...rooms, send: { destination: '/pub', partition: '{room} % 3' } } } })
    for (const room of ['seven', 1.5, '1.5', true, 1e21, '0x3', ' 3'])
      await refused(
        send('/pub', { body: { room } }),
        'INVALID_BODY',
        /^\/room must be a whole number: its partition is \{room\} % 3$/
      )
    await refused(send('/pub', { body: { room: null } }), 'INVALID_BODY', /^\/room/)
    await refused(send('/pub', { body: {} }), 'INVALID_BODY', /^\/room is missing$/)
  })

  test('is a number, one after the other, or left to the key', async () => {
    for (const [partition, expected] of [
      [2, 2],
      ['round-robin', 'round-robin'],
      ['murmur2', undefined]
    ]) {
      const { send } = wayIn({
        routes: { rooms: { ...rooms, send: { destination: '/pub', key: '{room}', partition } } }
      })
      const record = await sent(send('/pub', { body: { room: 7 } }))
      assert.deepEqual([record.key, record.partition], ['7', expected])
    }
  })

  test('that the topic does not have is refused at start', () => {
    assert.match(
      partitionFault('{room} % 4')[0] ?? '',
      /routes\.rooms\.send\.partition: gives partition 3, but the topic has 3/
    )
    assert.match(partitionFault(3)[0] ?? '', /gives partition 3, but the topic has 3, counted from 0$/)
    for (const wrong of ['{room} % 0', '{room}', 'random', -1, '{+room} % 3', '{key} % 2'])
      assert.match(partitionFault(wrong)[0] ?? '', /routes\.rooms\.send\.partition: /, `${wrong}`)
    assert.deepEqual(partitionFault('{room} % 3'), [])
  })
})

describe('a list in the body', () => {
  const files = {
    topic: 'chat',
    send: {
      destination: '/pub/files',
      forEach: 'files',
      key: '{room}',
      body: { room: '{room}', message: null, name: '{item.name}', meta: '{item.meta}' }
    }
  }
  const { send } = wayIn({ routes: { rooms, files } }, 10_000)
  const item = (name: string) => ({ name, meta: { bytes: 1 } })

  test('becomes one record for each item, in its order', async () => {
    const { records } = await send('/pub/files', { body: { room: 7, files: ['a', 'b', 'c'].map(item) } })
    assert.deepEqual(
      records.map(({ topic, key, value }) => [topic, key, bodyOf(value)]),
      ['a', 'b', 'c'].map(name => ['chat', '7', { room: 7, message: null, ...item(name) }])
    )
  })

  test('of scalars, beside members of the body that stay', async () => {
    const each = { topic: 'chat', send: { destination: '/pub', forEach: 'a.list', set: { n: '{item}' } } }
    const { records } = await wayIn({ routes: { rooms, each } }).send('/pub', {
      body: { room: 1, a: { list: [1, 'x'] } }
    })
    assert.deepEqual(
      records.map(({ value }) => bodyOf(value)),
      [1, 'x'].map(n => ({ room: 1, a: { list: [1, 'x'] }, n }))
    )
  })

  test('is refused whole for one bad item, with a pointer to it', async () => {
    const body = { room: 7, files: [item('a'), item('b'), { name: 'c' }] }
    await refused(send('/pub/files', { body }), 'INVALID_BODY', /^\/files\/2\/meta is missing$/)
    await assert.rejects(send('/pub/files', { body }), ({ extra }: BatonError) => extra['pointer'] === '/files/2/meta')
  })

  test('that is none, empty, or makes too much is refused', async () => {
    for (const list of [undefined, null, {}, 'x', []])
      await refused(send('/pub/files', { body: { room: 7, files: list } }), 'INVALID_BODY', /^\/files must be a list/)
    const many = Array.from({ length: 150 }, () => item('x'.repeat(20)))
    await refused(send('/pub/files', { body: { room: 7, files: many } }), 'BODY_TOO_LARGE', /10000 bytes together/)
    const tiny = wayIn(
      { routes: { rooms, n: { topic: 'n', send: { destination: '/n', forEach: 'n', value: '{item}' } } } },
      1e6
    )
    assert.equal((await tiny.send('/n', { body: { n: Array(1000).fill(1) } })).records.length, 1000)
    await refused(tiny.send('/n', { body: { n: Array(1001).fill(1) } }), 'BODY_TOO_LARGE', /1000 records/)
  })
})

describe('several records of one SEND', () => {
  const routes = {
    study: { topic: 'add-study', channel: 'study:{key}', destination: '/sub/study/{key}' },
    user: { topic: 'sub-user', channel: 'user:{key}', destination: '/sub/user/{key}' },
    join: {
      send: {
        http: 'POST /rooms/{id}/members',
        destination: '/pub/rooms/{id}/join',
        produce: [
          { topic: 'add-study', key: '{id}', value: '{point}' },
          { topic: 'sub-user', key: '{userId}', value: '{point}' },
          { topic: 'audit', set: { by: '{principal.name}' } }
        ]
      }
    }
  }

  test('go to their topics with keys and values of their own', async () => {
    const { send } = wayIn({ routes })
    const headers = { 'content-type': 'application/json', trace: 't' }
    const { records } = await send('/pub/rooms/7/join', {
      body: { userId: 'u', point: 100 },
      headers,
      principal: member
    })
    assert.deepEqual(
      records.map(({ topic, key, value, headers }) => [topic, key, `${value}`, headers]),
      [
        ['add-study', '7', '100', { trace: 't' }],
        ['sub-user', 'u', '100', { trace: 't' }],
        ['audit', null, '{"userId":"u","point":100,"by":"김"}', headers]
      ]
    )
  })

  test('are refused together where one cannot be made', async () => {
    const { send } = wayIn({ routes })
    const join = (body: object) => send('/pub/rooms/7/join', { body, principal: member })
    await refused(join({ point: 1 }), 'INVALID_BODY', /^\/userId is missing$/)
    await refused(join({ userId: '', point: 1 }), 'INVALID_BODY', /key/)
    for (const point of [{}, [], null, 12345678901234567890n])
      await refused(
        send('/pub/rooms/7/join', {
          body: `{"userId":"u","point":${typeof point === 'bigint' ? point : JSON.stringify(point)}}`,
          principal: member
        }),
        'INVALID_BODY',
        /^\/point must be text, a boolean, or a number that JSON holds exactly$/
      )
  })

  test('a value that is no JSON is never parsed, and must be routable all the same', async () => {
    const raw = { topic: 'r', send: { destination: '/pub/{name}', value: 'hello {name}' } }
    const { send } = wayIn({ routes: { raw, out: { topic: 'r', channel: 'r:{x}', destination: '/r/{x}' } } })
    await refused(send('/pub/a', { body: 'no JSON' }), 'INVALID_BODY', /JSON/)
    const alone = wayIn({ routes: { raw } })
    assert.equal(`${(await sent(alone.send('/pub/a', { body: 'no JSON' }))).value}`, 'hello a')
  })
})

describe('a way in without a channel', () => {
  const send = { destination: '/pub/{room}', key: '{room}' }

  test('is no place to subscribe to; its records reach whom the routes of the topic say', async () => {
    const settings = { routes: { rooms, files: { topic: 'chat', send } } }
    const routes = createRoutes(configOf(settings).routes)
    assert.throws(() => routes.subscribable('/pub/7'), /there is no/)
    const way = wayIn(settings)
    await sent(way.send('/pub/7', { body: { room: 7 } }))
    await refused(way.send('/pub/7', { body: { room: 8 } }), 'INVALID_BODY', /^\/room is not that of the destination$/)
    await assert.rejects(way.send('/pub/7', { body: {} }), ({ extra }: BatonError) => extra['pointer'] === '/room')
  })

  test('may be allowed by the names of its destination', async () => {
    const auth = { mode: 'jwt', guests: true, jwt: { secret: SECRET } }
    const files = { topic: 'chat', send, allow: { send: { rooms: '{room}' } } }
    const way = wayIn({ auth, routes: { rooms, files } })
    const principal = { ...member, claims: { rooms: ['7'] } }
    await sent(way.send('/pub/7', { body: { room: 7 }, principal }))
    await refused(way.send('/pub/8', { body: { room: 8 }, principal }), 'FORBIDDEN', /route files/)
  })

  test('asks for each record that goes to the route’s own channel, where the channel’s names allow', async () => {
    const auth = { mode: 'jwt', guests: true, jwt: { secret: SECRET } }
    const both = {
      ...chat,
      allow: { send: { rooms: '{roomId}' } },
      send: { destination: '/pub', produce: [{}, { topic: 'audit', value: 'x' }, { body: { roomId: '{other}' } }] }
    }
    const way = wayIn({ auth, routes: { both } })
    const principal = { ...member, claims: { rooms: ['7'] } }
    const { records } = await way.send('/pub', { body: { roomId: 7, other: '7' }, principal })
    assert.deepEqual(
      records.map(({ topic }) => topic),
      ['chat', 'audit', 'chat']
    )
    await refused(way.send('/pub', { body: { roomId: 7, other: '8' }, principal }), 'FORBIDDEN', /route both/)
  })

  test('is refused at start where it is not whole', () => {
    const fault = (route: object) => faultsOf({ routes: { rooms, way: route } })[0] ?? ''
    assert.match(fault({ topic: 'chat' }), /routes\.way\.channel: is missing; only a way in/)
    assert.match(fault({ topic: 'chat', channel: 'way:{room}' }), /routes\.way\.channel: needs a destination/)
    assert.match(fault({ topic: 'chat', destination: '/way/{room}' }), /routes\.way\.channel: is missing: destination/)
    assert.match(fault({ channel: 'way:{x}', destination: '/way/{x}' }), /needs a topic/)
    assert.match(fault({ topic: 'chat', send: {} }), /routes\.way\.send\.destination: a way in without a channel needs/)
    assert.match(fault({ send: { destination: '/way' } }), /routes\.way\.topic: is missing/)
    assert.match(
      fault({ topic: 'chat', send, message: { headers: { a: 'b' } } }),
      /message says what its subscribers get/
    )
    assert.match(fault({ send: { ...send, produce: [{ topic: 't' }] } }), /routes\.way\.send: has key beside produce/)
    assert.match(
      fault({ send: { destination: '/way', produce: [{ topic: 't', value: 'a', set: {} }] } }),
      /send\.produce\.0\.value: stands in place/
    )
    assert.match(
      fault({ topic: 'chat', send, allow: { send: { x: '{y}' } } }),
      /routes\.way\.allow\.send: \{y\} is not a name/
    )
    assert.match(
      fault({ topic: 't', send: { ...send, forEach: 'headers.x' } }),
      /send\.forEach: headers\.x must be a field/
    )
    const elsewhere = {
      ...chat,
      allow: { send: { r: '{roomId}' } },
      send: { destination: '/w', produce: [{ topic: 'x' }] }
    }
    assert.match(fault(elsewhere), /routes\.way\.allow\.send: asks for names of the channel, but no record/)
  })
})
