import { setTimeout as delay } from 'node:timers/promises'
import type { Logger } from 'pino'
import { createKnown } from './known.ts'
import { type Coverage, type Delivery, decodeMessage, followsLoss, type Gap, keyOf, type Message } from './message.ts'
import type { Metrics } from './metrics.ts'
import type { Audience, ChannelFeed, Head, Snapshot } from './ports.ts'
import { addGap, missingSince, sameHead } from './proof.ts'
import type { Place } from './routes.ts'

// One channel on this process: joining → live ⇄ healing (I6). What follows is delivered, what is known is dropped, and anything else is
// healed: the log is read, its fresh entries are delivered in its order, and its position taken. What comes meanwhile is held.

/** Messages held while a channel is not live, or while one subscription replays; past it they are read from the log instead. */
const HELD_LIMIT = 10_000
/** Entries read beyond the hole, for what is published while the read is on its way. */
const READ_AHEAD = 16
const RETRY_MS = [50, 100, 250, 500, 1000] as const

export interface ChannelDeps {
  feed: ChannelFeed
  metrics: Metrics
  logger: Logger
  /** Runs a read when its turn comes: heals are bounded per link. */
  read(channel: string, last?: number): Promise<Snapshot>
  /** So too, of what a newcomer finds: where Redis was wiped, once it is being filled again. */
  readToJoin(place: Place): Promise<Snapshot>
}

/** What one joining subscription collects until it goes live. */
export interface Hold {
  deliveries: Delivery[]
  /** More came than may be held: what is missing must be read from the log. */
  overflowed: boolean
}

export type Channel<Member> = ReturnType<typeof createChannel<Member>>

