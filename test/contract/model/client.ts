import assert from 'node:assert/strict'
import { BatonError } from '../../../src/errors.ts'
import type { Subscribed } from '../../../src/hub.ts'
import { parseMessageId, type ResumePoint, sourceTag } from '../../../src/message/id.ts'
import {
  bodyOf,
  type Coordinate,
  type Delivery,
  followsLoss,
  type Gap,
  isBeyond,
  raise,
  type Vector
} from '../../../src/message.ts'
import type { Snapshot } from '../../../src/ports.ts'
import { partitionOf } from '../../../src/proof.ts'
import type { Start } from '../../../src/replay.ts'
import { type Edge, placeOf } from './edge.ts'
import type { Tap, Write } from './tap.ts'

/** What a client saw, in order. A RECEIPT stands after what was replayed before it; its `from` is where its SUBSCRIBE stands. */
export type Event = { step: number } & (
  | {
      kind: 'live' | 'replay'
      coordinate: Coordinate | undefined
      body: string
      gap: Gap | undefined
      excused: boolean
    }
  | { kind: 'subscribe'; unknown: boolean; point: ResumePoint | undefined }
  | { kind: 'receipt'; gap: Gap | undefined; from: number; excused: boolean }
)

/** One that subscribes, leaves, and resumes as docs/stomp.md says. */
export class Client {
  readonly events: Event[] = []
  /** What was there when it subscribed first, plainly and as the first of its edge: nothing of that is news. */
  startsAfter: Vector = new Map()
  /** What was there when it was live: it need not get that. */
  startsBefore: Vector = new Map()
  /** The write at which it joined; and the one from which on it may get what came before, by its edge or its history. */
  joinedAt = 0
  behindSince = 0
  /** It takes a replay slower than the bus brings news. */
  slow = false
  edge: Edge | undefined
  readonly channel: string
  readonly name: string
  /** The id of the last message; of the RECEIPT, where none came since the SUBSCRIBE. */
  private last = ''
  private resuming: string | undefined
  private subscribed: Subscribed | undefined
  /** Per source, the last offset that was there before it or was delivered; and the last delivered. */
  private readonly known: Vector = new Map()
  private readonly seen: Vector = new Map()
  private writes: readonly Write[] = []
  /** How much of the evidence it was told from. */
  private judged = 0
  /** Others were there before it, and nothing came since. */
  private afterOthers = false

  private readonly stepNow: () => number

  constructor(name: string, channel: string, stepNow: () => number) {
    this.name = name
    this.channel = channel
    this.stepNow = stepNow
  }

  get isThere(): boolean {
    return this.subscribed !== undefined
  }

  /** It is away, and would come back by the RECEIPT of a channel without a message. */
  get hasNoPosition(): boolean {
    return !this.isThere && parseMessageId(this.last)?.position === undefined
  }

  /** A plain SUBSCRIBE, or one with `history`. */
  async join(edge: Edge, tap: Tap, start: Start): Promise<void> {
    const fences = await tap.fences()
    if (edge.isFree(this.channel) && !start.history) this.startsAfter = fences
    this.writes = tap.writes
    this.joinedAt = tap.writes.length
    this.behindSince = start.history ? 0 : edge.settledAt
    for (const [source, offset] of fences) raise(this.known, source, offset)
    await this.subscribe(edge, start, forever)
    this.startsBefore = await tap.fences()
  }

  async resume(edge: Edge, signal: AbortSignal): Promise<void> {
    await this.subscribe(edge, { after: this.last }, signal)
  }

  leave(): void {
    this.subscribed?.unsubscribe()
    this.subscribed = undefined
    this.edge?.count(this.channel, -1)
    this.edge = undefined
  }

  /** Refused while Redis holds less than was seen: it comes again later. */
  private async subscribe(edge: Edge, start: Start, signal: AbortSignal): Promise<void> {
    const from = this.events.length
    const point = start.after === undefined ? undefined : parseMessageId(start.after)
    const subscribe: Event = { step: this.stepNow(), kind: 'subscribe', unknown: false, point }
    this.events.push(subscribe)
    this.resuming = start.after
    this.edge = edge
    this.judged = edge.evidence(this.channel).length
    this.afterOthers = !edge.isFree(this.channel)
    edge.count(this.channel, 1)
    try {
      const subscribed = await edge.hub.subscribe(placeOf(this.channel), this, start, signal)
      this.subscribed = subscribed
      if (this.events.length === from + 1) this.last = subscribed.lastMessageId
      const { gap } = subscribed
      subscribe.unknown = gap === 'unknown'
      assert.equal(subscribed.resumed, start.after !== undefined && gap === undefined)
      const since = this.events.slice(from)
      const excused =
        (from === 0 && this.behindSince < this.joinedAt) ||
        since.some(event => 'excused' in event && event.excused) ||
        this.excusedBy(edge.evidence(this.channel))
      this.judged = edge.evidence(this.channel).length
      this.events.push({ step: this.stepNow(), kind: 'receipt', gap, from, excused })
    } catch (error) {
      this.leave()
      if (signal.aborted) return
      assert.ok(error instanceof BatonError && error.code === 'REDIS_UNAVAILABLE', `${error}`)
    } finally {
      this.resuming = undefined
    }
  }

