import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, before, describe, test } from 'node:test'
import { RxStomp, RxStompRPC } from '@stomp/rx-stomp'
import { Redis } from 'ioredis'
import { firstValueFrom } from 'rxjs'
import { parse } from 'yaml'
import { type Baton, startBaton } from '../support/baton.ts'
import { unique } from '../support/ids.ts'
import { type KafkaServer, startKafka } from '../support/kafka.ts'
import { type KafkaClient, withKafka } from '../support/kafka-client.ts'
import { type LoginService, passwordOf, startLoginService } from '../support/login-service.ts'
import { sharedRedis } from '../support/redis.ts'
import { CLIENTS } from '../support/stomp-client.ts'
import { deadline, waitFor } from '../support/wait.ts'

// config/presets/login.yaml as it is, on three brokers and with two replicas; the service is a program of its own.

const PRESET = 'config/presets/login.yaml'
/** In every password, so that it can be looked for. */
const SECRET = unique('password')
const GROUP = unique('login-service')

let server: KafkaServer
let kafka: KafkaClient
let redis: Redis
/** Hears all that Redis is asked, what is published with it. */
let monitor: Redis
let redisUrl: string
let service: LoginService
let replicas: [Baton, Baton]

/** How long logins go on around the death of a broker. */
const KILLED_MS = 25_000
const WORKERS = 8
const PREFIX = unique('prefix')

/** All that every replica logged, and all that Redis was asked. */
const logged: string[] = []
const monitored: string[] = []

const start = (config: string | Record<string, unknown>, prefix = PREFIX, roles = 'relay,edge') =>
  startBaton({
    config,
    env: {
      BATON_KAFKA_BROKERS: server.brokers.join(),
      BATON_REDIS_URL: redisUrl,
      BATON_REDIS_PREFIX: `${prefix}:`,
      BATON_ROLES: roles,
      BATON_LOG_LEVEL: 'trace'
    },
    heard: text => logged.push(text)
  })

const startService = () => startLoginService(kafka.kafka, SECRET, { topic: 'login-request', groupId: GROUP })

before(async () => {
  server = await startKafka({ brokers: 3 })
  kafka = await withKafka({ brokers: server.brokers })
  redisUrl = (await sharedRedis()).url
  redis = new Redis(redisUrl)
  monitor = await redis.monitor()
  monitor.on('monitor', (_: string, args: string[]) => monitored.push(args.join(' ')))
  replicas = await startBoth(PRESET)
  service = await startService()
})
after(async () => {
  await Promise.all([...(replicas ?? []), service, kafka].map(part => part?.[Symbol.asyncDispose]()))
  for (const client of [redis, monitor]) client?.disconnect()
  await server.stop()
})

/** Two replicas, each with a partition of the answers. */
async function startBoth(...config: Parameters<typeof start>): Promise<[Baton, Baton]> {
  const first = await start(...config)
  const second = await start(...config)
  await waitFor(() => /"assigned":\{[^}]+\}/.test(second.logs), { what: 'a partition of the second replica' })
  await waitFor(() => fetch(`${first.url}/readyz`).then(({ ok }) => ok), {
    what: 'the first replica to be ready again'
  })
  return [first, second]
}

interface Answer {
  requestUserID: string
  isAccept: boolean
  user?: { name: string }
}

const loginOf = (userId: string, userPw = passwordOf(userId, SECRET)) => JSON.stringify({ userId, userPw })

function post({ url }: Baton, body: string): Promise<Response> {
  return fetch(`${url}/api/login`, { method: 'POST', headers: { 'content-type': 'application/json' }, body })
}

const accepted = (userId: string): Answer => ({ requestUserID: userId, isAccept: true, user: { name: userId } })
const refused = (userId: string): Answer => ({ requestUserID: userId, isAccept: false })

async function metric({ url }: Baton, name: RegExp): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text()
  const lines = text.split('\n').filter(line => name.test(line))
  return lines.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0)
}
const outcome = (baton: Baton, name: string) => metric(baton, new RegExp(`^baton_replies_total\\{outcome="${name}"\\}`))

test('topics that were missing are made with 2 partitions on 3 replicas each', async () => {
  const { topics } = await kafka.admin.fetchTopicMetadata({ topics: ['login-request', 'login-response'] })
  // Kafka lists them in any order.
  const replicasOf = new Map(
    topics.map(({ name, partitions }) => [name, partitions.map(({ replicas }) => replicas.length)])
  )
  assert.deepEqual(Object.fromEntries(replicasOf), { 'login-request': [3, 3], 'login-response': [3, 3] })
})

