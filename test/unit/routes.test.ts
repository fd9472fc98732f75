import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import type { BatonError } from '../../src/errors.ts'
import { createRoutes, type Routes, Unroutable } from '../../src/routes.ts'
import { configOf, faultsOf } from './config-of.ts'

const chat = {
  topic: 'chat',
  channel: 'chat:{roomId}',
  destination: '/sub/chat/room/{roomId}',
  history: { except: { type: ['ENTER', 'LEAVE'] } }
}
const passThrough = { topic: 'topic', channel: 'topic:{+key}', destination: '/topic/{+key}' }

/** A way in whose replies are matched by a field. */
const asking = (reply: string) => ({
  topic: `requests-${reply.length}`,
  send: {
    http: `POST /${reply.length}${reply.slice(1, 2)}`,
    reply: { topic: 'replies', match: { request: '{userId}', reply } }
  }
})

const routesOf = (routes: object): Routes => createRoutes(configOf({ routes }).routes)

type Given = {
  key?: string | Buffer | null
  value?: string | Buffer | object | null
  headers?: [string, string | Buffer][]
}

function record(topic: string, { key = null, value = '', headers = [] }: Given) {
  const bytes = (content: string | Buffer) => (Buffer.isBuffer(content) ? content : Buffer.from(content))
  const json = typeof value === 'string' || Buffer.isBuffer(value) || value === null ? value : JSON.stringify(value)
  return {
    ...{ topic, partition: 2, offset: 7, timestampMs: 1 },
    key: key === null ? null : bytes(key),
    value: json === null ? null : bytes(json),
    headers: headers.map(([name, content]): [string, Buffer] => [name, bytes(content)])
  }
}

function unroutable(routes: Routes, topic: string, given: Given): Unroutable {
  try {
    routes.resolve(record(topic, given))
  } catch (error) {
    if (error instanceof Unroutable) return error
    throw error
  }
  return assert.fail('it was routed')
}

