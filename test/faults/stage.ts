import { Redis } from 'ioredis'
import { unique } from '../support/ids.ts'
import type { RedisServer } from '../support/redis.ts'
import type { RedisPair } from '../support/redis-pair.ts'
import { waitFor } from '../support/wait.ts'
import { startBus } from './bus.ts'
import { createLedger, type Ledger } from './ledger.ts'
import { type Production, produce, type Source, sendAlong } from './production.ts'
import { createLink, type Link } from './proxy.ts'
import { createRandom, type Random } from './random.ts'
import { createReplica, type Replica } from './replica.ts'
import { all, type Plain, type Resuming, rotated, seatPlain, seatResuming, seatsOf } from './seats.ts'
import { type Config, configOf, merge, PARTITIONS } from './settings.ts'
import { createWatch } from './watch.ts'
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
  seed: number
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
  /** Those that resume. */
  readonly clients: Resuming[]
  /** Those that begin anew with each connection. */
  readonly plain: Plain[]
  readonly production: Production
  readonly ledger: Ledger
  readonly witness: Witness
  /** A scenario begins: production flows, chance is the seed's and its name's, and nothing is marked yet. */
  enter(name: string): void
  /** One more replica, not started. */
  another(): Replica
  /** These clients are away while this lasts; nobody waits for them. */
  without(clients: Resuming[], during: () => Promise<void>): Promise<void>
  /** The harm is done, or undone: recovery counts from here. */
  mark(): void
  /** The longest that it took from a mark until every client had all that was acknowledged, up to shortly before. Milliseconds. */
  readonly recoveryMs: number
  /** Resolves once some client lacks what was acknowledged. @throws when none does: then the harm is none. */
  falters(): Promise<void>
  /** Resolves once so many more records were acknowledged, and every client has them. */
  goesOn(records?: number): Promise<void>
  /** A metric, summed over these replicas, by default all that run. */
  metric(name: string, of?: Replica[]): Promise<number>
  /** Pauses the production and reads what Kafka holds. */
  settle(): Promise<void>
}

export const FLOODED = 'room-flooded'
const ROOMS = Array.from({ length: 20 }, (_, n) => `room-${n}`)
const CLIENTS = 50
const PLAIN_CLIENTS = 4
const TEXT_BYTES = 100
const FALTER_MS = 20_000
const CATCH_UP_MS = { long: 180_000, short: 60_000 }
const BOTH: ('relay' | 'edge')[] = ['relay', 'edge']

