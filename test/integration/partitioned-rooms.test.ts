import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import type { Produced } from '../../src/ports.ts'
import { type Baton, startBaton } from '../support/baton.ts'
import { unique } from '../support/ids.ts'
import { type KafkaServer, startKafka } from '../support/kafka.ts'
import { type KafkaClient, withKafka } from '../support/kafka-client.ts'
import { assertAllCame, recordCount, recordsByRoom, recordsOf } from '../support/oracle.ts'
import { sharedRedis } from '../support/redis.ts'
import { CLIENTS, connectStompit, connectStompjs, type Received } from '../support/stomp-client.ts'
import { follow } from '../support/stomp-follower.ts'
import { waitFor } from '../support/wait.ts'

// config/presets/partitioned-rooms.yaml as it is, on a Kafka of its own that has seen no topic `chat` before.

const TOPIC = 'chat'

let server: KafkaServer
let kafka: KafkaClient
let baton: Baton
let env: Record<string, string>

const start = (port = 0) => startBaton({ config: 'config/presets/partitioned-rooms.yaml', env, port })

before(async () => {
  server = await startKafka()
  kafka = await withKafka({ brokers: server.brokers })
  env = {
    BATON_KAFKA_BROKERS: server.brokers.join(),
    BATON_KAFKA_SESSION_TIMEOUT_MS: '6000',
    BATON_REDIS_URL: (await sharedRedis()).url,
    BATON_REDIS_PREFIX: `${unique('prefix')}:`,
    BATON_LIFECYCLE_DRAIN_TIMEOUT_MS: '1000'
  }
  baton = await start()
})
after(async () => {
  await baton.stop()
  await kafka[Symbol.asyncDispose]()
  await server.stop()
})

let rooms = 1000
/** The id of a room that nobody has used. */
const newRoom = () => ++rooms
const written = () => recordCount(kafka, TOPIC)
const sub = (room: unknown) => `/sub/chat/${room}`
const MINA = { memberId: 7, nickname: '미나' }
const text = (chatRoomId: unknown, message = '안녕 👋') => ({ chatRoomId, ...MINA, message })
const FILES = Array.from({ length: 5 }, (_, n) => ({ fileId: n + 1, fileName: `사진 ${n + 1}.png` }))
const upload = (chatRoomId: unknown, files: unknown = FILES) => ({ chatRoomId, ...MINA, files })
/** What the readers of a room get of an upload. */
const delivered = (chatRoomId: unknown) => FILES.map(file => ({ chatRoomId, ...MINA, message: null, ...file }))

const bodies = (messages: Received[]) => messages.map(({ body }) => JSON.parse(`${body}`))
const came = (messages: Received[], count: number) =>
  waitFor(() => messages.length >= count, { what: () => `${count} messages, ${messages.length} came` })

async function post<Answer>(path: string, body: object, status = 202): Promise<Answer> {
  const headers = { 'content-type': 'application/json' }
  const response = await fetch(`${baton.url}${path}`, { method: 'POST', headers, body: JSON.stringify(body) })
  const answer = await response.json()
  assert.equal(response.status, status, JSON.stringify(answer))
  return answer as Answer
}

/** What is refused, with a pointer to what is wrong. */
const REFUSED: { way: string; body: object; pointer: string }[] = [
  ...['seven', 1.5, null, '', [7], 2 ** 53].map(room => ({ way: 'message', body: text(room), pointer: '/chatRoomId' })),
  { way: 'file', body: upload('seven'), pointer: '/chatRoomId' },
  { way: 'file', body: upload(3, [FILES[0], FILES[1], { fileName: 'no id' }]), pointer: '/files/2/fileId' },
  { way: 'file', body: upload(3, []), pointer: '/files' },
  { way: 'file', body: upload(3, {}), pointer: '/files' },
  { way: 'file', body: upload(3, Array(21).fill(FILES[0])), pointer: '/files' }
]

