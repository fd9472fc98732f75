import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { Redis } from 'ioredis'
import { SignJWT } from 'jose'
import { type Baton, startBaton } from '../support/baton.ts'
import { unique } from '../support/ids.ts'
import { type KafkaClient, withKafka } from '../support/kafka-client.ts'
import { sharedRedis } from '../support/redis.ts'
import { CLIENTS, connectStompjs, type Received } from '../support/stomp-client.ts'
import { deadline, waitFor } from '../support/wait.ts'

// config/presets/zzalu.yaml as it is, on real servers.

const SECRET = 'a secret of the test, of thirty-two bytes and more'
const MINA = { nickname: '미나', memberName: '김미나', memberId: 7, profilePath: '/img/미나 1.png' }

let baton: Baton
let kafka: KafkaClient
let redis: Redis
let prefix: string

before(async () => {
  kafka = await withKafka()
  const { url } = await sharedRedis()
  redis = new Redis(url)
  prefix = `${unique('prefix')}:`
  baton = await startBaton({
    config: 'config/presets/zzalu.yaml',
    env: {
      BATON_KAFKA_BROKERS: kafka.brokers.join(),
      BATON_REDIS_URL: url,
      BATON_REDIS_PREFIX: prefix,
      BATON_AUTH_JWT_SECRET: SECRET
    }
  })
})
after(async () => {
  await baton.stop()
  redis.disconnect()
  await kafka[Symbol.asyncDispose]()
})

const tokenOf = (claims: Record<string, unknown>, { secret = SECRET, expires = '5m' } = {}) =>
  new SignJWT(claims).setProtectedHeader({ alg: 'HS256' }).setExpirationTime(expires).sign(Buffer.from(secret))

const room = () => unique('room')
const sub = (roomId: string) => `/sub/chat/room/${roomId}`
const bodies = (messages: Received[]) => messages.map(({ body }) => JSON.parse(`${body}`))
const came = (messages: Received[], count: number) =>
  waitFor(() => messages.length >= count, { what: () => `${count} messages, ${messages.length} came` })

async function history(destination: string): Promise<{ body: Record<string, unknown>; coordinate: Coordinate }[]> {
  const response = await fetch(`${baton.url}/history?destination=${encodeURIComponent(destination)}`)
  assert.equal(response.status, 200)
  return ((await response.json()) as { messages: Awaited<ReturnType<typeof history>> }).messages
}

interface Coordinate {
  topic: string
  partition: number
  offset: number
}

/** The very record, as another program reads it. */
async function recordAt({ topic, partition, offset }: Coordinate) {
  const { promise, resolve } = Promise.withResolvers<{ key: string; value: string; headers: Record<string, string> }>()
  const consumer = kafka.kafka.consumer({ groupId: unique('group'), maxWaitTimeInMs: 100 })
  await consumer.connect()
  try {
    await consumer.subscribe({ topic, fromBeginning: true })
    await consumer.run({
      autoCommit: false,
      eachMessage: async ({ partition: from, message: { key, value, headers = {}, offset: at } }) => {
        if (from !== partition || Number(at) !== offset) return
        const texts = Object.entries(headers).map(([name, text]) => [name, `${text}`])
        resolve({ key: `${key}`, value: `${value}`, headers: Object.fromEntries(texts) })
      }
    })
    return await deadline(promise, 15_000, `the record ${topic}/${partition}/${offset}`)
  } finally {
    await consumer.disconnect()
  }
}

