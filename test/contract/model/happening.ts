import type { World } from './world.ts'

/** One thing that may happen. Each names the invariant it tries. */
export interface Happening {
  /** Out of the sum of all. */
  weight: number
  /** @returns false when there was nothing for it to happen to. */
  happen(world: World): unknown
}

export type Happenings = Record<string, Happening>
