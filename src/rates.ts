import { BatonError } from './errors.ts'

// SENDs of one sender are bounded by token buckets: one for all of them, one for each route that asks for it. A bucket is one
// number, the time when it will be full again; so it needs no timer, and nothing to be counted while nobody sends.

export interface Rate {
  /** Regained each second; 0: no bound. */
  perSecond: number
  /** At once, after a while without any. */
  burst: number
}

/**
 * Takes one SEND off, of whichever size.
 * @param own of its route; absent: none.
 * @throws BatonError RATE_LIMITED, which says when the next may come. Nothing was taken then.
 */
export type Allowance = (route: string, own: Rate | undefined) => void

/** Of this many senders the buckets are remembered; who has not sent for the longest begins anew. */
const MOST_SENDERS = 10_000
/** What adding fractions may be off by. */
const ROUNDING_MS = 0.001

/** @param now milliseconds, never backwards. */
export function createAllowance(all: Rate, now: () => number = () => performance.now()): Allowance {
  let fullMs = 0
  const routes = new Map<string, number>()

  return (route, own) => {
    const nowMs = now()
    const routeFullMs = routes.get(route) ?? 0
    const waitsMs = { all: waitMs(all, fullMs, nowMs), own: own ? waitMs(own, routeFullMs, nowMs) : 0 }
    const retryAfterMs = Math.max(waitsMs.all, waitsMs.own)
    if (retryAfterMs > ROUNDING_MS) {
      const [{ perSecond, burst }, setting] =
        own && waitsMs.own > waitsMs.all
          ? [own, `routes.${route}.send.rate`]
          : [all, 'stomp.sendsPerSecond, stomp.sendBurst']
      const detail = `${perSecond} a second may be sent, ${burst} at once (${setting})`
      throw new BatonError('RATE_LIMITED', detail, { retryAfterMs: retryAfterMs - ROUNDING_MS })
    }
    if (all.perSecond > 0) fullMs = Math.max(fullMs, nowMs) + 1000 / all.perSecond
    if (own) routes.set(route, Math.max(routeFullMs, nowMs) + 1000 / own.perSecond)
  }
}

/** Until a bucket that will be full then holds a whole SEND; not above 0: it does. */
function waitMs({ perSecond, burst }: Rate, fullMs: number, nowMs: number): number {
  return perSecond === 0 ? 0 : Math.max(fullMs - nowMs, 0) - ((burst - 1) * 1000) / perSecond
}

/** Allowances of senders that no session holds. */
export function createAllowances(all: Rate): (sender: string) => Allowance {
  const senders = new Map<string, Allowance>()
  return sender => {
    const allowance = senders.get(sender) ?? createAllowance(all)
    senders.delete(sender)
    senders.set(sender, allowance)
    if (senders.size > MOST_SENDERS) senders.delete(senders.keys().next().value as string)
    return allowance
  }
}