for (const [name, connect] of CLIENTS) {
  describe(`the Zzalu chat with ${name}`, () => {
    for (const place of ['in the sender field', 'at CONNECT']) {
      test(`a token ${place} is replaced by what it says of the member`, async () => {
        const token = await tokenOf(MINA)
        const atConnect = place === 'at CONNECT'
        await using guest = await connect(baton.wsUrl)
        await using member = await connect(
          baton.wsUrl,
          atConnect ? { headers: { Authorization: `Bearer ${token}` } } : {}
        )
        const roomId = room()
        const { messages } = await guest.subscribe(sub(roomId))
        const before = Date.now()
        const sent = { type: 'TALK', roomId, message: '안녕 👋', sender: atConnect ? 'someone else' : token }
        await member.send('/pub/chat/message', JSON.stringify(sent), { 'x-trace': 't1' })
        await came(messages, 1)
        const [got] = bodies(messages)
        const { nickname: sender, ...claims } = MINA
        const { sendDate, ...rest } = got
        assert.deepEqual(rest, { type: 'TALK', roomId, message: '안녕 👋', sender, ...claims })
        assert.ok(Date.parse(sendDate) >= before - 1000 && Date.parse(sendDate) <= Date.now() + 1000, sendDate)
        assert.equal(messages[0]?.headers['x-trace'], 't1')
        const [entry] = await history(sub(roomId))
        assert.deepEqual(entry?.body, got)
        assert.equal(entry?.coordinate.topic, 'exam')
        const record = await recordAt(entry.coordinate)
        assert.equal(record.key, roomId)
        assert.deepEqual(JSON.parse(record.value), got)
        assert.equal(record.headers['x-trace'], 't1')
      })
    }

    test('ENTER is delivered, is in no history, and is resumed over', async () => {
      const token = await tokenOf(MINA)
      await using member = await connect(baton.wsUrl, { headers: { passcode: token } })
      const roomId = room()
      const { messages } = await member.subscribe(sub(roomId))
      for (const [type, message] of [
        ['ENTER', 'in'],
        ['TALK', 'one'],
        ['ENTER', 'again'],
        ['TALK', 'two']
      ])
        await member.send('/pub/chat/message', JSON.stringify({ type, roomId, message }))
      await came(messages, 4)
      assert.deepEqual(
        bodies(messages).map(({ message }) => message),
        ['in', 'one', 'again', 'two']
      )
      assert.deepEqual(
        (await history(sub(roomId))).map(({ body }) => body['message']),
        ['one', 'two']
      )
      const first = messages[0]?.headers['message-id'] ?? ''
      const read = await member.subscribe(sub(roomId), { history: '10' })
      const resumed = await member.subscribe(sub(roomId), { 'last-message-id': first })
      await came(resumed.messages, 3)
      await came(read.messages, 2)
      assert.deepEqual(
        bodies(read.messages).map(({ message }) => message),
        ['one', 'two']
      )
      assert.deepEqual(
        bodies(resumed.messages).map(({ message }) => message),
        ['one', 'again', 'two']
      )
      if (name === '@stomp/stompjs') assert.equal(resumed.receipt['resumed'], 'true')
    })

    test('comments and likes go to their own destinations', async () => {
      await using member = await connect(baton.wsUrl, { headers: { passcode: await tokenOf(MINA) } })
      const comments = await member.subscribe('/sub/title-hakwon/comments/')
      const likes = await member.subscribe('/sub/title-hakwon/comments/likes')
      const [comment, like] = [unique('댓글'), unique('like')]
      await member.send('/pub/comments', JSON.stringify({ comment }))
      await member.send('/pub/likes', JSON.stringify({ like }))
      await came(comments.messages, 1)
      await came(likes.messages, 1)
      assert.deepEqual(bodies(comments.messages), [{ comment }])
      assert.deepEqual(bodies(likes.messages), [{ like }])
    })

    test('a bad or missing token is refused with an ERROR and the end of the connection', async () => {
      const roomId = room()
      const bad = {
        'no token': undefined,
        'a nickname': '미나',
        'another secret': await tokenOf(MINA, { secret: 'another secret, also of thirty-two bytes' }),
        expired: await tokenOf(MINA, { expires: '-1m' }),
        'a claim less': await tokenOf({ nickname: '미나' })
      }
      for (const [what, sender] of Object.entries(bad)) {
        await using client = await connect(baton.wsUrl)
        const body = JSON.stringify({ type: 'TALK', roomId, message: 'no', ...(sender && { sender }) })
        await assert.rejects(client.send('/pub/chat/message', body), what)
        const { headers, detail, code } = await client.ended
        assert.equal(headers?.['code'], 'UNAUTHENTICATED', `${what}: ${detail}`)
        assert.ok(headers?.['receipt-id'], what)
        if (name === '@stomp/stompjs') assert.equal(code, 1008)
      }
      const forged = connect(baton.wsUrl, { headers: { Authorization: `Bearer ${bad['another secret']}` } })
      const refused = await forged.then(
        () => assert.fail('a forged token was taken'),
        ({ ending }) => ending
      )
      assert.equal(refused.headers?.['code'] ?? 'UNAUTHENTICATED', 'UNAUTHENTICATED')
      assert.equal(refused.title, 'authentication failed')
      assert.deepEqual(await history(sub(roomId)), [])
    })
  })
}

