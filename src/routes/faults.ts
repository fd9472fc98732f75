import type { Fault } from '../config/faults.ts'

/** Gathers what is wrong with one part of the configuration, so that all of it is told at once. */
export interface Faults {
  readonly found: Fault[]
  /** Runs a compilation; its error becomes a fault at `path`, and there is no result. */
  attempt<T>(path: string, compile: () => T): T | undefined
}

/** @param at what every path begins with, such as `routes.chat`. */
export function collectFaults(at: string): Faults {
  const found: Fault[] = []
  return {
    found,
    attempt(path, compile) {
      try {
        return compile()
      } catch (error) {
        found.push({ path: `${at}.${path}`, message: (error as Error).message })
        return undefined
      }
    }
  }
}
