import type { EventEmitter } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'

type What = string | (() => string)

export interface Waiting {
  /** Milliseconds until it is given up; default 10 s. */
  deadlineMs?: number
  /** Milliseconds between two looks; default 10. */
  everyMs?: number
  /** What is waited for, as the error tells it; a function is called only then. */
  what: What
}

const POLL_MS = 10
const DEADLINE_MS = 10_000

/**
 * Polls until the condition gives something truthy, and returns that.
 * @throws at the deadline, saying what was waited for and, if the condition threw, why.
 */
export async function waitFor<T>(
  condition: () => T | Promise<T>,
  { deadlineMs = DEADLINE_MS, everyMs = POLL_MS, what }: Waiting
): Promise<NonNullable<T>> {
  const end = performance.now() + deadlineMs
  let cause: unknown
  do {
    try {
      const value = await condition()
      if (value) return value
      cause = undefined
    } catch (error) {
      cause = error
    }
    await delay(everyMs)
  } while (performance.now() < end)
  throw late(deadlineMs, what, cause)
}

/** Settles as the promise does. @throws when it has not by then. */
export async function deadline<T>(promise: Promise<T>, ms: number, what: What): Promise<T> {
  const { promise: expired, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(() => reject(late(ms, what)), ms)
  try {
    return await Promise.race([promise, expired])
  } finally {
    clearTimeout(timer)
  }
}

/** The arguments of the emitter's next event of that name. */
export async function once(
  emitter: EventEmitter,
  event: string,
  { deadlineMs = DEADLINE_MS, what }: Waiting
): Promise<unknown[]> {
  const { promise, resolve } = Promise.withResolvers<unknown[]>()
  const listener = (...values: unknown[]) => resolve(values)
  emitter.once(event, listener)
  try {
    return await deadline(promise, deadlineMs, what)
  } finally {
    emitter.off(event, listener)
  }
}

function late(ms: number, what: What, cause?: unknown): Error {
  return new Error(`not within ${ms} ms: ${typeof what === 'string' ? what : what()}`, { cause })
}