export async function openStage(world: World, options: StageOptions, form: Form): Promise<Stage> {
  await using opening = new AsyncDisposableStack()
  const { kafka } = world
  const { roles = [BOTH, BOTH, BOTH], over, senders, heartBeatMs = 0 } = options
  const [topic, groupId] = [unique('topic'), unique('group')]
  const configEntries = Object.entries(options.topic ?? {}).map(([name, value]) => ({ name, value }))
  const created = { topic, numPartitions: PARTITIONS, replicationFactor: 3, configEntries }
  await kafka.admin.createTopics({ topics: [created], waitForLeaders: false })
  await world.whole([topic])

  const bus = opening.use(await startBus(options.redis))
  const { redis, pair } = bus
  const admin = new Redis(redis.url)
  admin.on('error', () => undefined)
  opening.defer(() => admin.disconnect())

  const links = [...bus.links]
  const linkTo = async (target: number): Promise<number> => {
    const link = opening.use(await createLink(target))
    links.push(link)
    return link.port
  }
  const config = merge(configOf(topic, groupId, kafka.brokers, redis.url), options.config)
  if (pair) config['redis'] = { sentinel: pair.sentinel }
  const first: Config = {}
  if (over === 'redis') first['redis'] = { url: `redis://127.0.0.1:${await linkTo(redis.port)}` }
  if (over === 'kafka') {
    links.push(...opening.use(await world.borrowLinks()).links)
    first['kafka'] = { brokers: links.map(({ port }) => `127.0.0.1:${port}`) }
  }

  const replicas: Replica[] = []
  const create = (own: (typeof roles)[number]): Replica => {
    const index = replicas.length
    const settings = merge(config, index === 0 ? first : {})
    const replica = createReplica({ name: `replica ${index}`, roles: own, config: settings })
    replicas.push(replica)
    return replica
  }
  opening.defer(async () => {
    await Promise.all(replicas.map(replica => replica.kill()))
  })
  await all(roles.map(own => create(own).start()))

  const edges = replicas.filter(({ isEdge }) => isEdge)
  const ways = edges.map(({ wsUrl }) => wsUrl)
  const spoiled = async () =>
    (await Promise.all(edges.map(({ port }) => linkTo(port)))).map(port => `ws://127.0.0.1:${port}/ws`)
  const urls = over === 'clients' ? await spoiled() : ways
  const ledger = createLedger(over === 'client' ? [...ROOMS, FLOODED] : ROOMS)
  const seats = seatsOf(CLIENTS, urls, ROOMS)
  if (over === 'client') seats.push({ urls: await spoiled(), rooms: ledger.rooms })
  const seated = await seatResuming(seats, heartBeatMs)
  const clients = seated.map(({ client }) => opening.use(client))
  const plain = (await seatPlain(seatsOf(PLAIN_CLIENTS, urls, ROOMS), heartBeatMs)).map(s => opening.use(s.client))

  const { recordsPerSecond } = form
  const client = { kafka: kafka.kafka, topic, partitions: PARTITIONS, recordsPerSecond, textBytes: TEXT_BYTES }
  const production = produce(ledger, client)
  const doors = senders === 'first' ? ways.slice(0, 1) : ways
  const sources: Source[] = [production]
  if (senders) for (let n = 0; n < 2; n++) sources.push(sendAlong(ledger, rotated(doors, n)))
  opening.defer(async () => {
    await Promise.all(sources.map(source => source.stop()))
  })
  const witness = createWitness(kafka, topic)
  const away = new Set<Resuming>()
  const watch = createWatch(ledger, seated, away)
  opening.defer(watch.close)
  const stack = opening.move()
  let random = createRandom(`${form.seed}`)

  return {
    world,
    get random() {
      return random
    },
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
    plain,
    production,
    ledger,
    witness,
    enter(name) {
      random = createRandom(`${form.seed} ${name}`)
      watch.reset()
      production.shiftMs = 0
      for (const source of sources) source.resume()
    },
    another: () => create(BOTH),
    async without(those, during) {
      for (const client of those) away.add(client)
      await Promise.all(those.map(client => client.goAway()))
      await during()
      for (const client of those) {
        client.comeBack()
        away.delete(client)
      }
    },
    mark: watch.mark,
    get recoveryMs() {
      return watch.recoveryMs
    },
    falters: async () => {
      const falter = () => watch.lagging().length > 0
      await waitFor(falter, { deadlineMs: FALTER_MS, what: 'the harm to be felt by some client' })
    },
    async goesOn(records = 100) {
      const until = ledger.count + records
      const deadlineMs = CATCH_UP_MS[form.long ? 'long' : 'short']
      const patience = deadlineMs + (2000 * records) / recordsPerSecond
      await waitFor(() => ledger.count >= until, { deadlineMs: patience, what: 'more records to be produced' })
      const what = () => `every client to catch up; behind: ${watch.lagging().slice(0, 10).join('; ')}`
      await waitFor(() => watch.lagging().length === 0, { deadlineMs, what })
    },
    async metric(name, of = replicas) {
      const all = of.map(replica => replica.metric(name).catch(() => 0))
      return (await Promise.all(all)).reduce((sum, value) => sum + value, 0)
    },
    async settle() {
      await Promise.all(sources.map(source => source.pause()))
      await witness.read()
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync()
  }
}