/** The state machine of one channel. It follows the channel at once; `settled()` says when it is live. */
export function createChannel<Member>(place: Place, audience: Audience<Member>, deps: ChannelDeps) {
  const { channel: name, topics } = place
  const { feed, metrics, logger } = deps
  const known = createKnown(topics)
  const holds = new Set<Hold>()
  let head: Head = {}
  let held: Buffer[] | undefined = []
  /** More was lost, or came and could not be held, after what is being read or compared: it must be read once more. */
  let stale = false
  /** The link was lost since it was last compared. While it is there, nothing that Redis loses is missed here. */
  let deaf = false
  let gap: Gap | undefined
  let plainCount = 0
  let closed = false
  let compared: PromiseWithResolvers<void> | undefined
  let settled: Promise<void> = join()

  async function join(): Promise<void> {
    await feed.follow(name)
    const snapshot = await untilDone(() => deps.readToJoin(place))
    if (!snapshot) return
    known.join(snapshot)
    head = snapshot.head
    release()
  }

  /** Undefined when the channel was closed meanwhile. Redis being away is waited out. */
  async function untilDone(read: () => Promise<Snapshot>): Promise<Snapshot | undefined> {
    for (let attempt = 0; !closed; attempt++) {
      try {
        return await read()
      } catch (error) {
        if (attempt === 0) logger.warn({ channel: name, err: error }, 'channel waits for Redis to be read')
        await delay(RETRY_MS[Math.min(attempt, RETRY_MS.length - 1)])
      }
    }
    return undefined
  }

  /** Back to live: what was held goes through the rule, which may begin another heal. */
  function release(): void {
    const payloads = held ?? []
    held = undefined
    if (stale) heal()
    for (const payload of payloads) take(payload)
  }

  /** A payload off the bus. */
  function take(payload: Buffer): void {
    if (closed) return
    if (held) {
      if (held.length < HELD_LIMIT) held.push(payload)
      else {
        held.length = 0
        stale = true
      }
      return
    }
    const message = decodeMessage(payload)
    const { position, coordinate } = message
    if (!position || !coordinate) {
      deliver(message, `${known.idAt(head)}.p${++plainCount}`)
      return
    }
    const sameEpoch = position.epoch === head.position?.epoch
    const seq = head.position?.seq ?? 0
    const isFresh = known.isFresh(message)
    if (sameEpoch && position.seq === seq + 1) {
      // Known already, yet in its place: the chain is whole, so a refill passes by without a read for each message.
      if (isFresh) accept(message)
      head = { position, coordinate }
    } else if (!sameEpoch || position.seq > seq || isFresh) {
      heal(message, sameEpoch && position.seq > seq ? position.seq - seq : undefined)
    }
  }

  /** Delivers an entry and remembers its coordinate. */
  function accept(message: Message): void {
    const { coordinate } = message
    if (!coordinate) return
    if (followsLoss(coordinate, known.vector)) tell('unknown')
    known.take(coordinate)
    if (message.omitted) gap = addGap(gap, 1)
    else deliver(message, known.idOf(message))
  }

  /** A hole is told with the next message. */
  function tell(hole: Gap | undefined): void {
    if (hole === undefined) return
    gap = addGap(gap, hole)
    metrics.gaps.inc({ where: 'live' })
    logger.warn({ channel: name, gap: hole }, 'a hole could not be healed: the log no longer holds it')
  }

  function deliver(message: Message, id: string): void {
    const delivery: Delivery = gap === undefined ? { message, id } : { message, id, gap }
    gap = undefined
    for (const hold of holds) {
      if (hold.deliveries.length < HELD_LIMIT) hold.deliveries.push(delivery)
      else hold.overflowed = true
    }
    audience.push(delivery)
  }

  /** @param brought what did not follow. @param missing how many entries the hole is long, where that is known. */
  function heal(brought?: Message, missing?: number): void {
    held ??= []
    stale = false
    metrics.heals.inc()
    settled = mend(brought, missing)
  }

  async function mend(brought?: Message, missing?: number): Promise<void> {
    const wasDeaf = deaf
    deaf = false
    const read = (last?: number) => untilDone(() => deps.read(name, last))
    let snapshot = await read(missing === undefined ? undefined : missing + READ_AHEAD)
    const reaches = snapshot?.entries.some(entry => sameHead(entry, head))
    if (missing !== undefined && !reaches) snapshot = await read()
    if (!snapshot) return
    tell(missingSince(head, snapshot, known.vector, wasDeaf && known.mayLack(snapshot)))
    // A body too long for the log is not lost when the bus has brought it.
    const fromBus = new Map<string, Message>()
    if (snapshot.entries.some(({ omitted }) => omitted)) {
      for (const message of [...(brought ? [brought] : []), ...(held ?? []).map(payload => decodeMessage(payload))]) {
        fromBus.set(keyOf(message), message)
      }
    }
    for (const entry of snapshot.entries) {
      if (known.isFresh(entry)) accept((entry.omitted && fromBus.get(keyOf(entry))) || entry)
    }
    // What the log holds no more was told as missing: it is no news any more, should the bus bring it late.
    known.takeFences(snapshot, !wasDeaf)
    known.takeAll(snapshot.head)
    head = snapshot.head
    release()
  }

  return {
    name,
    place,
    audience,
    /** Sources and offsets delivered or older than the join. Read only. */
    vector: known.vector,
    take,

    /** Resolves when the channel is live. */
    async settled(): Promise<void> {
      while (held && !closed) await settled
    },

    nameSource: known.name,

    /** After a link event, until `check`: a message that seems to follow may follow what Redis has lost. */
    doubt(): void {
      if (closed) return
      deaf = true
      stale = held !== undefined
      if (stale) return
      held = []
      compared = Promise.withResolvers()
      settled = compared.promise
    },

    /** To be compared only once it is known what Redis lost. */
    awaitsRefill: (coverage: Coverage): boolean => compared !== undefined && known.awaitsRefill(coverage),

    /** Compares with what Redis says (after a link event, and by the slow sweep); heals when it differs. */
    check(now: Head, coverage: Coverage): void {
      if (closed || (held && !compared)) return
      // Of a room without a message its position tells nothing.
      const isSame = sameHead(now, head) && (now.position !== undefined || !deaf || !known.mayLack(coverage))
      if (isSame) {
        deaf = stale
        known.takeFences(coverage, true)
        if (compared) release()
      } else heal()
      compared?.resolve()
      compared = undefined
    },

    /** Of the last entry that came. */
    position: () => head.position,

    /** Resume from here to miss nothing from now on. */
    lastMessageId: (): string => known.idAt(head),

    /** Live from now on. What is still to be told was missed by those who were here before. */
    enter(member: Member): void {
      if (gap !== undefined) gap = 'unknown'
      audience.add(member)
    },

    /** Collects every delivery from now on, until `letGo`. */
    hold(): Hold {
      const hold: Hold = { deliveries: [], overflowed: false }
      holds.add(hold)
      return hold
    },

    letGo(hold: Hold): void {
      holds.delete(hold)
    },

    close(): void {
      closed = true
      compared?.resolve()
      feed.unfollow(name)
    }
  }
}
