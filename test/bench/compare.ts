import { type Figure, type FigureName, higherIsBetter, median, sameName } from './figures.ts'

/** A figure that moved between two runs by more than its rounds lie apart. */
export interface Change {
  name: FigureName
  before: number
  /** As it would be on the machine as it was before. */
  after: number
  better: boolean
}

/** What is less is not worth telling. */
const LEAST = 0.05
const OURS = 'Baton'

/**
 * What moved beyond noise: no round of one run lies among those of the other. The machine is never the same twice, so what
 * the others of a scenario moved by, in the median, is taken off first; where there are no others, nothing is.
 */
export function compare(before: Figure[], after: Figure[]): Change[] {
  return after.flatMap(figure => {
    const old = before.find(known => sameName(known, figure))
    if (!old) return []
    const drift = driftOf(figure, before, after)
    const rounds = figure.rounds.map(value => value / drift)
    const [was, is] = [median(old.rounds), median(rounds)]
    const up = Math.min(...rounds) > Math.max(...old.rounds)
    const down = Math.max(...rounds) < Math.min(...old.rounds)
    if (!(up || down) || Math.abs(is / was - 1) < LEAST) return []
    const { scenario, work, contender, unit } = figure
    return [{ name: { scenario, work, contender, unit }, before: was, after: is, better: up === higherIsBetter(unit) }]
  })
}

function driftOf({ scenario, unit, contender }: Figure, before: Figure[], after: Figure[]): number {
  // What the others did says nothing of them.
  if (contender !== OURS) return 1
  const others = after.filter(other => other.scenario === scenario && other.unit === unit && other.contender !== OURS)
  const ratios = others.flatMap(other => {
    const old = before.find(known => sameName(known, other))
    return old ? [median(other.rounds) / median(old.rounds)] : []
  })
  return ratios.length > 0 ? median(ratios) : 1
}