describe('a login by HTTP', () => {
  test('answers 200 with what the service replied, on either replica', async () => {
    for (const replica of replicas) {
      const userId = unique('미나')
      const right = await post(replica, loginOf(userId))
      assert.deepEqual([right.status, right.headers.get('content-type')], [200, 'application/json'])
      assert.deepEqual(await right.json(), accepted(userId))
      const wrong = await post(replica, loginOf(userId, `${SECRET} but wrong`))
      assert.deepEqual([wrong.status, await wrong.json()], [200, refused(userId)])
    }
  })

  test('is answered by a replica that takes POSTs only', async () => {
    await using ingest = await start(PRESET, PREFIX, 'ingest')
    const userId = unique('user')
    assert.deepEqual(await (await post(ingest, loginOf(userId))).json(), accepted(userId))
    assert.equal(await metric(ingest, /^baton_records_consumed_total/), 0)
  })

  test('that is not whole is a problem which names the field and quotes nothing', async () => {
    const { length } = service.handled
    const response = await post(replicas[0], JSON.stringify({ userId: '', userPw: SECRET }))
    const problem = await response.text()
    assert.equal(response.status, 422)
    assert.equal(JSON.parse(problem).pointer, '/userId')
    assert.ok(!problem.includes(SECRET))
    assert.equal(service.handled.length, length)
  })

  test('of each of 100 users at once gets its own answer, whichever replica consumed it', async () => {
    const before = await Promise.all(replicas.map(replica => outcome(replica, 'answered')))
    const users = Array.from({ length: 100 }, (_, n) => unique(`user${n}`))
    const answers = await Promise.all(
      users.map(async (userId, n) => {
        const isWrong = n % 5 === 0
        const response = await post(
          replicas[n % 2] as Baton,
          isWrong ? loginOf(userId, `${SECRET} x`) : loginOf(userId)
        )
        assert.deepEqual([response.status, await response.json()], [200, isWrong ? refused(userId) : accepted(userId)])
      })
    )
    assert.equal(answers.length, 100)
    const answered = await Promise.all(replicas.map(replica => outcome(replica, 'answered')))
    assert.deepEqual(
      answered.map((count, n) => count - (before[n] as number)),
      [50, 50]
    )
    // Each replica consumed some of both's answers: the two have a partition each.
    for (const replica of replicas) {
      assert.ok((await metric(replica, /^baton_records_consumed_total\{topic="login-response"\}/)) > 0)
      assert.equal(await metric(replica, /^baton_records_consumed_total\{topic="login-request"\}/), 0)
    }
  })

  test('of one user goes to one partition, and to one member of the service', async () => {
    const users = Array.from({ length: 24 }, () => unique('user'))
    for (let round = 0; round < 3; round++) {
      await Promise.all(users.map((userId, n) => post(replicas[(n + round) % 2] as Baton, loginOf(userId))))
    }
    const places = (userId: string) => {
      const mine = service.handled.filter(handled => handled.userId === userId)
      assert.equal(mine.length, 3)
      return new Set(mine.map(({ partition, member }) => `${partition} ${member}`))
    }
    assert.deepEqual(
      users.map(userId => places(userId).size),
      users.map(() => 1)
    )
    assert.equal(new Set(users.flatMap(userId => [...places(userId)])).size, 2)
  })

  test('without an answer in time is a 504, and the answer that comes later is counted as late', async () => {
    await service[Symbol.asyncDispose]()
    const since = performance.now()
    const response = await post(replicas[0], loginOf(unique('user')))
    const tookMs = performance.now() - since
    const problem = (await response.json()) as Record<string, string>
    assert.equal(response.status, 504)
    assert.equal(problem['code'], 'REPLY_TIMEOUT')
    assert.match(problem['detail'] ?? '', /it is not known whether/)
    assert.ok(tookMs >= 5000 && tookMs < 7000, `${tookMs} ms`)
    assert.equal(await outcome(replicas[0], 'late'), 0)
    service = await startService()
    await waitFor(() => outcome(replicas[0], 'late'), { deadlineMs: 20_000, what: 'the late answer' })
    assert.equal((await post(replicas[0], loginOf(unique('user')))).status, 200)
  })

  test('with reply: none is a 202 with the coordinate, and nobody waits', async () => {
    const { name, config } = variant(() => 'none')
    const topic = { topic: `${name}-request`, numPartitions: 2, replicationFactor: 3 }
    await kafka.admin.createTopics({ topics: [topic], waitForLeaders: true })
    await using baton = await start(config, name)
    const response = await post(baton, loginOf(unique('user')))
    assert.equal(response.status, 202, await response.clone().text())
    const { partition, ...written } = (await response.json()) as Record<string, unknown>
    assert.deepEqual(written, { topic: `${name}-request`, offset: 0 })
    assert.ok(partition === 0 || partition === 1)
    const { topics } = await kafka.admin.fetchTopicMetadata()
    assert.ok(!topics.some(topic => topic.name === `${name}-response`))
  })
})

