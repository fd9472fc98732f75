import { type Figure, type FigureName, median, sameName } from './figures.ts'
import { DELIVERIES, IDS, workOf } from './scenarios/fan-out.ts'

/** What a figure is held to; beside another figure of the same run, round by round, where there is one. */
export interface Goal {
  of: FigureName
  /** What differs in the name of the other figure. */
  against?: Partial<FigureName>
  /** What is done with the other one; default: divide by it. */
  as?: 'ratio' | 'difference'
  atLeast?: number
  atMost?: number
}

export interface Verdict {
  goal: Goal
  /** Median of the rounds. */
  value: number
  met: boolean
}

const fanOut = (scenario: string, windows: number[], contender: string, atLeast: number): Goal[] =>
  windows.flatMap(window =>
    IDS.map(id => ({
      of: { scenario, work: workOf(window, id), contender: 'Baton', unit: DELIVERIES },
      against: { contender },
      atLeast
    }))
  )

export const GOALS: Goal[] = [
  ...fanOut('fan-out-1x1000', [1, 4, 32], 'ceiling', 0.9),
  ...fanOut('fan-out-100x10', [1, 4, 32], 'ceiling', 0.85),
  ...fanOut('fan-out-1x1000', [32], 'stomp-broker-js', 25),
  ...fanOut('fan-out-1x1000', [32], 'Spring', 40)
]

/** Of the goals whose figures are there. */
export function judge(goals: Goal[], figures: Figure[]): Verdict[] {
  const find = (name: FigureName) => figures.find(figure => sameName(figure, name))
  return goals.flatMap(goal => {
    const { of, against, as = 'ratio', atLeast = Number.NEGATIVE_INFINITY, atMost = Number.POSITIVE_INFINITY } = goal
    const figure = find(of)
    const other = against && find({ ...of, ...against })
    if (!figure || (against && !other)) return []
    const values = figure.rounds.map((value, round) => {
      const beside = other?.rounds[round]
      if (beside === undefined) return value
      return as === 'ratio' ? value / beside : value - beside
    })
    const value = median(values)
    return [{ goal, value, met: value >= atLeast && value <= atMost }]
  })
}
