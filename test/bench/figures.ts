/** What one contender did at one piece of work, once a round. */
export interface Figure {
  scenario: string
  work: string
  contender: string
  unit: string
  rounds: number[]
}

export type FigureName = Omit<Figure, 'rounds'>

export const sameName = (a: FigureName, b: FigureName): boolean =>
  a.scenario === b.scenario && a.work === b.work && a.contender === b.contender && a.unit === b.unit

/** Rates are good when they are high, all other units when they are low. */
export const higherIsBetter = (unit: string): boolean => /\/(?:CPU-)?s$/.test(unit)

export function median(values: number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length / 2
  const [low, high] = [sorted[Math.ceil(middle) - 1], sorted[Math.floor(middle)]]
  return low === undefined || high === undefined ? Number.NaN : (low + high) / 2
}

/** How far the rounds lie apart, as a part of their median. */
export function spread(values: number[]): number {
  const range = Math.max(...values) - Math.min(...values)
  return range === 0 ? 0 : range / median(values)
}

export interface Figures {
  readonly all: Figure[]
  /** Adds one round. */
  add(name: FigureName, value: number): void
}

export function createFigures(): Figures {
  const all: Figure[] = []
  return {
    all,
    add(name, value) {
      const figure = all.find(known => sameName(known, name))
      if (figure) figure.rounds.push(value)
      else all.push({ ...name, rounds: [value] })
    }
  }
}
