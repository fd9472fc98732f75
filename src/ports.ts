import type { Coordinate, Coverage, Delivery, Message, Position, Slow, Vector } from './message.ts'

// The promises between rooms. `kafka/`, `redis/` and `memory/` keep them; `stomp/` and `http/` use them; one contract suite
// (test/contract) holds every implementation to the same words.

// ---- Kafka's side ---------------------------------------------------------------------------

/** A consumed record. `offset` is a safe integer; `value` null is a tombstone. */
export interface KafkaRecord {
  offset: number
  /** From 0 to `LATEST_MS`. */
  timestampMs: number
  key: Buffer | null
  value: Buffer | null
  /** In the record's order; a repeated name keeps each of its values. */
  headers: [name: string, value: Buffer][]
}

/** Some records of one partition, in offset order. Offsets may have holes (control records, compaction). */
export interface RecordBatch {
  /** Each may be made when it is asked for. An array will do. */
  records: Pick<readonly KafkaRecord[], 'length' | 'at'>
  /** Offset of the first record the partition does not have yet. */
  highWatermark: number
  /** The last offset this batch covers: at or after its last record's. */
  lastOffset: number
  /** What these come after. `loss`: Kafka deleted records that were due, nobody consumed them; `anew`: the topic was made anew. */
  after?: 'loss' | 'anew'
}

/** What a group's commit says of a partition: the next offset to consume, and the metadata that holds the incarnation (I8). */
export interface Commit {
  offset: number
  metadata: string
}

/** One assigned partition as its owner sees it. Every method rejects when Kafka is away; `seek` never does. */
export interface PartitionControl {
  readonly topic: string
  readonly partition: number
  readonly group: string
  /** Of the topic that has this name now; one that was deleted and made anew has another. Undefined: Kafka does not say. */
  topicId(): Promise<string | undefined>
  /** The group's commit as Kafka stores it now; null when there is none. */
  readCommit(): Promise<Commit | null>
  /** Stores the commit at once. Used where protocol.md asks for an order (I8); the running commit goes through `committable`. */
  commit(commit: Commit): Promise<void>
  /** The first retained offset, and the next one to be written. */
  bounds(): Promise<{ earliest: number; latest: number }>
  /** The first offset at or after a time; `latest` when there is none. */
  offsetAt(timestampMs: number): Promise<number>
  /** The next batch will begin at `offset`; what was fetched before it is dropped. */
  seek(offset: number): void
}

/** Told by a RecordSource what happens to partitions. Implemented by the relay. */
export interface PartitionHandler {
  /** This process now owns the partition. Resolves with where to consume from; no batch of it comes before that. */
  assigned(control: PartitionControl): Promise<PartitionOwner>
}

/** Takes the records of one partition for as long as this process owns it. */
export interface PartitionOwner {
  /**
   * Takes a batch. Resolves when every record of it is appended, dead-lettered or known to be appended before, or earlier when the
   * owner has called `seek` or `beat.stale()` is true. While Redis is away it waits, calling `beat.heartbeat()` at least each second.
   */
  batch(batch: RecordBatch, beat: Beat): Promise<void>
  /** Called each second: an empty chunk finds out whether Redis is behind although no record comes (I3). */
  probe(): Promise<void>
  /** What may be committed now: everything before `offset` is in Redis. Null before the first append and when nothing is new. */
  committable(): Commit | null
  /** Committed: `committable` is null until there is more. */
  committed(commit: Commit): void
  /** The partition belongs to someone else (or the process ends): nothing is appended from here on. */
  revoked(): void
}

/** What keeps a long batch alive. */
export interface Beat {
  heartbeat(): Promise<void>
  /** The partition was taken away or the consumer is closing: stop between chunks. */
  stale(): boolean
}

/** Consumes all routed topics in one group. Partitions run concurrently, batches of one partition in order. */
export interface RecordSource {
  start(handler: PartitionHandler): Promise<void>
  /** True once the group has given this process its assignment (which may be empty), until the link is lost. */
  readonly ready: boolean
  /** Partitions owned now, with how many records each has not consumed yet. */
  lags(): { topic: string; partition: number; lag: number }[]
  /** Finishes the chunk in hand, commits, leaves the group. Idempotent. */
  close(): Promise<void>
}

/** A record to be produced. Without `partition` the key decides (murmur2 as the Java client; no key: any partition); `round-robin` takes one after the other, whatever the key. */
export interface OutgoingRecord {
  topic: string
  key: string | Buffer | null
  value: Buffer | null
  headers: Record<string, string | Buffer>
  partition?: number | 'round-robin'
}

/** Where a record was written. */
export interface Produced {
  topic: string
  partition: number
  offset: number
}

export interface RecordSink {
  start(): Promise<void>
  /**
   * Takes the records in call order: two calls for one key are written in that order. Resolves once Kafka acknowledged
   * all of them on all in-sync replicas. Several records in one call are all written or none is.
   * @throws BatonError `KAFKA_UNAVAILABLE` when not acknowledged within the produce timeout, `PRODUCE_QUEUE_FULL` at once
   *   when more bytes wait than `kafka.produceQueueBytes`, `BODY_TOO_LARGE` over the topic's max.message.bytes, `SHUTTING_DOWN` after `close`.
   *   After the first it is not known whether the records were written; after the others they were not.
   */
  produce(records: OutgoingRecord[]): Promise<Produced[]>
  readonly ready: boolean
  /** Waits for what was taken, then ends. Idempotent. */
  close(): Promise<void>
}

