import type { Delivery, Gap, Slow } from '../message.ts'
import type { Metrics } from '../metrics.ts'
import { addGap } from '../proof.ts'
import type { Member } from './fanout.ts'

// Members of one channel that read, or acknowledge, too slowly on a route that does not close them for it. They have left their
// families: a flush costs a laggard an addition, whatever it holds. Half of its bound must be free before it gets on, and what
// it gets first tells what it missed.

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

interface Lag {
  missed: Gap
  /** What `conflate` still gives to it; in `missed` as well. */
  latest: Delivery | undefined
}

export function createLaggards(
  { policy, bytes }: Exclude<Slow, { policy: 'close' }>,
  { handAlone, rejoin, metrics }: LaggardsDeps
): Laggards {
  const lags = new Map<Member, Lag>()
  const conflates = policy === 'conflate'

  function catches(member: Member, deliveries: Delivery[]): boolean {
    const { transport, window } = member
    const room = transport.queuedBytes > bytes ? 0 : window ? Math.max(window.room, 0) : deliveries.length
    if (room >= deliveries.length) return false
    if (room > 0) {
      handAlone(member, deliveries.slice(0, room))
      metrics.deliveries.inc(room)
    }
    const missed = deliveries.slice(room)
    lags.set(member, { missed: weigh(missed), latest: latestOf(missed) })
    metrics.slowSkips.inc({ policy }, conflates ? missed.length - 1 : missed.length)
    if (conflates) awaitRoom(member)
    return true
  }

  function isReady({ transport, window }: Member): boolean {
    return transport.queuedBytes <= bytes / 2 && (!window || window.halfFree)
  }

  /** The latest must not wait for a message after it. */
  function awaitRoom(member: Member): void {
    const { transport, window } = member
    const look = () => {
      const lag = lags.get(member)
      if (!lag?.latest) return
      if (!isReady(member)) return awaitRoom(member)
      lags.delete(member)
      handAlone(member, [asLatest(lag.latest, lag.missed)])
      metrics.deliveries.inc()
      rejoin(member)
    }
    if (transport.queuedBytes > bytes / 2) transport.whenSent(look)
    else window?.whenHalfFree(look)
  }

  function latestOf(deliveries: Delivery[]): Delivery | undefined {
    return conflates ? deliveries.at(-1) : undefined
  }

  return {
    get size() {
      return lags.size
    },

    catches,

    pass(deliveries) {
      const caughtUp: Member[] = []
      if (lags.size === 0) return caughtUp
      const weight = weigh(deliveries)
      const latest = latestOf(deliveries)
      let skips = 0
      for (const [member, lag] of lags) {
        if (conflates || !isReady(member)) {
          lag.missed = addGap(lag.missed, weight)
          lag.latest = latest
          skips += deliveries.length
          continue
        }
        const told = deliveries.map((each, i) => (i > 0 ? each : { ...each, gap: addGap(lag.missed, each.gap) }))
        if (catches(member, told)) continue
        handAlone(member, told)
        caughtUp.push(member)
      }
      metrics.slowSkips.inc({ policy }, skips)
      for (const member of caughtUp) lags.delete(member)
      return caughtUp
    },

    delete: member => lags.delete(member)
  }
}

/** How many messages one misses who gets none of these. */
function weigh(deliveries: Delivery[]): Gap {
  return deliveries.reduce((sum: Gap, { gap }) => addGap(sum, gap), deliveries.length)
}

/** @param missed with this one. */
function asLatest({ message, id }: Delivery, missed: Gap): Delivery {
  const gap = missed === 'unknown' ? missed : missed - 1
  return gap === 0 ? { message, id } : { message, id, gap }
}