describe('a record on its way to channels', () => {
  test('a field of its JSON names the channel, and the value goes out untouched', () => {
    const value = '{ "roomId" : "방 1/2", "message":"😀" }'
    const [routed, ...more] = routesOf({ chat }).resolve(record('chat', { value }))
    assert.equal(routed?.channel, 'chat:방 1%2F2')
    assert.equal(routed?.body.toString(), value)
    assert.equal(routed?.headers, `content-type:application/json\ncontent-length:${Buffer.byteLength(value)}\n`)
    assert.equal(routed?.hidden, false)
    assert.deepEqual(more, [])
  })

  test('strings, numbers and booleans route; so do fields in depth, key, headers, topic and partition', () => {
    const route = {
      ...chat,
      channel: 'c:{a.b}:{n}:{f}:{key}:{headers.x-y.z}:{topic}:{partition}',
      destination: '/x/{a.b}/{n}/{f}/{key}/{headers.x-y.z}/{topic}/{partition}'
    }
    const given = {
      key: 'k',
      value: { a: { b: 's' }, n: 1.5, f: false },
      headers: [['x-y.z', 'h']] as [string, string][]
    }
    assert.equal(routesOf({ route }).resolve(record('chat', given))[0]?.channel, 'c:s:1.5:false:k:h:chat:2')
  })

  test('one record goes to the channel of each route of its topic, parsed once', t => {
    const routes = routesOf({ chat, user: { topic: 'chat', channel: 'user:{sender}', destination: '/user/{sender}' } })
    const parse = t.mock.method(JSON, 'parse')
    const channels = routes.resolve(record('chat', { value: { roomId: 1, sender: 'a' } })).map(({ channel }) => channel)
    assert.deepEqual(channels, ['chat:1', 'user:a'])
    assert.equal(parse.mock.callCount(), 1)
    assert.deepEqual(routes.resolve(record('other', {})), [])
  })

  test('a route of key and headers alone never parses, and passes any bytes through', t => {
    const routes = routesOf({ passThrough })
    const parse = t.mock.method(JSON, 'parse')
    const value = Buffer.from([0, 255, 10, 123])
    const [routed] = routes.resolve(record('topic', { key: 'a/b', value }))
    assert.equal(routed?.channel, 'topic:a/b')
    assert.deepEqual(routed?.body, value)
    assert.equal(routed?.headers, 'content-length:4\n')
    assert.equal(parse.mock.callCount(), 0)
    assert.deepEqual(routes.resolve(record('topic', { key: 'a', value: null }))[0]?.body, Buffer.alloc(0))
  })

  test('a projection keeps numbers as they were written, and still routes by what JSON holds exactly', () => {
    const routes = routesOf({ chat: { ...chat, message: { body: { id: '{id}', price: '{price}' } } } })
    const value = '{"roomId":1,"id":9007199254740993,"price":1e2}'
    assert.equal(`${routes.resolve(record('chat', { value }))[0]?.body}`, '{"id":9007199254740993,"price":1e2}')
    assert.equal(unroutable(routes, 'chat', { value: '{"roomId":9007199254740993}' }).code, 'INVALID_FIELD')
  })

  test('what cannot be routed says what is wrong and quotes nothing', () => {
    const routes = routesOf({ chat, passThrough })
    const cases: [given: Given, code: string][] = [
      [{ value: null }, 'NO_VALUE'],
      [{ value: 'secret' }, 'BAD_JSON'],
      [{ value: '' }, 'BAD_JSON'],
      [{ value: Buffer.from('{"roomId":"\xff"}', 'latin1') }, 'BAD_JSON'],
      [{ value: { message: 'secret' } }, 'MISSING_FIELD'],
      [{ value: { roomId: null } }, 'MISSING_FIELD'],
      [{ value: { roomId: '' } }, 'MISSING_FIELD'],
      [{ value: '"secret"' }, 'MISSING_FIELD'],
      [{ value: { roomId: { secret: 1 } } }, 'INVALID_FIELD'],
      [{ value: { roomId: ['secret'] } }, 'INVALID_FIELD'],
      [{ value: '{"roomId":9007199254740993}' }, 'INVALID_FIELD'],
      [{ value: '{"roomId":"\\ud800"}' }, 'INVALID_FIELD'],
      [{ value: { roomId: 'secret'.repeat(50) } }, 'VALUE_TOO_LONG']
    ]
    for (const [given, code] of cases) {
      const { code: found, detail } = unroutable(routes, 'chat', given)
      assert.equal(found, code, JSON.stringify(given))
      assert.match(detail, /roomId/)
      assert.doesNotMatch(detail, /secret/)
    }
    assert.equal(unroutable(routes, 'topic', {}).code, 'MISSING_FIELD')
    assert.equal(unroutable(routes, 'topic', { key: Buffer.from([255]) }).code, 'INVALID_FIELD')
    const inherited = routesOf({ route: { ...chat, channel: 'c:{toString}', destination: '/{toString}' } })
    assert.equal(unroutable(inherited, 'chat', { value: {} }).code, 'MISSING_FIELD')
  })

  test('Kafka headers become escaped STOMP headers, without reserved ones, the first of a name only', () => {
    const headers: [string, string | Buffer][] = [
      ['__TypeId__', 'com.zzalu.Chat'],
      ['a:b', 'c:d\\e\nf\rg'],
      ['twice', '1'],
      ['twice', '2'],
      ['한글', '값'],
      ['bad', Buffer.from([255])],
      ['nul', 'a\0b'],
      ['', 'x'],
      ...['destination', 'Message-Id', 'ack', 'content-length', '\ufeffContent-Length', '\rgap', 'passcode '].map(
        (name): [string, string] => [name, 'x']
      ),
      ['Content-Type', 'text/plain']
    ]
    const [routed] = routesOf({ passThrough }).resolve(record('topic', { key: 'a', value: 'hi', headers }))
    assert.equal(
      routed?.headers,
      '__TypeId__:com.zzalu.Chat\na\\cb:c\\cd\\\\e\\nf\\rg\ntwice:1\n한글:값\ncontent-type:text/plain\ncontent-length:2\n'
    )
  })

  test('no header breaks out of its line', () => {
    const routes = routesOf({ passThrough })
    const text = fc.string({ unit: fc.constantFrom('\n', '\r', ':', '\\', '\0', 'a', '한') })
    fc.assert(
      fc.property(fc.array(fc.tuple(text, text), { maxLength: 4 }), headers => {
        const [routed] = routes.resolve(record('topic', { key: 'a', headers }))
        const lines = routed?.headers.split('\n') ?? []
        assert.equal(lines.pop(), '')
        assert.equal(lines.at(-1), 'content-length:0')
        for (const line of lines) assert.equal(line.split(':').length, 2)
      })
    )
  })

  test('a message can be projected: body with types kept, headers, and what is missing left out', () => {
    const message = {
      headers: { room: 'r-{roomId}', 'x-no': '{no}' },
      body: { id: '{n}', who: { name: '<{user.name}>' }, no: '{no}', list: ['{n}', 1], at: '{partition}' }
    }
    const [routed] = routesOf({ chat: { ...chat, message } }).resolve(
      record('chat', { value: { roomId: 7, n: 12, user: { name: '김' } }, headers: [['own', 'x']] })
    )
    assert.deepEqual(JSON.parse(String(routed?.body)), { id: 12, who: { name: '<김>' }, list: [12, 1], at: 2 })
    assert.equal(routed?.headers, `room:r-7\ncontent-type:application/json\ncontent-length:${routed?.body.length}\n`)
  })

  test('history leaves out a message whose fields all have one of the values', () => {
    const routes = routesOf({
      chat: { ...chat, history: { except: { type: ['ENTER', 'LEAVE'], system: true } } },
      passThrough: { ...passThrough, history: { except: { type: 'x' } } }
    })
    const hidden = (value: object) => routes.resolve(record('chat', { value: { roomId: 1, ...value } }))[0]?.hidden
    assert.equal(hidden({ type: 'ENTER', system: true }), true)
    assert.equal(hidden({ type: 'LEAVE', system: true }), true)
    assert.equal(hidden({ type: 'ENTER' }), false)
    assert.equal(hidden({ type: 'TALK', system: true }), false)
    assert.equal(routes.resolve(record('topic', { key: 'a', value: 'no JSON' }))[0]?.hidden, false)
  })
})