// ---- Redis's side -----------------------------------------------------------------------------

/** One record's place in one channel. A record with many channels has one Append for each, with the same offset. */
export interface Append {
  channel: string
  offset: number
  /** `encodeEntry` of the entry: what is published and, unless `logged` is given, what the log keeps. */
  published: Buffer
  /** What the log keeps instead: the same entry without its body. */
  logged?: Buffer | undefined
  /** How many entries the log keeps. 0: publish only, the bytes as they are, with no log and no position; never again after a rewind (I5). */
  logSize: number
  logTtlMs: number
}

/** A compare-and-append of records of one source, in offset order (I2). */
export interface Chunk {
  source: string
  /** The last offset this owner knows to be acknowledged (commit − 1 at first). −1: nothing (I3). */
  expect: number
  /** The last offset this chunk covers, filtered and unrouted records included (I4). */
  upTo: number
  /** The highest offset acknowledged before a rewind, else −1: a record at or below it that is written now opens a new epoch (I5). */
  again: number
  /** A fresh epoch name, used by every channel that needs one. */
  token: string
  appends: Append[]
}

export type Appended =
  /** Written; the fence is now `fence` (≥ upTo). `skipped` appends were at or below the fence before. */
  | { behind: false; fence: number; skipped: number }
  /** Redis has lost what was acknowledged: nothing was written (I3). `fence` undefined: the fence is not there at all (I9). */
  | { behind: true; fence: number | undefined }

/** The last entry of a channel, by what it is compared with (I6). */
export interface Head {
  /** Absent: the channel has none (never written, expired or wiped). */
  position?: Position
  /** Coordinate of the last entry. */
  coordinate?: Coordinate
  /** Per source that ever fed this channel, the offset of its last entry here. From `read` only, where there is a position. */
  vector?: Vector
}

export interface Snapshot extends Coverage {
  head: Head
  /** Oldest first. Fewer than asked for: the log has no more. */
  entries: Message[]
}

/** Fence, positions, logs and PUBLISH: everything of one call happens or nothing does. */
export interface ChannelLog {
  /** @throws BatonError `REDIS_UNAVAILABLE` (retry with the same chunk: it may have been written, then it is skipped). */
  append(chunk: Chunk): Promise<Appended>
  /**
   * Nothing from before `start` will come: it is of an earlier incarnation (I8), or lost by a wipe (I9). Where the source has no fence,
   * `start` becomes its floor, start − 1 its fence, and `end`, up to which it is written again, its ceiling, at one moment.
   */
  restart(source: string, start: number, end?: number): Promise<void>
  /** Forgets sources of an earlier incarnation (I8). */
  forget(sources: string[]): Promise<void>
  fences(): Promise<Vector>
  /** One consumer group fills a prefix: two would publish every record twice. @returns the group that asked first. */
  claim(group: string): Promise<string>
  /** Head, the last `last` entries (default: all, 0: none) and coverage, read at one moment. One round trip. */
  read(channel: string, last?: number): Promise<Snapshot>
  /** Heads of many channels, in the order asked, and coverage that is no younger. One round trip. */
  heads(channels: string[]): Promise<Coverage & { heads: Head[] }>
  readonly ready: boolean
  start(): Promise<void>
  close(): Promise<void>
}

/** Told by a ChannelFeed. Implemented by the hub. */
export interface FeedListener {
  /** What came of a followed channel, in bus order. */
  message(channel: string, payload: Buffer): void
  /** These channels are followed again after the link was lost (or may have lost messages): compare their positions. Called for each batch that the bus has confirmed. */
  restored(channels: string[]): void
}

/** Redis pub/sub, one subscription per channel and process. */
export interface ChannelFeed {
  start(listener: FeedListener): Promise<void>
  /** Resolves when the bus confirmed: every later publish arrives. Waits while the link is down. */
  follow(channel: string): Promise<void>
  /** No message of the channel is wanted; the bus is told some seconds later, unless it is followed again. */
  unfollow(channel: string): void
  readonly ready: boolean
  close(): Promise<void>
}

/** Who waits for the reply of which text (`reply.match`): one at a time. Each @throws BatonError REDIS_UNAVAILABLE. */
export interface Claims {
  /** `id` holds the key until it is released or `ttlMs` are over. @returns false where another holds it. */
  take(key: string, id: string, ttlMs: number): Promise<boolean>
  holder(key: string): Promise<string | undefined>
  /** Does nothing where another holds it by now. */
  release(key: string, id: string): Promise<void>
}

// ---- the edge's side ---------------------------------------------------------------------------

/** The live subscriptions of one channel on this process; made by `stomp/fanout.ts`, driven by the channel. */
export interface Audience<Member> {
  /** Flushes first, so the member gets nothing from before it was added. */
  add(member: Member): void
  /** Flushes first, so the member gets all from before it was removed. */
  remove(member: Member): void
  readonly size: number
  /** Queues a delivery for every member; sent at the end of the tick, or `flushMs` later. */
  push(delivery: Delivery): void
  /**
   * Sends to one member, which need not be added yet, in order, no faster than it reads: waits whenever half its send queue is full.
   * Resolves when the last one is handed to its socket. @throws the signal's reason when the member is gone.
   */
  replay(member: Member, deliveries: Delivery[], signal: AbortSignal): Promise<void>
}

/** Makes the audience of a channel, whose MESSAGE frames all carry `destination`. */
export type CreateAudience<Member> = (destination: string, slow: Slow) => Audience<Member>