describe('the topic of the partitioned rooms', () => {
  test('has its three partitions before the first message', async () => {
    const { topics } = await kafka.admin.fetchTopicMetadata({ topics: [TOPIC] })
    assert.equal(topics[0]?.partitions.length, 3)
    assert.equal(await written(), 0)
  })

  test('takes each room in the partition of its id modulo 3, as a number or as text', async () => {
    for (let room = 1; room <= 9; room++) {
      await post('/chat/message', text(room))
      await post('/chat/message', text(`${room}`))
      await post('/chat/file', upload(room))
    }
    const byRoom = Map.groupBy(await recordsOf(kafka, TOPIC), ({ key }) => Number(`${key}`))
    const partitions = [3, 6, 9, 1, 4, 7, 2, 5, 8].map(room => byRoom.get(room)?.map(({ partition }) => partition))
    const expected = [0, 0, 0, 1, 1, 1, 2, 2, 2].map(partition => Array(7).fill(partition))
    assert.deepEqual(partitions, expected)
  })

  test('is consumed by the group chat-group', async () => {
    const committed = async () => {
      const [topic] = await kafka.admin.fetchOffsets({ groupId: 'chat-group', topics: [TOPIC] })
      return topic?.partitions.length === 3 && topic.partitions.every(({ offset }) => Number(offset) === 21)
    }
    await waitFor(committed, { what: 'commits of chat-group' })
    const { groups } = await kafka.admin.describeGroups(['chat-group'])
    assert.deepEqual([groups[0]?.state, groups[0]?.members.length], ['Stable', 1])
  })
})

for (const [name, connect] of CLIENTS) {
  describe(`the partitioned rooms with ${name}`, () => {
    test('the first message of a new room arrives, with its room as a number or as text', async () => {
      await using client = await connect(baton.wsUrl)
      const room = newRoom()
      const { messages } = await client.subscribe(sub(room))
      await client.send('/pub/chat/message', JSON.stringify(text(room)))
      await client.send('/pub/chat/message', JSON.stringify(text(`${room}`)))
      await came(messages, 2)
      assert.deepEqual(bodies(messages), [text(room), text(`${room}`)])
    })

    test('the first message of a new room that nobody reads yet is there for who comes then', async () => {
      await using client = await connect(baton.wsUrl)
      const room = newRoom()
      await client.send('/pub/chat/message', JSON.stringify(text(room, 'first')))
      const early = await client.subscribe(sub(room), { history: '1' })
      await came(early.messages, 1)
      const late = await client.subscribe(sub(room), { history: '1' })
      await client.send('/pub/chat/message', JSON.stringify(text(room, 'second')))
      await came(late.messages, 2)
      assert.deepEqual(bodies(early.messages), [text(room, 'first'), text(room, 'second')])
      assert.deepEqual(bodies(late.messages), [text(room, 'first'), text(room, 'second')])
    })

    test('five files of one SEND come as five messages in the order of the list, with no text', async () => {
      await using client = await connect(baton.wsUrl)
      const room = newRoom()
      const { messages } = await client.subscribe(sub(room))
      await client.send('/pub/chat/file', JSON.stringify(upload(room)))
      await client.send('/pub/chat/message', JSON.stringify(text(room)))
      await came(messages, 6)
      assert.deepEqual(bodies(messages), [...delivered(room), text(room)])
    })

    test('what a SEND may not hold is refused with a pointer to it, and nothing of it is written', async () => {
      const before = await written()
      for (const { way, body, pointer } of REFUSED) {
        await using client = await connect(baton.wsUrl)
        const sent = JSON.stringify(body)
        await assert.rejects(client.send(`/pub/chat/${way}`, sent), sent)
        const { headers } = await client.ended
        assert.deepEqual([headers?.['code'], headers?.['pointer']], ['INVALID_BODY', pointer], sent)
      }
      assert.equal(await written(), before)
    })
  })
}

