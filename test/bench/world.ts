import { type KafkaClient, withKafka } from '../support/kafka-client.ts'
import { startRedis } from '../support/redis.ts'
import { createFigures, type Figure, type FigureName } from './figures.ts'
import type { Loaded } from './load.ts'

/** What scenarios share, and where their figures go. */
export interface World extends AsyncDisposable {
  readonly rounds: number
  /** How long a contender is driven before it is measured, and while it is. */
  readonly warmMs: number
  readonly ms: number
  /** Of connections, records and the like: itself, or a twentieth of it in a short run. */
  size(full: number): number
  readonly figures: Figure[]
  /** What the reader must know beside the figures; each told once. */
  readonly notes: ReadonlySet<string>
  take(name: FigureName, value: number): void
  note(text: string): void
  /** A run of the load generator: it must not be the bottleneck, and no message may be out of order. */
  heard(contender: string, loaded: Loaded): void
  /** The most of a core that the generator took in any run. */
  readonly mostBusy: number
  /** Started when they are first asked for. */
  kafka(): Promise<KafkaClient>
  redisUrl(): Promise<string>
}

export interface Scenario {
  /** As `--only` takes it. */
  name: string
  about: string
  run(world: World): Promise<void>
}

const FULL = { warmMs: 700, ms: 2500 }
const SHORT = { warmMs: 200, ms: 300 }
const SHORTER = 20
/** Of a core; above it the load generator might be what is measured. */
const MOST_BUSY = 0.6

export function openWorld(rounds: number, short: boolean): World {
  const stack = new AsyncDisposableStack()
  const figures = createFigures()
  const notes = new Set<string>()
  let mostBusy = 0
  let kafka: Promise<KafkaClient> | undefined
  let redis: Promise<{ url: string }> | undefined

  return {
    rounds,
    ...(short ? SHORT : FULL),
    size: full => (short ? Math.ceil(full / SHORTER) : full),
    figures: figures.all,
    notes,
    take: figures.add,
    note: text => void notes.add(text),
    heard(contender, { ownShare, orderFaults }) {
      mostBusy = Math.max(mostBusy, ownShare)
      if (ownShare > MOST_BUSY) notes.add(`the load generator was too busy to measure ${contender}`)
      if (orderFaults > 0) notes.add(`${contender} delivered messages out of order`)
    },
    get mostBusy() {
      return mostBusy
    },
    kafka() {
      kafka ??= withKafka().then(client => stack.use(client))
      return kafka
    },
    async redisUrl() {
      // One of its own: it is emptied between the rounds.
      redis ??= startRedis().then(server => stack.use(server))
      return (await redis).url
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync()
  }
}
