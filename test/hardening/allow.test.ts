import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { type Baton, startBaton } from '../support/baton.ts'
import { connectSocket, type RawSocket } from '../support/raw-client.ts'

// Every way to a room, tried by principals of whom each lacks one right or has it for another room only.

const RIGHTS = ['subscribe', 'history', 'send'] as const
type Right = (typeof RIGHTS)[number]

/** Who has what for room 7. Nobody has anything for room 8, but whoever looks on at the end. */
const PRINCIPALS: Record<string, readonly Right[]> = {
  all: RIGHTS,
  'no-subscribe': ['history', 'send'],
  'no-history': ['subscribe', 'send'],
  'no-send': ['subscribe', 'history'],
  none: []
}
const ROOMS = ['7', '8']
const passcode = 'open-sesame'
const user = (login: string, rooms: string[], rights: readonly Right[]) => ({
  login,
  passcode,
  claims: Object.fromEntries(rights.map(right => [right, rooms]))
})

const allow = Object.fromEntries(RIGHTS.map(right => [right, { [right]: '{room}' }]))
const CONFIG = {
  lifecycle: { drainTimeoutMs: 0 },
  auth: {
    mode: 'users',
    guests: true,
    users: [
      ...Object.entries(PRINCIPALS).map(([login, rights]) => user(login, ['6', '7'], rights)),
      user('onlooker', ROOMS, RIGHTS)
    ]
  },
  routes: {
    rooms: {
      topic: 'rooms',
      channel: 'rooms:{room}',
      destination: '/rooms/{room}',
      allow,
      send: { http: 'POST /rooms/{room}', set: { room: '{room}' } }
    },
    // The room stands in the body alone.
    posts: {
      topic: 'posts',
      channel: 'posts:{room}',
      destination: '/posts/{room}',
      allow,
      send: { destination: '/pub/posts' }
    },
    ask: {
      topic: 'questions',
      allow,
      send: { destination: '/ask/{room}', http: 'POST /ask/{room}', reply: { topic: 'answers', timeout: '20ms' } }
    }
  }
}

let baton: Baton
/** Good for a resume. */
let lastMessageId: string
before(async () => {
  baton = await startBaton({ config: CONFIG })
  const { headers, socket } = await subscribed('onlooker', '7')
  lastMessageId = headers['last-message-id'] as string
  socket.ws.close()
})
after(() => baton.stop())

const connect = (login: string) => connectSocket(baton.wsUrl, { connect: `login:${login}\npasscode:${passcode}\n` })

async function subscribed(login: string, room: string) {
  const socket = await connect(login)
  return { socket, headers: await socket.done(`SUBSCRIBE\nid:1\ndestination:/rooms/${room}\n\n^@`) }
}

/** The code of the refusal of a frame; undefined: its RECEIPT came. What comes after that is asked for by `then`. */
async function frame(login: string, frames: string[], then?: 'ERROR'): Promise<string | undefined> {
  const socket: RawSocket = await connect(login)
  try {
    socket.send(...frames)
    const first = await socket.next()
    const answer = then && first.command === 'RECEIPT' ? await socket.expect(then) : first
    return answer.command === 'ERROR' ? answer.headers['code'] : undefined
  } finally {
    socket.ws.terminate()
  }
}

async function request(login: string, path: string, method: string): Promise<string | undefined> {
  const authorization = `Basic ${Buffer.from(`${login}:${passcode}`).toString('base64')}`
  const body = method === 'POST' ? { body: '{}', headers: { authorization, 'content-type': 'application/json' } } : {}
  const response = await fetch(baton.url + path, { method, headers: { authorization }, ...body })
  if (response.ok) return undefined
  return method === 'HEAD' ? `${response.status}` : ((await response.json()) as { code: string }).code
}

const subscribe = (room: string, more = '') => `SUBSCRIBE\nid:1\nreceipt:r\ndestination:/rooms/${room}\n${more}\n^@`
const send = (destination: string, more: string, body = '{}') => `SEND\ndestination:${destination}\n${more}\n${body}^@`