  /** @param evidence every log that its edge decided from, so far. */
  got({ message, id, gap }: Delivery, kind: 'live' | 'replay', evidence: readonly Snapshot[]): void {
    const { coordinate } = message
    // What was missed before it came, and no message could carry, the first one tells.
    const isOfOthers = kind === 'live' && this.afterOthers
    if (kind === 'live') this.afterOthers = false
    const before = this.events.at(-1)
    // Of a topic made anew nobody may know whether the old one was consumed to its end; and an id may leave out that it was told.
    const follows = coordinate !== undefined && followsLoss(coordinate, kind === 'replay' ? new Map() : this.seen)
    const excused = isOfOthers || follows || this.excusedBy(evidence) || (before?.kind === 'receipt' && before.excused)
    // What it is replayed may tell what the channel decided before: a heal meanwhile.
    if (kind === 'live') this.judged = evidence.length
    this.events.push({ step: this.stepNow(), kind, coordinate, body: bodyOf(message).toString(), gap, excused })
    this.last = id
    if (!coordinate) return
    for (const vector of [this.seen, this.known]) raise(vector, coordinate.source, coordinate.offset)
  }

  /** True where `unknown` may be said although nothing was missed: the log cannot show it (docs/guarantees.md). */
  private excusedBy(evidence: readonly Snapshot[]): boolean {
    return evidence.slice(this.judged).some(snapshot => this.excuses(snapshot))
  }

  private excuses({ head, entries, fences, floors }: Snapshot): boolean {
    const point = this.resuming === undefined ? undefined : parseMessageId(this.resuming)
    if (point) {
      const there = new Set([...(head.vector?.keys() ?? []), ...fences.keys()].map(sourceTag))
      // An id that leaves out sources, or names one that is known nowhere any more.
      if (!point.complete || [...point.vector.keys()].some(tag => !there.has(tag))) return true
      // Or stands below a floor, though nothing for this room was there.
      if ([...floors].some(([source, floor]) => (point.vector.get(sourceTag(source)) ?? -1) < floor - 1)) return true
    }
    // No message could carry what the edge has to tell: the next one tells it, also to who came meanwhile.
    const [omitted, ...later] = entries.slice(entries.findLastIndex(entry => entry.omitted))
    if (omitted?.omitted && !later.some(({ coordinate: c }) => c && isBeyond(c, this.known))) return true
    // A wiped log is not filled again yet, or not as far back as some source was seen (I9).
    const filled = new Set([...fences.keys()].map(partitionOf))
    if (this.writes.some(({ source }) => !filled.has(partitionOf(source)))) return true
    if ([...floors].some(([source, floor]) => isBeyond({ source, offset: floor - 1 }, this.known))) return true
    // Its edge knows nothing of an incarnation that brought nothing to the room (I8).
    const fed = new Set(this.writes.filter(({ channel }) => channel === this.channel).map(({ source }) => source))
    if (![...floors.keys()].every(source => fed.has(source))) return true
    // A failover went back to before an incarnation: of the one it brought back its edge may know nothing.
    const bornAt = (source: string) => this.writes.findIndex(write => write.source === source)
    const isBack = (source: string) =>
      [...fences.keys()].some(other => partitionOf(other) === partitionOf(source) && bornAt(other) < bornAt(source))
    if ([...this.known.keys()].some(source => !fences.has(source) && isBack(source))) return true
    if (!head.position) return point?.position !== undefined
    if (!point?.position && entries[0]?.position?.seq === 1) return false
    const reached = ([source, offset]: [string, number]) =>
      !isBeyond({ source, offset }, this.known) ||
      entries.some(({ coordinate }) => coordinate?.source === source && !isBeyond(coordinate, this.known))
    return ![...(head.vector ?? [])].every(reached)
  }
}

const forever = new AbortController().signal
