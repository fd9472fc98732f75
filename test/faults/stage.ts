import { Redis } from 'ioredis'
import { unique } from '../support/ids.ts'
import { freePorts } from '../support/ports.ts'
import { type RedisServer, startRedis } from '../support/redis.ts'
import { type RedisPair, startRedisPair } from '../support/redis-pair.ts'
import type { Follower } from '../support/stomp-follower.ts'
import { waitFor } from '../support/wait.ts'
import { createLedger, type Ledger } from './ledger.ts'
import { type Production, produce, sendAlong } from './production.ts'
import { createLink, type Link } from './proxy.ts'
import type { Random } from './random.ts'
import { createReplica, type Replica } from './replica.ts'
import { rotated, type Seen, seat, seatsOf } from './seats.ts'
import { type Config, configOf, merge, PARTITIONS } from './settings.ts'
import { createWitness, type Witness } from './witness.ts'
import type { World } from './world.ts'

/** How the stage of a scenario differs from three replicas of both roles on one Redis, each link direct. */
export interface StageOptions {
  roles?: ('relay' | 'edge')[][]
  /** One that keeps its data over a restart; or a pair, where the one follows the other over `links`. */
  redis?: 'kept' | 'pair'
  /** What goes over links: the first replica's way to Kafka or to Redis, or the ways to the edges of all clients, or of one more that alone reads `FLOODED` besides all rooms. */
  over?: 'kafka' | 'redis' | 'clients' | 'client'
  /** Two clients SEND as well, to one edge after the other, and wait for RECEIPTs; `first`: to the first replica only. */
  senders?: 'all' | 'first'
  /** Topic settings. */
  topic?: Record<string, string>
  /** Heart-beats of clients. Default: none. */
  heartBeatMs?: number
  /** Over what is configured anyway, group by group. */
  config?: Config
}

export interface Form {
  long: boolean
  random: Random
  recordsPerSecond: number
}

export interface Stage extends AsyncDisposable {
  readonly world: World
  readonly random: Random
  /** The first where the scenario is long, else the second. */
  pick<T>(long: T, short: T): T
  readonly topic: string
  readonly groupId: string
  readonly redis: RedisServer
  /** With `redis: 'pair'` only. */
  readonly pair: RedisPair
  /** To the one Redis, as an administrator. */
  readonly admin: Redis
  readonly replicas: Replica[]
  readonly edges: Replica[]
  readonly relays: Replica[]
  /** The first one's, or each client's; see `StageOptions`. */
  readonly links: Link[]
  readonly clients: Follower<Seen>[]
  readonly production: Production
  readonly ledger: Ledger
  readonly witness: Witness
  /** One more replica, not started. */
  another(): Promise<Replica>
  /** The harm is done, or undone: recovery counts from here. */
  mark(): void
  /** The longest that it took from a mark until every client had all that was acknowledged, up to shortly before. Milliseconds. */
  readonly recoveryMs: number
  /** Resolves once so many more records were acknowledged, and every client has them. */
  goesOn(records?: number): Promise<void>
  /** A metric, summed over the replicas that run. */
  metric(name: string): Promise<number>
  /** Ends the production and reads what Kafka holds. */
  settle(): Promise<void>
}

export const FLOODED = 'room-flooded'
const ROOMS = Array.from({ length: 20 }, (_, n) => `room-${n}`)
const TEXT_BYTES = 100
/** What was acknowledged so shortly ago may still be on its way. */
const ON_ITS_WAY_MS = 200
const LOOK_MS = 50
const CATCH_UP_MS = { long: 180_000, short: 60_000 }

