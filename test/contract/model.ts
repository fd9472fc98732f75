import assert from 'node:assert/strict'
import pino from 'pino'
import { BatonError } from '../../src/errors.ts'
import { createHub, type Hub, type Subscribed } from '../../src/hub.ts'
import { bodyOf, type Delivery, decodeMessage, encodeEntry, type Gap } from '../../src/message.ts'
import { createMetrics } from '../../src/metrics.ts'
import { createOwner } from '../../src/owner.ts'
import type {
  Append,
  Audience,
  ChannelFeed,
  ChannelLog,
  Commit,
  KafkaRecord,
  PartitionControl,
  PartitionOwner
} from '../../src/ports.ts'
import type { Place } from '../../src/routes.ts'

// The randomized model of protocol.md: the real owner, log, hub and replay, driven by a seed through crashes, zombies, deaf
// links, resumes, rolled back and wiped logs and recreated topics. The same seed repeats the same run.

export interface LogUnderTest {
  log: ChannelLog
  /** A feed of its own link: each edge has one. */
  createFeed(): ChannelFeed
  /** Present where the server can lose its tail: remembers its state, and goes back to it. */
  failover?: { remember(): Promise<void>; goBack(): Promise<void> }
  wipe?(): Promise<void>
}

export interface Faults {
  crashes: number
  zombies: number
  deaf: number
  resumes: number
  failovers: number
  wipes: number
  recreated: number
}

const CHANNELS = ['x', 'y', 'z']
const TOPICS = ['p0', 'p1']
const MARKER = 'marker'

/** Mulberry32: small, seedable, good enough to choose faults. */
function randomOf(seed: number): (below: number) => number {
  let state = seed | 0
  return below => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 4294967296) * below)
  }
}

/** A message of a source of its own, on a channel of its own: what was published before it has come when it has. */
async function mark(log: ChannelLog, offset: number, marker: string): Promise<void> {
  const source = `g/marker/0~${marker}`
  const entry = { coordinate: { source, offset }, timestampMs: 0, hidden: true, headers: '', body: Buffer.from(marker) }
  const append = { channel: MARKER, offset, published: encodeEntry(entry), logSize: 1, logTtlMs: 60_000 }
  await log.append({ source, expect: -1, upTo: offset, again: -1, token: 'm', appends: [append] })
}

const placeOf = (channel: string): Place =>
  ({
    channel,
    destination: `/sub/${channel}`,
    names: {},
    topics: new Set(TOPICS),
    route: { history: {} }
  }) as unknown as Place

/** A client and the edge it is on; without a subscription while it is away. */
interface Seat {
  client: Client
  edge: number
  subscribed: Subscribed | undefined
}

/** A partition as Kafka would keep it. */
interface Partition {
  topic: string
  records: KafkaRecord[]
  commit: Commit | null
  generation: number
}

class Link implements Audience<Client> {
  members = new Set<Client>()
  get size() {
    return this.members.size
  }
  add(member: Client) {
    this.members.add(member)
  }
  remove(member: Client) {
    this.members.delete(member)
  }
  push(delivery: Delivery) {
    for (const member of this.members) member.got(delivery)
  }
  async replay(member: Client, deliveries: Delivery[]) {
    for (const delivery of deliveries) member.got(delivery)
  }
}

class Client {
  received: string[] = []
  gaps: Gap[] = []
  last = ''
  readonly channel: string
  constructor(channel: string) {
    this.channel = channel
  }
  got({ message, id, gap }: Delivery) {
    this.received.push(bodyOf(message).toString())
    if (gap !== undefined) this.gaps.push(gap)
    this.last = id
  }
}

type Edge = ReturnType<typeof createEdge>

/** One edge: a hub on a link that can go deaf. */
function createEdge(under: LogUnderTest) {
  const feed = under.createFeed()
  let deaf = false
  let arrived = ''
  let arrival: (() => void) | undefined
  const gate: ChannelFeed = {
    start: () => Promise.resolve(),
    follow: channel => feed.follow(channel),
    unfollow: channel => feed.unfollow(channel),
    get ready() {
      return feed.ready
    },
    close: () => feed.close()
  }
  const options = { joinTimeoutMs: 10_000, resumeTimeoutMs: 2, sweepIntervalMs: 3_600_000 }
  const hub: Hub<Client> = createHub<Client>(options, {
    log: under.log,
    feed: gate,
    createAudience: () => new Link(),
    metrics: createMetrics(),
    logger: pino({ level: 'silent' })
  })
  return {
    hub,
    async start() {
      await feed.start({
        message(channel, payload) {
          if (channel === MARKER) {
            arrived = bodyOf(decodeMessage(payload)).toString()
            arrival?.()
          } else if (!deaf) hub.listener.message(channel, payload)
        },
        restored: channels => hub.listener.restored(channels)
      })
      await feed.follow(MARKER)
    },
    /** Resolves when the marker has come, and so all that was published before it, and every channel is live again. */
    async settled(marker: string) {
      while (arrived !== marker) await new Promise<void>(resolve => (arrival = resolve))
      for (const channel of CHANNELS) {
        const visit = await hub.subscribe(placeOf(channel), new Client(channel), {}, new AbortController().signal)
        visit.unsubscribe()
      }
    },
    get deaf() {
      return deaf
    },
    set deaf(value: boolean) {
      deaf = value
      if (!value) hub.listener.restored(CHANNELS)
    },
    async close() {
      hub.close()
      await feed.close()
    }
  }
}

