export const INVARIANTS = ['I1', 'I2', 'I3', 'I4', 'I5', 'I6', 'I7', 'I8', 'I9'] as const

/** A deliberate mistake that breaks one invariant of docs/guarantees.md. */
export interface Mutant {
  name: string
  invariant: (typeof INVARIANTS)[number]
  /** What the mistake is. */
  breaks: string
  /** Where: `find` is there exactly once. */
  file: string
  find: string
  replace: string
  /** On which of them the model meets it. Memory is faster. */
  server: 'memory' | 'Redis'
}