export async function openStage(world: World, options: StageOptions, form: Form): Promise<Stage> {
  await using opening = new AsyncDisposableStack()
  const { kafka } = world
  const { roles = Array.from({ length: 3 }, () => ['relay', 'edge'] as const), over, heartBeatMs = 0 } = options
  const [topic, groupId] = [unique('topic'), unique('group')]
  const configEntries = Object.entries(options.topic ?? {}).map(([name, value]) => ({ name, value }))
  const created = { topic, numPartitions: PARTITIONS, replicationFactor: 3, configEntries }
  await kafka.admin.createTopics({ topics: [created], waitForLeaders: false })
  await world.whole([topic])

  const links: Link[] = []
  const open = async (target: number): Promise<Link> => {
    const link = opening.use(await createLink(target))
    links.push(link)
    return link
  }
  const { redis, pair } = await startBus(opening, options, open)
  const admin = new Redis(redis.url)
  admin.on('error', () => undefined)
  opening.defer(() => admin.disconnect())

  const config = merge(configOf(topic, groupId, kafka.brokers, redis.url), options.config)
  if (pair) config['redis'] = { sentinel: pair.sentinel }
  const first: Config = {}
  if (over === 'redis') first['redis'] = { url: `redis://127.0.0.1:${(await open(redis.port)).port}` }
  if (over === 'kafka') {
    links.push(...world.links)
    first['kafka'] = { brokers: world.links.map(({ port }) => `127.0.0.1:${port}`) }
    opening.defer(() => {
      for (const link of world.links) link.mend()
    })
  }
  const ports = await freePorts(roles.length)
  const create = (port: number, index: number, own: (typeof roles)[number]): Replica => {
    const settings = merge(config, index === 0 ? first : {})
    const replica = createReplica({ name: `replica ${index}`, port, roles: [...own], config: settings })
    replicas.push(replica)
    return replica
  }
  const replicas: Replica[] = []
  opening.defer(async () => {
    await Promise.all(replicas.map(replica => replica.kill()))
  })
  await Promise.all(roles.map((own, index) => create(ports[index] as number, index, own).start()))

  const edges = replicas.filter(({ isEdge }) => isEdge)
  const ways = edges.map(({ wsUrl }) => wsUrl)
  const spoiled = async () => (await Promise.all(ports.map(open))).map(({ port }) => `ws://127.0.0.1:${port}/ws`)
  const urls = over === 'clients' ? await spoiled() : ways
  const ledger = createLedger(over === 'client' ? [...ROOMS, FLOODED] : ROOMS)
  const seats = seatsOf(urls, ROOMS)
  if (over === 'client') seats.push({ urls: await spoiled(), rooms: ledger.rooms })
  const { clients, highest } = await seat(seats, heartBeatMs)
  for (const client of clients) opening.use(client)

  const { recordsPerSecond } = form
  const client = { kafka: kafka.kafka, topic, partitions: PARTITIONS, recordsPerSecond, textBytes: TEXT_BYTES }
  const production = produce(ledger, client)
  const producers: { stop(): Promise<void> }[] = [production]
  const doors = options.senders === 'first' ? ways.slice(0, 1) : ways
  if (options.senders) for (let n = 0; n < 2; n++) producers.push(sendAlong(ledger, rotated(doors, n)))
  const stopAll = async () => {
    await Promise.all(producers.map(producer => producer.stop()))
  }
  opening.defer(stopAll)
  const witness = createWitness(kafka, topic)
  const stack = opening.move()

  function lagging(): string[] {
    const due = ledger.highest(Date.now() - ON_ITS_WAY_MS)
    return clients.flatMap(({ destinations }, index) =>
      destinations
        .map(destination => destination.slice('/room/'.length))
        .filter(room => (highest[index]?.get(room) ?? 0) < (due.get(room) ?? 0))
        .map(room => `client ${index} in ${room}: ${highest[index]?.get(room)} of ${due.get(room)}`)
    )
  }

  let markedMs: number | undefined
  let recoveryMs = 0
  const look = setInterval(() => {
    if (markedMs === undefined || lagging().length === 0) return
    recoveryMs = Math.max(recoveryMs, performance.now() - markedMs)
  }, LOOK_MS)
  stack.defer(() => clearInterval(look))

  return {
    world,
    random: form.random,
    pick: (long, short) => (form.long ? long : short),
    topic,
    groupId,
    redis,
    get pair() {
      if (!pair) throw new Error('this stage has one Redis only')
      return pair
    },
    admin,
    replicas,
    edges,
    relays: replicas.filter(({ isRelay }) => isRelay),
    links,
    clients,
    production,
    ledger,
    witness,
    async another() {
      const [port = 0] = await freePorts(1)
      return create(port, replicas.length, ['relay', 'edge'])
    },
    mark() {
      markedMs = performance.now()
    },
    get recoveryMs() {
      return Math.round(recoveryMs)
    },
    async goesOn(records = 100) {
      const until = ledger.count + records
      const deadlineMs = CATCH_UP_MS[form.long ? 'long' : 'short']
      const patience = deadlineMs + (2000 * records) / recordsPerSecond
      await waitFor(() => ledger.count >= until, { deadlineMs: patience, what: 'more records to be produced' })
      const what = () => `every client to catch up; behind: ${lagging().slice(0, 10).join('; ')}`
      await waitFor(() => lagging().length === 0, { deadlineMs, what })
    },
    async metric(name) {
      const all = replicas.map(replica => replica.metric(name).catch(() => 0))
      return (await Promise.all(all)).reduce((sum, value) => sum + value, 0)
    },
    async settle() {
      await stopAll()
      await witness.read()
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync()
  }
}

async function startBus(
  opening: AsyncDisposableStack,
  options: StageOptions,
  open: (target: number) => Promise<Link>
): Promise<{ redis: RedisServer; pair?: RedisPair }> {
  if (options.redis !== 'pair') {
    return { redis: opening.use(await startRedis({ appendonly: options.redis === 'kept' })) }
  }
  const replication = await open(0)
  const pair = opening.use(
    await startRedisPair(port => {
      replication.target = port
      return replication.port
    })
  )
  return { redis: pair.primary, pair }
}