describe('a destination', () => {
  test('gives route, channel and names by matching backwards', () => {
    const place = routesOf({ chat, passThrough }).subscribable('/sub/chat/room/방%2F1')
    assert.deepEqual(
      { ...place, route: place.route.name },
      {
        route: 'chat',
        channel: 'chat:방%2F1',
        destination: '/sub/chat/room/방%2F1',
        names: { roomId: '방/1' },
        topics: new Set(['chat'])
      }
    )
  })

  test('that several topics feed says all of them', () => {
    const routes = routesOf({
      one: { ...chat, topic: 'one' },
      two: { ...chat, topic: 'two', channel: 'chat:{room.id}', destination: '/sub/chat/room/{room.id}' }
    })
    assert.deepEqual(routes.subscribable('/sub/chat/room/1').topics, new Set(['one', 'two']))
  })

  test('that no route takes, or that is malformed, is refused by name', () => {
    const routes = routesOf({ chat })
    const code = (destination: string, verb: 'subscribable' | 'sendable' = 'subscribable') => {
      try {
        routes[verb](destination)
      } catch (error) {
        const { code, detail } = error as BatonError
        return `${code} ${detail.includes(destination)}`
      }
      return assert.fail('it was taken')
    }
    assert.equal(code('/sub/chat/rooms/1'), 'UNKNOWN_DESTINATION true')
    assert.equal(code('/sub/chat/room/a/b'), 'UNKNOWN_DESTINATION true')
    assert.equal(code('/sub/chat/room/1', 'sendable'), 'UNKNOWN_DESTINATION true')
    assert.equal(code('/sub/chat/room/%zz'), 'MALFORMED_DESTINATION true')
    assert.equal(code('/sub/chat/room/{roomId}'), 'MALFORMED_DESTINATION true')
    assert.equal(code(''), 'MALFORMED_DESTINATION true')
  })

  test('of a SEND is the route’s own unless the route names another', () => {
    const routes = routesOf({
      chat: { ...chat, send: { destination: '/pub/{roomId}' } },
      passThrough: { ...passThrough, send: {} }
    })
    assert.deepEqual(routes.sendable('/pub/7').names, { roomId: '7' })
    assert.equal(routes.sendable('/topic/a/b').route.name, 'passThrough')
  })
})

