import { type Figure, type FigureName, median, sameName } from './figures.ts'
import { DELIVERIES, IDS, workOf } from './scenarios/fan-out.ts'
import { CONNECTIONS, ROOMS } from './scenarios/scale.ts'
import { ALONE, SLOW } from './scenarios/slow-readers.ts'

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

const baton = (scenario: string, work: string, unit: string): FigureName => ({
  scenario,
  work,
  contender: 'Baton',
  unit
})

const fanOut = (scenario: string, windows: number[], contender: string, atLeast: number): Goal[] =>
  windows.flatMap(window =>
    IDS.map(id => ({
      of: baton(scenario, workOf(window, id), DELIVERIES),
      against: contender === 'ceiling' ? { contender } : { contender, work: workOf(window, 'shared') },
      atLeast
    }))
  )

/** What a delivery costs is to stay within ±10 %: a rate is the inverse of that. */
const flat = (works: string[]): Goal[] =>
  works.slice(1).map(work => ({
    of: baton('scale', work, DELIVERIES),
    against: { work: works[0] as string },
    atLeast: 1 / 1.1,
    atMost: 1 / 0.9
  }))

const append = (channels: number, atMost: number): Goal => ({
  of: {
    ...baton('redis-append', `100 records over ${channels} channels`, 'µs of Redis/record'),
    contender: 'append.lua'
  },
  atMost
})

export const GOALS: Goal[] = [
  ...fanOut('fan-out-1x1000', [1, 4, 32], 'ceiling', 0.9),
  ...fanOut('fan-out-100x10', [1, 4, 32], 'ceiling', 0.85),
  ...fanOut('fan-out-1x1000', [32], 'stomp-broker-js', 25),
  ...fanOut('fan-out-1x1000', [32], 'Spring', 40),
  ...flat(ROOMS.map(rooms => `${rooms} rooms`)),
  ...flat(CONNECTIONS.map(connections => `${connections} connections`)),
  { of: baton('idle', '5000 connections', 'KiB/connection'), atMost: 11 },
  { of: baton('relay', '1 channel', 'records/CPU-s'), atLeast: 100_000 },
  { of: baton('relay', '1 channel', 'records/CPU-s'), against: { contender: 'kafkajs + JSON.parse' }, atLeast: 0.35 },
  { of: baton('relay', '1 channel, 1 partition', 'records/s'), against: { work: '1 channel' }, atLeast: 0.8 },
  append(1, 6),
  append(20, 6),
  append(100, 12),
  { of: baton('pipeline', '100 rooms × 10', 'records/CPU-s'), atLeast: 25_000 },
  { of: baton('latency', '2000 records/s × 10', 'p50 ms'), atMost: 5 },
  { of: baton('latency', '2000 records/s × 10', 'p99 ms'), atMost: 30 },
  ...SLOW.map(work => ({ of: baton('slow-readers', work, 'p99 ms'), against: { contender: ALONE }, atMost: 2 })),
  { of: baton('send-receipt', '1 at once', 'p50 ms'), against: { contender: 'kafkajs' }, as: 'difference', atMost: 2 },
  { of: baton('churn', 'one room', 'Redis SUBSCRIBEs/1,000'), atMost: 0 },
  { of: baton('storm', '5000 clients', 's until all have resumed'), atMost: 10 },
  { of: baton('decode', '1 in a chunk', 'frames/CPU-s'), against: { contender: 'stompit' }, atLeast: 3 }
]

/** Of the goals whose figures are there. */
export function judge(goals: Goal[], figures: Figure[]): Verdict[] {
  const find = (name: FigureName) => figures.find(figure => sameName(figure, name))
  return goals.flatMap(goal => {
    const { of, against, as = 'ratio', atLeast = Number.NEGATIVE_INFINITY, atMost = Number.POSITIVE_INFINITY } = goal
    const figure = find(of)
    const other = against && find({ ...of, ...against })
    if (!figure || (against && !other)) return []
    const value = median(
      figure.rounds.map((value, round) => {
        const beside = other?.rounds[round]
        if (beside === undefined) return value
        return as === 'ratio' ? value / beside : value - beside
      })
    )
    return [{ goal, value, met: value >= atLeast && value <= atMost }]
  })
}