interface Way {
  name: string
  asks: readonly Right[]
  /** @returns the code of the refusal. */
  go(login: string, room: string): Promise<string | undefined>
  /** What whoever may is answered, where that is no success; no service replies here. */
  passes?: string
  /** Where a refusal has no body. */
  refused?: string
}

const WAYS: Way[] = [
  { name: 'SUBSCRIBE', asks: ['subscribe'], go: (who, room) => frame(who, [subscribe(room)]) },
  {
    name: 'SUBSCRIBE with last-message-id',
    asks: ['subscribe', 'history'],
    go: (who, room) => frame(who, [subscribe(room, `last-message-id:${lastMessageId}\n`)])
  },
  {
    name: 'SUBSCRIBE with history',
    asks: ['subscribe', 'history'],
    go: (who, room) => frame(who, [subscribe(room, 'history:5\n')])
  },
  {
    name: 'GET /history',
    asks: ['history'],
    go: (who, room) => request(who, `/history?destination=/rooms/${room}`, 'GET')
  },
  {
    name: 'HEAD /history',
    asks: ['history'],
    go: (who, room) => request(who, `/history?destination=/rooms/${room}`, 'HEAD'),
    refused: '403'
  },
  { name: 'SEND', asks: ['send'], go: (who, room) => frame(who, [send(`/rooms/${room}`, 'receipt:r\n')]) },
  {
    name: 'SEND of a body that names the room',
    asks: ['send'],
    go: (who, room) => frame(who, [send('/pub/posts', 'receipt:r\n', `{"room":"${room}"}`)])
  },
  {
    name: 'SEND in a transaction',
    asks: ['send'],
    go: (who, room) =>
      frame(who, [
        'BEGIN\ntransaction:t\n\n^@',
        send(`/rooms/${room}`, 'transaction:t\n'),
        'COMMIT\ntransaction:t\nreceipt:r\n\n^@'
      ])
  },
  { name: 'POST', asks: ['send'], go: (who, room) => request(who, `/rooms/${room}`, 'POST') },
  {
    name: 'a request by SEND',
    asks: ['send'],
    go: (who, room) => frame(who, [send(`/ask/${room}`, 'receipt:r\nreply-to:/temp-queue/1\n')], 'ERROR'),
    passes: 'REPLY_TIMEOUT'
  },
  {
    name: 'a request by POST',
    asks: ['send'],
    go: (who, room) => request(who, `/ask/${room}`, 'POST'),
    passes: 'REPLY_TIMEOUT'
  }
]

describe('what `allow` says is asked at', () => {
  for (const { name, asks, go, passes, refused = 'FORBIDDEN' } of WAYS) {
    test(name, async () => {
      for (const [login, rights] of Object.entries(PRINCIPALS)) {
        for (const room of ROOMS) {
          const may = room === '7' && asks.every(right => rights.includes(right))
          assert.equal(await go(login, room), may ? passes : refused, `${login} in room ${room}`)
        }
      }
    })
  }

  test('every one of them for guests too', async () => {
    const socket = await connectSocket(baton.wsUrl)
    socket.send(subscribe('7'))
    assert.equal((await socket.expect('ERROR')).headers['code'], 'FORBIDDEN')
    assert.equal((await fetch(`${baton.url}/history?destination=/rooms/7`)).status, 403)
    assert.equal((await fetch(`${baton.url}/ask/7`, { method: 'POST', body: '{}' })).status, 403)
  })
})

test('Kafka saw what was allowed and nothing else', async () => {
  const metrics = await (await fetch(`${baton.url}/metrics`)).text()
  const produced = [...metrics.matchAll(/^baton_records_produced_total\{route="(\w+)"\} (\d+)$/gm)]
  // Three of the principals may send, by three ways to rooms, one to posts, two to ask.
  assert.deepEqual(Object.fromEntries(produced.map(([, route, count]) => [route, count])), {
    rooms: '9',
    posts: '3',
    ask: '6'
  })
})
