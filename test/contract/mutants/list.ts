import type { Mutant } from './mutant.ts'
import { READERS } from './readers.ts'
import { WRITERS } from './writers.ts'

/** By invariant. */
export const MUTANTS: Mutant[] = [...WRITERS, ...READERS].sort((a, b) => a.invariant.localeCompare(b.invariant))