describe('other programs', () => {
  test('the group foo consumes the topic exam', async () => {
    const committed = async () => {
      const [topic] = await kafka.admin.fetchOffsets({ groupId: 'foo', topics: ['exam'] })
      return topic?.partitions.length === 3 && topic.partitions.every(({ offset }) => Number(offset) >= 0)
    }
    await waitFor(committed, { what: 'commits of foo' })
    const { groups } = await kafka.admin.describeGroups(['foo'])
    assert.equal(groups[0]?.state, 'Stable')
    assert.equal(groups[0]?.members.length, 1)
  })

  test('JSON that another program produces is relayed as it is, type headers of Spring with it', async () => {
    await using client = await connectStompjs(baton.wsUrl)
    const roomId = room()
    const { messages } = await client.subscribe(sub(roomId))
    const plain = `{ "type":"TALK",  "roomId":"${roomId}", "message":"안녕 👋", "big":12345678901234567890 }`
    const spring = `{"type":"ENTER","roomId":"${roomId}","sender":"미나"}`
    await kafka.produce('exam', [
      { key: roomId, value: plain },
      { key: roomId, value: spring, headers: { __TypeId__: 'com.zzalu.chat.ChatMessage' } }
    ])
    await came(messages, 2)
    assert.deepEqual(
      messages.map(({ body }) => `${body}`),
      [plain, spring]
    )
    assert.equal(messages[0]?.headers['__TypeId__'], undefined)
    assert.equal(messages[1]?.headers['__TypeId__'], 'com.zzalu.chat.ChatMessage')
  })

  test('a record that no route can take stops nothing and goes to the dead letters with its cause', async () => {
    await using client = await connectStompjs(baton.wsUrl)
    const roomId = room()
    const { messages } = await client.subscribe(sub(roomId))
    const value = `{"type":"TALK","roomId":"${roomId}"}`
    await kafka.produce('exam', [
      { key: roomId, value: 'no JSON' },
      { key: roomId, value }
    ])
    await came(messages, 1)
    assert.equal(`${messages[0]?.body}`, value)
    const metrics = await (await fetch(`${baton.url}/metrics`)).text()
    assert.match(metrics, /^baton_records_dead_lettered_total\{topic="exam",cause="[^"]+"\} 1$/m)
  })

  test('plain text that a program PUBLISHes to a channel is delivered', async () => {
    await using client = await connectStompjs(baton.wsUrl)
    const roomId = room()
    const { messages } = await client.subscribe(sub(roomId))
    for (const text of ['공지입니다 📢', '{"message":"JSON"}']) await redis.publish(`${prefix}chat:${roomId}`, text)
    await came(messages, 2)
    assert.deepEqual(
      messages.map(({ body }) => `${body}`),
      ['공지입니다 📢', '{"message":"JSON"}']
    )
    assert.deepEqual(await history(sub(roomId)), [])
  })
})