describe('a login by STOMP', () => {
  for (const [name, connect] of CLIENTS) {
    test(`is answered to the session that asked, with ${name}`, async () => {
      await using client = await connect(replicas[0].wsUrl)
      await using other = await connect(replicas[1].wsUrl)
      const [mine, others] = await Promise.all([client, other].map(each => each.subscribe('/temp-queue/logins')))
      const users = Array.from({ length: 5 }, () => unique('user'))
      for (const [n, userId] of users.entries()) {
        const headers = { 'reply-to': '/temp-queue/logins', 'correlation-id': `c:${n}` }
        await client.send('/pub/login', loginOf(userId, n === 0 ? `${SECRET} x` : undefined), headers)
      }
      const messages = mine?.messages ?? []
      await waitFor(() => messages.length === users.length, { what: () => `5 answers, ${messages.length} came` })
      const answers = messages.toSorted((a, b) =>
        (a.headers['correlation-id'] ?? '').localeCompare(b.headers['correlation-id'] ?? '')
      )
      assert.deepEqual(
        answers.map(({ headers, body }) => [headers['correlation-id'], headers['destination'], JSON.parse(`${body}`)]),
        users.map((userId, n) => [`c:${n}`, '/temp-queue/logins', n === 0 ? refused(userId) : accepted(userId)])
      )
      assert.equal(new Set(messages.map(({ headers }) => headers['message-id'])).size, users.length)
      assert.deepEqual(others?.messages, [])
    })
  }

  test('is a call of RxStompRPC as it comes', async () => {
    const stomp = new RxStomp()
    stomp.configure({ brokerURL: replicas[1].wsUrl, reconnectDelay: 0 })
    stomp.activate()
    try {
      const rpc = new RxStompRPC(stomp)
      const users = Array.from({ length: 5 }, () => unique('user'))
      const answers = users.map(userId => firstValueFrom(rpc.rpc({ destination: '/pub/login', body: loginOf(userId) })))
      const bodies = (await deadline(Promise.all(answers), 10_000, 'the answers')).map(({ body }) => JSON.parse(body))
      assert.deepEqual(bodies, users.map(accepted))
    } finally {
      await stomp.deactivate()
    }
  })
})

describe('where the service echoes nothing', () => {
  let both: [Baton, Baton]
  let silent: LoginService

  before(async () => {
    const match = { request: '{userId}', reply: '{requestUserID}' }
    const { name, config } = variant(reply => ({ ...reply, match }))
    both = await startBoth(config, name)
    const options = { topic: `${name}-request`, answers: `${name}-response`, groupId: `${name}-service` }
    silent = await startLoginService(kafka.kafka, SECRET, options)
  })
  after(() => Promise.all([...both, silent].map(part => part[Symbol.asyncDispose]())))

  test('a second request of a user is refused while the first one waits, on any replica', async t => {
    const userId = unique('user')
    const { promise: gate, resolve: open } = Promise.withResolvers<void>()
    t.after(() => open())
    silent.gate = gate
    const right = post(both[0], loginOf(userId))
    await waitFor(() => silent.handled.some(handled => handled.userId === userId), {
      what: 'the request at the service'
    })
    for (const replica of both) {
      const response = await post(replica, loginOf(userId, `${SECRET} x`))
      assert.equal(response.status, 409)
      assert.equal(((await response.json()) as Record<string, unknown>)['code'], 'REQUEST_PENDING')
    }
    open()
    assert.deepEqual(await (await right).json(), accepted(userId))
    const wrong = await waitFor(
      async () => {
        const response = await post(both[1], loginOf(userId, `${SECRET} x`))
        return response.status === 200 && ((await response.json()) as Answer)
      },
      { what: 'the claim to be free' }
    )
    assert.deepEqual(wrong, refused(userId))
  })

  test('no request gets the answer of another of the same user, whatever comes at once', async () => {
    const userId = unique('user')
    let pending = 0
    const login = async (n: number): Promise<void> => {
      const isRight = n % 3 !== 0
      const answer = await waitFor(
        async () => {
          const response = await post(both[n % 2] as Baton, loginOf(userId, isRight ? undefined : `${SECRET} ${n}`))
          if (response.status === 409) pending++
          else assert.equal(response.status, 200)
          return response.status === 200 && ((await response.json()) as Answer)
        },
        { deadlineMs: 30_000, what: `answer ${n}` }
      )
      assert.deepEqual(answer, isRight ? accepted(userId) : refused(userId))
    }
    await Promise.all(Array.from({ length: 12 }, (_, n) => login(n)))
    assert.ok(pending > 0)
  })
})