describe('POST to the partitioned rooms', () => {
  test('answers a list of files with where each of them is: one partition, one after the other', async () => {
    await using client = await connectStompjs(baton.wsUrl)
    const room = newRoom()
    const { messages } = await client.subscribe(sub(room))
    const coordinates = await post<Produced[]>('/chat/file', upload(room))
    const from = coordinates[0]?.offset ?? -1
    const expected = FILES.map((_, n) => ({ topic: TOPIC, partition: room % 3, offset: from + n }))
    assert.deepEqual(coordinates, expected)
    await came(messages, 5)
    assert.deepEqual(bodies(messages), delivered(room))
  })

  test('refuses what it may not hold with a pointer to it, and nothing of it is written', async () => {
    const before = await written()
    for (const { way, body, pointer } of REFUSED) {
      const problem = await post<{ code: string; pointer: string }>(`/chat/${way}`, body, 422)
      assert.deepEqual([problem.code, problem.pointer], ['INVALID_BODY', pointer])
    }
    assert.equal(await written(), before)
  })

  test('refuses a list whose records are over the body limit together, and writes none of them', async () => {
    const before = await written()
    const nickname = 'n'.repeat(100_000)
    const files = Array(20).fill(FILES[0])
    const problem = await post<{ detail: string }>('/chat/file', { ...upload(newRoom(), files), nickname }, 413)
    assert.match(problem.detail, /1048576 bytes together/)
    assert.equal(await written(), before)
    await post('/chat/file', { ...upload(newRoom(), files.slice(0, 10)), nickname })
    assert.equal(await written(), before + 10)
  })
})

/** So that the log of a room, 1,000 messages, reaches back over the seconds in which a replica is away. */
const ROUND_MS = 25
const numbered = (room: number, sender: number, round: number) => text(room, `sender ${sender}, ${round}`)

describe('two replicas with the partitioned rooms', () => {
  for (const ending of ['stop', 'kill'] as const) {
    test(`every room keeps its order for every reader through a ${ending} and a start of one of them`, async () => {
      await using stack = new AsyncDisposableStack()
      const other = stack.use(await start())
      const both = [baton.wsUrl, other.wsUrl]
      const nine = Array.from({ length: 9 }, newRoom)
      const places = nine.map(sub)
      // Those of the third come back only once the other replica does.
      const followers = await Promise.all([both, both.toReversed(), [other.wsUrl]].map(urls => follow(urls, places)))
      const clients = await Promise.all([connectStompjs(baton.wsUrl), connectStompit(baton.wsUrl)])
      for (const client of [...followers, ...clients]) stack.use(client)
      const least = () => Math.min(...followers.flatMap(({ messages }) => places.map(place => messages(place).length)))
      const more = (from = least()) =>
        waitFor(() => least() > from + 20, { deadlineMs: 30_000, what: 'every reader of every room to get more' })

      const ways = [
        (body: object) => post('/chat/message', body),
        ...clients.map(client => (body: object) => client.send('/pub/chat/message', JSON.stringify(body)))
      ]
      let ended = false
      stack.defer(() => {
        ended = true
      })
      const sending = ways.map(async (send, sender) => {
        let rounds = 0
        for (; !ended; rounds++)
          await Promise.all([delay(ROUND_MS), ...nine.map(room => send(numbered(room, sender, rounds)))])
        return rounds
      })
      await more()
      await other[ending]()
      stack.use(await start(other.port))
      await more()
      ended = true
      const sent = await Promise.all(sending)

      const all = await recordsByRoom(kafka, TOPIC, sub)
      const truth = new Map([...all].filter(([place]) => places.includes(place)))
      await assertAllCame(followers, truth)
      for (const room of nine)
        for (const [sender, rounds] of sent.entries()) {
          const held = truth.get(sub(room))?.filter(body => body.includes(`"sender ${sender},`))
          const own = Array.from({ length: rounds }, (_, round) => JSON.stringify(numbered(room, sender, round)))
          assert.deepEqual(held, own)
        }
      const closed = ending === 'stop' ? 1001 : 1006
      assert.deepEqual(
        followers.map(({ closes }) => closes[0]),
        [undefined, closed, closed]
      )
    })
  }
})
