import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { Client, Stomp } from '@stomp/stompjs'
import { type Baton, startBaton } from '../support/baton.ts'
import { unique } from '../support/ids.ts'
import { sharedKafka } from '../support/kafka.ts'
import { connectSocket, refused } from '../support/raw-client.ts'
import { sharedRedis } from '../support/redis.ts'
import { CLIENTS, type Ending, type Received } from '../support/stomp-client.ts'
import { cut, tearing } from '../support/tearing.ts'
import { waitFor } from '../support/wait.ts'

// config/default.yaml as it is, first in memory, then over Kafka and Redis: what a STOMP tutorial does works with stock clients.

const MIB = 1024 * 1024
const VERSIONS = ['1.0', '1.1', '1.2'] as const
const KOREAN = '안녕하세요, 바통입니다 👋🏽👨‍👩‍👧‍👦'

const texts = (messages: Received[]) => messages.map(({ body }) => `${body}`)
const came = (messages: Received[], count: number) =>
  waitFor(() => messages.length >= count, { what: () => `${count} messages, ${messages.length} came` })
const somewhere = () => `/topic/${unique('t')}`

async function endingOf(attempt: Promise<unknown>): Promise<Ending> {
  const error = await attempt.then(
    () => assert.fail('it was taken'),
    error => error
  )
  assert.ok(error.ending, error)
  return error.ending
}

const PLACES: [name: string, env: () => Promise<Record<string, string>>][] = [
  ['the embedded default', async () => ({})],
  [
    'the default over Kafka and Redis',
    async () => ({
      BATON_KAFKA_BROKERS: (await sharedKafka()).brokers.join(),
      BATON_KAFKA_GROUP_ID: unique('group'),
      BATON_REDIS_URL: (await sharedRedis()).url,
      BATON_REDIS_PREFIX: `${unique('prefix')}:`
    })
  ]
]