test('logins go on when one of three brokers is killed', async t => {
  const { topics } = await kafka.admin.fetchTopicMetadata({ topics: ['login-request'] })
  const leader = topics[0]?.partitions[0]?.leader ?? 1
  const end = performance.now() + KILLED_MS
  let [logins, atOnce, refusals, slowestMs] = [0, 0, 0, 0]

  async function loginUntilEnd(worker: number): Promise<void> {
    for (let n = worker; performance.now() < end; n++) {
      const userId = unique('user')
      const since = performance.now()
      for (let tries = 1; ; tries++) {
        const response = await post(replicas[n % 2] as Baton, loginOf(userId))
        if (response.status === 200) {
          assert.deepEqual(await response.json(), accepted(userId))
          if (tries === 1) atOnce++
          break
        }
        assert.ok([503, 504].includes(response.status), `${response.status} ${await response.text()}`)
        refusals++
        assert.ok(performance.now() - since < 60_000, 'no login within a minute')
      }
      logins++
      slowestMs = Math.max(slowestMs, performance.now() - since)
    }
  }

  const workers = Promise.all(Array.from({ length: WORKERS }, (_, worker) => loginUntilEnd(worker)))
  await waitFor(() => logins > 50, { what: 'logins to flow' })
  await server.kill(leader - 1)
  const before = logins
  await deadline(workers, KILLED_MS + 70_000, 'the end of the logins')
  assert.ok(logins - before >= WORKERS, `${logins - before} logins after the broker was killed`)
  t.diagnostic(
    `${logins} logins, ${before} before the broker was killed; ${((100 * atOnce) / logins).toFixed(2)} % at the first try, ${refusals} answers of 503 or 504, the slowest login took ${Math.round(slowestMs)} ms`
  )
})

test('no password is in a log, in Redis, on the bus or among the dead letters', async () => {
  const unroutable = unique('unroutable')
  await kafka.produce('login-response', [{ value: unroutable }])
  const letters = await deadLetters()
  assert.equal(letters.length, 1)
  assert.equal(letters[0], unroutable)
  assert.ok(monitored.some(command => command.startsWith('PUBLISH') && command.includes('"isAccept":true')))
  assert.deepEqual(
    monitored.filter(command => command.includes(SECRET)),
    []
  )
  const keys = await redis.keys(`${PREFIX}:*`)
  assert.deepEqual(keys.sort(), [`${PREFIX}:baton:fence`, `${PREFIX}:baton:group`])
  const kept = [await redis.hgetall(`${PREFIX}:baton:fence`), await redis.get(`${PREFIX}:baton:group`)]
  assert.ok(!JSON.stringify(kept).includes(SECRET))
  const log = logged.join('')
  assert.ok(log.includes('"level":10,') && log.includes('/api/login') && !log.includes(SECRET))
  // The only place that has them.
  const [request] = await kafka.consumeAll('login-request', 1)
  assert.ok(`${request?.value}`.includes(SECRET))
})

/** Of everything that could not be routed, the values. */
async function deadLetters(): Promise<string[]> {
  const count = await waitFor(
    async () => {
      const offsets = await kafka.admin.fetchTopicOffsets('baton.dead-letter')
      return offsets.reduce((sum, { high }) => sum + Number(high), 0)
    },
    { deadlineMs: 20_000, what: 'a dead letter' }
  )
  return (await kafka.consumeAll('baton.dead-letter', count)).map(({ value }) => `${value}`)
}

/** The preset with another reply, on topics, a group and a prefix of its own. */
function variant(replyOf: (reply: Record<string, unknown>) => unknown) {
  const name = unique('variant')
  const { kafka, routes, ...config } = parse(readFileSync(PRESET, 'utf8'))
  const { topic, send } = routes.login
  const reply = replyOf({ ...send.reply, topic: { ...send.reply.topic, name: `${name}-response` } })
  const login = { topic: { ...topic, name: `${name}-request` }, send: { ...send, reply } }
  return { name, config: { ...config, kafka: { ...kafka, groupId: name }, routes: { login } } }
}
