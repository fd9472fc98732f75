import type { Delivery, Gap, Slow } from '../message.ts'
import type { Metrics } from '../metrics.ts'
import { addGap } from '../proof.ts'
import type { Member } from './family.ts'

// Members of one channel that read, or acknowledge, too slowly on a route that does not close them for it. They have left their
// families, and cost a flush nothing, however many they are. What they get first, once they have read, tells what they missed.

export interface Laggards {
  readonly size: number
  /** @returns whether the member has no room for all of these. Then it got those that it has room for, and is a laggard. */
  catches(member: Member, deliveries: Delivery[]): boolean
  /** To be told of all that comes, before the others get it. @returns who got it all and lags no more. */
  pass(deliveries: Delivery[]): Member[]
  delete(member: Member): boolean
}

interface LaggardsDeps {
  /** Sends to one member what no other gets. */
  handAlone(member: Member, deliveries: Delivery[]): void
  /** The member gets what comes from now on like all others. */
  rejoin(member: Member): void
  metrics: Metrics
}

/** So many messages, and so many holes of which nobody knows how many they were. */
interface Tally {
  messages: number
  unknowns: number
}

export function createLaggards(
  { policy, bytes }: Exclude<Slow, { policy: 'close' }>,
  { handAlone, rejoin, metrics }: LaggardsDeps
): Laggards {
  /** What had come when a laggard got its last one. */
  const lags = new Map<Member, Tally>()
  const conflates = policy === 'conflate'
  /** What came while anyone lags. */
  let come: Tally = { messages: 0, unknowns: 0 }
  let latest: Delivery | undefined
  /** Of `drop`: those with room for the next message. */
  let ready: Member[] = []

  function catches(member: Member, deliveries: Delivery[]): boolean {
    const { transport, window } = member
    const room = transport.queuedBytes > bytes ? 0 : window ? Math.max(window.room, 0) : deliveries.length
    if (room >= deliveries.length) return false
    if (room > 0) {
      handAlone(member, deliveries.slice(0, room))
      metrics.deliveries.inc(room)
    }
    const missed = deliveries.slice(room)
    const { messages, unknowns } = tallyOf(missed)
    lags.set(member, { messages: come.messages - messages, unknowns: come.unknowns - unknowns })
    metrics.slowSkips.inc({ policy }, conflates ? missed.length - 1 : missed.length)
    if (conflates) latest = missed.at(-1)
    awaitRoom(member)
    return true
  }

  function awaitRoom(member: Member): void {
    const { transport, window } = member
    const isFull = () => transport.queuedBytes > bytes / 2
    const look = () => {
      const lag = lags.get(member)
      if (!lag) return
      if (isFull() || window?.halfFree === false) awaitRoom(member)
      else if (latest) giveLatest(member, latest, lag)
      else ready.push(member)
    }
    if (isFull()) transport.whenSent(look)
    else window?.whenHalfFree(look)
  }

  /** It must not wait for a message after it. */
  function giveLatest(member: Member, { message, id }: Delivery, lag: Tally): void {
    forget(member)
    const missed = missedSince(lag)
    const gap = missed === 'unknown' ? missed : missed - 1
    handAlone(member, [gap === 0 ? { message, id } : { message, id, gap }])
    metrics.deliveries.inc()
    rejoin(member)
  }

  function missedSince({ messages, unknowns }: Tally): Gap {
    return come.unknowns > unknowns ? 'unknown' : come.messages - messages
  }

  function forget(member: Member): boolean {
    const lagged = lags.delete(member)
    if (lags.size === 0) {
      latest = undefined
      ready = []
    }
    return lagged
  }

  return {
    get size() {
      return lags.size
    },

    catches,

    pass(deliveries) {
      if (lags.size === 0) return []
      const due = ready.flatMap(member => {
        const lag = lags.get(member)
        return lag ? [{ member, told: tell(deliveries, missedSince(lag)) }] : []
      })
      ready = []
      const { messages, unknowns } = tallyOf(deliveries)
      come = { messages: come.messages + messages, unknowns: come.unknowns + unknowns }
      if (conflates) latest = deliveries.at(-1)
      metrics.slowSkips.inc({ policy }, deliveries.length * (lags.size - due.length))
      return due.flatMap(({ member, told }) => {
        if (catches(member, told)) return []
        forget(member)
        handAlone(member, told)
        return [member]
      })
    },

    delete: forget
  }
}

function tallyOf(deliveries: Delivery[]): Tally {
  let messages = deliveries.length
  let unknowns = 0
  for (const { gap = 0 } of deliveries) {
    if (gap === 'unknown') unknowns++
    else messages += gap
  }
  return { messages, unknowns }
}

/** The same, the first of them after a hole. */
function tell([first, ...rest]: Delivery[], missed: Gap): Delivery[] {
  return first ? [{ ...first, gap: addGap(missed, first.gap) }, ...rest] : []
}
