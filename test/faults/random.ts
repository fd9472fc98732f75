import { createHash } from 'node:crypto'

/** Chance that a seed repeats. */
export interface Random {
  /** A whole number, `from` and `to` included. */
  between(from: number, to: number): number
  of<T>(list: readonly T[]): T
}

export function createRandom(seed: string): Random {
  let count = 0
  const next = (below: number): number =>
    createHash('sha256').update(`${seed} ${count++}`).digest().readUInt32BE() % below
  return {
    between: (from, to) => from + next(to - from + 1),
    of<T>(list: readonly T[]) {
      return list[next(list.length)] as T
    }
  }
}