describe('routes that could be mistaken are refused with the path of the fault', () => {
  const cases: [what: string, routes: object, fault: RegExp][] = [
    [
      'other names in destination than in channel',
      { chat: { ...chat, destination: '/sub/{room}' } },
      /routes\.chat\.destination: must use the names of the channel \(\{roomId\}\)/
    ],
    ['an ambiguous channel', { chat: { ...chat, channel: '{a}{b}' } }, /routes\.chat\.channel: it is ambiguous/],
    [
      'a claim in a channel',
      { chat: { ...chat, channel: '{principal.id}', destination: '/{principal.id}' } },
      /routes\.chat\.channel: a record has no \{principal\.id\}/
    ],
    [
      'a clock in a message',
      { chat: { ...chat, message: { body: '{now}' } } },
      /routes\.chat\.message\.body: a record has no \{now\}/
    ],
    [
      'one topic whose channels could be equal',
      {
        a: { ...passThrough, topic: 't', channel: 'x:{key}', destination: '/a/{key}' },
        b: { ...passThrough, topic: 't', channel: 'x:1', destination: '/b' }
      },
      /routes\.b\.channel: could be the same as routes\.a\.channel/
    ],
    [
      'one destination with two channels',
      { a: { ...chat, topic: 'a' }, b: { ...chat, topic: 'b', channel: 'room:{roomId}' } },
      /routes\.b\.destination: could be the same as routes\.a\.destination/
    ],
    [
      'one channel with two destinations',
      { a: { ...chat, topic: 'a' }, b: { ...chat, topic: 'b', destination: '/x/{roomId}' } },
      /routes\.b\.channel: could be the same/
    ],
    [
      'destinations that overlap',
      { passThrough, b: { ...chat, destination: '/topic/chat/{roomId}' } },
      /routes\.b\.destination: could be the same/
    ],
    [
      'one place with two permissions',
      { a: { ...chat, topic: 'a' }, b: { ...chat, topic: 'b', allow: { subscribe: 'nobody' } } },
      /routes\.b\.destination: .* must be the same too/
    ],
    [
      'one place with two ways with slow readers',
      { a: { ...chat, topic: 'a' }, b: { ...chat, topic: 'b', slow: 'drop' } },
      /routes\.b\.destination: .* must be the same too/
    ],
    [
      'SEND destinations that overlap',
      { a: { ...passThrough, send: {} }, b: { ...chat, send: { destination: '/topic/{roomId}' } } },
      /routes\.b\.send\.destination: could be the same/
    ],
    [
      'one HTTP way in for two routes',
      {
        a: { ...passThrough, send: { http: 'POST /x/{key}' } },
        b: { ...chat, send: { destination: '/y', http: 'POST /x/{id}' } }
      },
      /routes\.b\.send\.http: is the same/
    ],
    [
      'a path that no router takes',
      { chat: { ...chat, send: { destination: '/p', http: 'POST /p/{roomId}.json' } } },
      /routes\.chat\.send\.http: the segment "\{roomId\}\.json"/
    ],
    [
      'a token that would be relayed',
      { chat: { ...chat, send: { destination: '/p', token: '{sender}' } } },
      /routes\.chat\.send\.token: .* would reach every client/
    ],
    [
      'a schema that is none',
      { chat: { ...chat, send: { destination: '/p', schema: { type: 'objekt' } } } },
      /routes\.chat\.send\.schema: /
    ],
    [
      'a name that a SEND cannot have',
      { chat: { ...chat, send: { destination: '/p', key: '{partition}' } } },
      /routes\.chat\.send\.key: a SEND has no \{partition\}/
    ],
    [
      'a channel that could be one of replies',
      { chat: { ...chat, channel: '{+roomId}' } },
      /routes\.chat\.channel: could begin with reply:, which is for replies/
    ],
    [
      'a destination that could be one of a session',
      { chat: { ...chat, destination: '/{roomId}/{x}', channel: 'c:{roomId}:{x}' } },
      /routes\.chat\.destination: could begin with \/temp-queue\//
    ],
    [
      'replies on the topic of the requests',
      { chat: { ...chat, send: { destination: '/p', reply: { topic: 'chat' } } } },
      /routes\.chat\.send\.reply\.topic: is where the requests go/
    ],
    [
      'replies of two routes that cannot be told apart',
      { a: asking('{x}'), b: asking('{y}') },
      /routes\.b\.send\.reply\.match: cannot be told from routes\.a\.send\.reply\.match/
    ],
    [
      'a claim in what is matched of a reply',
      { a: asking('{principal.name}') },
      /routes\.a\.send\.reply\.match\.reply: a record has no \{principal\.name\}/
    ],
    [
      'a condition on an unknown name',
      { chat: { ...chat, allow: { send: { rooms: '{room}' } } } },
      /routes\.chat\.allow\.send: \{room\} is not a name/
    ]
  ]
  for (const [what, routes, fault] of cases) {
    test(what, () => {
      const faults = faultsOf({ routes })
      assert.ok(
        faults.some(text => fault.test(text)),
        faults.join('\n') || 'no fault'
      )
    })
  }

  test('literals that share a beginning do not overlap', () => {
    const likes = { topic: 'likes', channel: 'likes', destination: '/sub/comments/likes' }
    assert.deepEqual(
      faultsOf({
        routes: {
          likes,
          comments: { ...likes, topic: 'comments', channel: 'comments', destination: '/sub/comments/' },
          chat
        }
      }),
      []
    )
  })
})