for (const [place, env] of PLACES) {
  describe(place, () => {
    let baton: Baton

    before(async () => {
      baton = await startBaton({ env: { ...(await env()), BATON_STOMP_HEART_BEAT_MS: '1000' } })
    })
    after(() => baton.stop())

    for (const [name, connect] of CLIENTS) {
      for (const version of VERSIONS) {
        test(`${name} subscribes, sends and acknowledges in STOMP ${version}`, async () => {
          await using client = await connect(baton.wsUrl, { version })
          assert.equal(client.connected['version'], version)
          const destination = somewhere()
          const ack = version === '1.0' ? 'client' : 'client-individual'
          const [plain, acked] = [
            await client.subscribe(destination),
            await client.subscribe(destination, { ack, id: unique('id') })
          ]
          for (const text of ['one', 'two', KOREAN]) await client.send(destination, text, { 'x-trace': 't1' })
          for (const { messages } of [plain, acked]) {
            await came(messages, 3)
            assert.deepEqual(texts(messages), ['one', 'two', KOREAN])
            assert.ok(messages.every(({ headers }) => headers['destination'] === destination))
          }
          assert.equal(plain.messages[0]?.headers['x-trace'], 't1')
          const [first, second, third] = acked.messages
          assert.ok(first && second && third)
          await client.acknowledge('ack', second)
          if (version !== '1.0') {
            await client.acknowledge('nack', first)
            await client.acknowledge('ack', third)
          }
          plain.unsubscribe()
          await client.send(destination, 'after')
          await came(acked.messages, 4)
          assert.equal(plain.messages.length, 3)
        })
      }

      test(`${name}: a transaction is delivered when committed, and not when aborted`, async () => {
        await using client = await connect(baton.wsUrl)
        const destination = somewhere()
        const { messages } = await client.subscribe(destination)
        const [kept, dropped] = [client.begin(), client.begin()]
        kept.send(destination, 'one')
        dropped.send(destination, 'never')
        kept.send(destination, 'two')
        dropped.abort()
        await client.send(destination, 'before')
        kept.commit()
        await came(messages, 3)
        assert.deepEqual(texts(messages), ['before', 'one', 'two'])
      })

      test(`${name}: bytes that are no text arrive as they were`, async () => {
        await using client = await connect(baton.wsUrl)
        const destination = `/queue/${unique('q')}`
        const { messages } = await client.subscribe(destination)
        const bytes = Buffer.from([0, 255, 10, 13, 0, 0xc3, 0x28, ...Array(256).keys()])
        await client.send(destination, bytes, { 'content-type': 'application/octet-stream' })
        await came(messages, 1)
        assert.deepEqual(messages[0]?.body, bytes)
        assert.equal(messages[0]?.headers['content-type'], 'application/octet-stream')
      })

      test(`${name}: a body of 1 MiB passes, one byte more is refused and the connection closed`, async () => {
        await using reader = await connect(baton.wsUrl)
        await using writer = await connect(baton.wsUrl)
        const destination = somewhere()
        const { messages } = await reader.subscribe(destination)
        const body = Buffer.from(KOREAN.repeat(MIB / KOREAN.length)).subarray(0, MIB)
        await writer.send(destination, body)
        await came(messages, 1)
        assert.ok(messages[0]?.body.equals(body))
        const { title, headers, code } = await endingOf(
          writer.send(destination, Buffer.concat([body, Buffer.from('+')]))
        )
        assert.equal(title, 'frame too large')
        assert.equal(headers?.['code'], 'FRAME_TOO_LARGE')
        if (code) assert.equal(code, 1009)
        await reader.send(destination, 'goes on')
        await came(messages, 2)
      })

      test(`${name}: heart-beats of a second keep an idle connection`, async () => {
        await using client = await connect(baton.wsUrl, { heartBeatMs: 1000 })
        assert.equal(client.connected['heart-beat'], '1000,1000')
        const destination = somewhere()
        const { messages } = await client.subscribe(destination)
        const idle = new Promise(resolve => setTimeout(resolve, 4000, 'idle'))
        assert.equal(await Promise.race([idle, client.ended]), 'idle')
        await client.send(destination, 'alive')
        await came(messages, 1)
      })

      test(`${name}: Korean and emoji over a wire that tears every character apart`, async () => {
        await using wire = await tearing(baton.wsUrl, 2)
        await using client = await connect(wire.url)
        const destination = somewhere()
        const { messages } = await client.subscribe(destination)
        await client.send(destination, KOREAN, { 이름: KOREAN })
        await came(messages, 1)
        assert.equal(`${messages[0]?.body}`, KOREAN)
        // stompit decodes headers chunk by chunk, and so breaks what it was sent whole.
        if (name !== 'stompit') assert.equal(messages[0]?.headers['이름'], KOREAN)
      })
    }

    test('a raw client may cut its frames inside characters, into messages or into fragments of one', async () => {
      const client = await connectSocket(baton.wsUrl, { protocols: ['v12.stomp', 'v11.stomp'] })
      assert.equal(client.ws.protocol, 'v12.stomp')
      const destination = somewhere()
      await client.done(`SUBSCRIBE\nid:0\ndestination:${destination}\n\n^@`)
      const frame = Buffer.from(`SEND\ndestination:${destination}\nx:${KOREAN}\n\n${KOREAN}\0\n`)
      for (const size of [1, 2, 3, 5]) {
        const pieces = cut(frame, size)
        client.send(...pieces)
        for (const [n, piece] of pieces.entries())
          client.ws.send(piece, { binary: false, fin: n === pieces.length - 1 })
        for (const way of ['messages', 'fragments']) {
          const { headers, body } = await client.expect('MESSAGE')
          assert.equal(`${body}`, KOREAN, way)
          assert.equal(headers['x'], KOREAN, way)
        }
      }
      await client.done('DISCONNECT\n\n^@')
      assert.equal((await client.closed()).code, 1000)
    })

    test('a client that falls silent after agreeing on heart-beats is told so and closed', async () => {
      const client = await connectSocket(baton.wsUrl, { connect: 'heart-beat:1000,1000\n' })
      await refused(client, 'HEARTBEAT_TIMEOUT', 1002)
      assert.ok(client.beats > 0)
    })

    test('the legacy Stomp.over of @stomp/stompjs works', async () => {
      const client = Stomp.over(() => new WebSocket(baton.wsUrl))
      client.debug = () => undefined
      client.reconnect_delay = 0
      await new Promise<void>((resolve, reject) => client.connect({}, () => resolve(), reject))
      const destination = somewhere()
      const message = new Promise<string>(resolve => client.subscribe(destination, ({ body }) => resolve(body)))
      client.send(destination, { priority: '9' }, KOREAN)
      assert.equal(await message, KOREAN)
      await new Promise<void>(resolve => client.disconnect(resolve))
    })
  })
}

test('a stock client reconnects by itself to a server that was killed and came back', async () => {
  await using first = await startBaton()
  const destination = somewhere()
  const messages: string[] = []
  let joined = 0
  const client = new Client({ brokerURL: first.wsUrl, reconnectDelay: 100 })
  client.onConnect = () => {
    client.watchForReceipt(`joined ${joined}`, () => joined++)
    client.subscribe(destination, ({ body }) => messages.push(body), { receipt: `joined ${joined}` })
  }
  client.activate()
  await waitFor(() => joined === 1, { what: 'the first connection' })
  client.publish({ destination, body: 'one' })
  await waitFor(() => messages.length === 1, { what: 'the first message' })
  await first.kill()
  await using _second = await startBaton({ port: first.port })
  await waitFor(() => joined === 2, { what: 'the second connection' })
  client.publish({ destination, body: 'two' })
  await waitFor(() => messages.length === 2, { what: 'the second message' })
  assert.deepEqual(messages, ['one', 'two'])
  await client.deactivate()
})