/** @throws AssertionError naming the seed when a client lost, doubled or reordered a message in silence. */
export async function runModel(under: LogUnderTest, seed: number, steps: number, faults: Faults): Promise<void> {
  const edges = [createEdge(under), createEdge(under)]
  try {
    await runOn(edges, under, seed, steps, faults)
  } finally {
    for (const edge of edges) await edge.close()
  }
}

async function runOn(edges: Edge[], under: LogUnderTest, seed: number, steps: number, faults: Faults): Promise<void> {
  const random = randomOf(seed)
  const metrics = createMetrics()
  const logger = pino({ level: 'silent' })
  const trace: string[] = []
  const partitions = new Map<string, Partition>()
  const produced: { id: string; channel: string; topic: string; offset: number }[] = []
  let clock = 1000
  for (const topic of TOPICS) partitions.set(topic, { topic, records: [], commit: null, generation: 0 })
  await under.wipe?.()

  function produce(): void {
    const partition = partitions.get(TOPICS[random(2)] as string) as Partition
    const channel = CHANNELS[random(3)] as string
    const id = `${partition.topic}@${++clock}`
    const offset = partition.records.length
    partition.records.push({
      offset,
      timestampMs: Date.now(),
      key: Buffer.from(channel),
      value: Buffer.from(id),
      headers: []
    })
    produced.push({ id, channel, topic: partition.topic, offset })
  }

  async function route(source: string, _: PartitionControl, record: KafkaRecord): Promise<Append[]> {
    const body = record.value as Buffer
    const entry = {
      coordinate: { source, offset: record.offset },
      timestampMs: record.timestampMs,
      hidden: false,
      headers: '',
      body
    }
    const channel = String(record.key)
    return [{ channel, offset: record.offset, published: encodeEntry(entry), logSize: 500, logTtlMs: 86_400_000 }]
  }

  class Consumer {
    readonly partition: Partition
    readonly generation: number
    position: number
    owner: PartitionOwner | undefined
    sought = false
    constructor(partition: Partition) {
      this.partition = partition
      this.generation = ++partition.generation
      this.position = partition.commit?.offset ?? 0
    }
    async start(): Promise<this> {
      const { partition } = this
      const control: PartitionControl = {
        topic: partition.topic,
        partition: 0,
        group: 'g',
        topicId: async () => undefined,
        readCommit: async () => partition.commit,
        commit: async commit => {
          if (this.generation !== partition.generation) throw new Error('fenced by the group')
          partition.commit = commit
        },
        bounds: async () => ({ earliest: 0, latest: partition.records.length }),
        offsetAt: async () => 0,
        seek: offset => {
          this.position = offset
          this.sought = true
        }
      }
      const context = {
        startFrom: 'earliest',
        refill: { maxAgeMs: 600_000, maxRecords: 50_000 },
        route,
        log: under.log,
        metrics,
        logger
      } as const
      this.owner = await createOwner(control, context)
      return this
    }
    async step(): Promise<void> {
      const { partition } = this
      const records = partition.records.slice(this.position, this.position + 1 + random(6))
      if (records.length === 0) {
        await this.owner?.probe()
      } else {
        const lastOffset = (records.at(-1) as KafkaRecord).offset
        this.sought = false
        await this.owner?.batch(
          { records, highWatermark: partition.records.length, lastOffset },
          { heartbeat: async () => {}, stale: () => this.sought }
        )
        if (!this.sought) this.position = lastOffset + 1
      }
      const commit = this.owner?.committable()
      if (commit && random(3) === 0 && this.generation === partition.generation) {
        partition.commit = commit
        this.owner?.committed(commit)
      }
    }
  }

  const consumers = new Map<string, Consumer>()
  for (const partition of partitions.values()) consumers.set(partition.topic, await new Consumer(partition).start())
  let zombies: Consumer[] = []
  let remembered = false
  for (const edge of edges) await edge.start()
  let markers = 0
  async function settle(): Promise<void> {
    for (let round = 0; round < 2; round++) {
      const marker = `${seed}-${++markers}`
      await mark(under.log, markers, marker)
      for (const edge of edges) await edge.settled(marker)
    }
  }
  const at = (n: number) => edges[n % edges.length] as Edge
  const consumer = (n: number) => consumers.get(TOPICS[n] as string) as Consumer

  for (let i = 0; i < 20; i++) produce()
  for (let i = 0; i < 12; i++) for (const each of consumers.values()) await each.step()
  await settle()

  const signal = new AbortController().signal
  const clients: Seat[] = []
  /** Refused while Redis holds less than the client has seen: it comes again later. */
  async function resume(seat: Seat): Promise<void> {
    const { client, edge } = seat
    if (at(edge).deaf) at(edge).deaf = false
    seat.subscribed = undefined
    try {
      seat.subscribed = await at(edge).hub.subscribe(placeOf(client.channel), client, { after: client.last }, signal)
    } catch (error) {
      assert.ok(error instanceof BatonError && error.code === 'REDIS_UNAVAILABLE', `${error}`)
      return
    }
    client.last = seat.subscribed.lastMessageId
    if (seat.subscribed.gap !== undefined) client.gaps.push(seat.subscribed.gap)
    faults.resumes++
    trace.push(`resume ${client.channel}`)
  }
  for (const [edge, channel] of CHANNELS.entries()) {
    for (const each of consumers.values()) for (let i = 0; i < 30; i++) await each.step()
    await settle()
    const client = new Client(channel)
    const subscribed = await at(edge).hub.subscribe(placeOf(channel), client, {}, signal)
    client.last = subscribed.lastMessageId
    clients.push({ client, edge, subscribed })
  }
  const before = produced.length

  for (let step = 0; step < steps; step++) {
    const choice = random(100)
    if (choice < 40) for (let n = random(4); n >= 0; n--) produce()
    else if (choice < 75) await consumer(random(2)).step()
    else if (choice < 79) await zombies[random(Math.max(1, zombies.length))]?.step().catch(() => {})
    else if (choice < 83) {
      const n = random(2)
      const old = consumer(n)
      if (random(2)) {
        zombies.push(old)
        faults.zombies++
      }
      consumers.set(old.partition.topic, await new Consumer(old.partition).start())
      faults.crashes++
      trace.push(`crash ${old.partition.topic}`)
    } else if (choice < 86) {
      const edge = at(random(2))
      edge.deaf = !edge.deaf
      faults.deaf++
    } else if (choice < 90) {
      const each = clients[random(clients.length)] as Seat
      each.subscribed?.unsubscribe()
      each.edge++
      await resume(each)
    } else if (choice < 93 && under.failover && !remembered) {
      await under.failover.remember()
      remembered = true
      trace.push('lag')
    } else if (choice < 96 && under.failover && remembered) {
      await under.failover.goBack()
      remembered = false
      faults.failovers++
      trace.push('FAILOVER')
      for (const edge of edges) if (!edge.deaf) edge.hub.listener.restored(CHANNELS)
    } else if (choice === 96 && under.wipe) {
      await under.wipe()
      remembered = false
      faults.wipes++
      trace.push('WIPE')
    } else if (choice === 97) {
      // Only once everything is through, as an operator would.
      await drain()
      const old = consumer(random(2))
      const { partition } = old
      zombies = zombies.filter(zombie => zombie.partition !== partition)
      partition.records = []
      partition.commit = null
      consumers.set(partition.topic, await new Consumer(partition).start())
      remembered = false
      faults.recreated++
      trace.push(`RECREATE ${partition.topic}`)
    }
    if (random(2)) await settle()
  }

  async function drain(): Promise<void> {
    for (const edge of edges) edge.deaf = false
    for (let round = 0; round < 6; round++) {
      for (const each of consumers.values()) {
        for (let i = 0; i < 1000 && each.position < each.partition.records.length; i++) await each.step()
        await each.step()
      }
      await settle()
      for (const edge of edges) edge.hub.listener.restored(CHANNELS)
      await settle()
      for (const seat of clients) if (!seat.subscribed) await resume(seat)
    }
  }

  await drain()

  for (const { client } of clients) {
    const expected = produced.slice(before).filter(({ channel }) => channel === client.channel)
    const got = new Set(client.received)
    const lost = expected.filter(({ id }) => !got.has(id)).map(({ id }) => id)
    const known = new Set(produced.filter(({ channel }) => channel === client.channel).map(({ id }) => id))
    const doubled = client.received.length - got.size
    const foreign = client.received.filter(id => !known.has(id))
    const latest = new Map<string, number>()
    const reordered = client.received.filter(id => {
      const [topic, time] = id.split('@') as [string, string]
      const late = Number(time) < (latest.get(topic) ?? 0)
      latest.set(topic, Number(time))
      return late
    })
    const told = client.gaps.length > 0
    const what = { seed, channel: client.channel, gaps: client.gaps, trace: trace.join(' · ').slice(-600) }
    assert.deepEqual(
      { ...what, lost: told ? [] : lost, doubled, foreign, reordered },
      { ...what, lost: [], doubled: 0, foreign: [], reordered: [] }
    )
  }
}
