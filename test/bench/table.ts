import type { Change } from './compare.ts'
import { type Figure, median, spread } from './figures.ts'
import type { Goal, Verdict } from './goals.ts'

/** One block for each scenario and unit: a row for each work, a column for each contender, the median ± half the spread. */
export function table(figures: Figure[]): string {
  const blocks = Map.groupBy(figures, ({ scenario, unit }) => `${scenario}, ${unit}`)
  return [...blocks].map(([title, block]) => `${title}\n${grid(block)}`).join('\n\n')
}

function grid(figures: Figure[]): string {
  const contenders = [...new Set(figures.map(({ contender }) => contender))]
  const works = [...new Set(figures.map(({ work }) => work))]
  const cellOf = (work: string, contender: string) => {
    const figure = figures.find(figure => figure.work === work && figure.contender === contender)
    return figure ? `${number(median(figure.rounds))} ±${Math.round(spread(figure.rounds) * 50)}%` : ''
  }
  const rows = works.map(work => [work, ...contenders.map(contender => cellOf(work, contender))])
  return align([['', ...contenders], ...rows])
}

/** A line for each goal: what it asks, what was measured. */
export function verdicts(judged: Verdict[]): string {
  return align(
    judged.map(({ goal, value, met }) => [met ? 'met' : 'MISSED', nameOf(goal), number(value), boundOf(goal)])
  )
}

/** A line for each figure that moved. */
export function changes(moved: Change[]): string {
  return align(
    moved.map(({ name: { scenario, work, contender, unit }, before, after, better }) => [
      better ? 'better' : 'WORSE',
      `${scenario}, ${work}: ${contender}, ${unit}`,
      `${number(before)} → ${number(after)}`,
      `${after > before ? '+' : ''}${Math.round((after / before - 1) * 100)}%`
    ])
  )
}

function nameOf({ of, against, as = 'ratio' }: Goal): string {
  const name = `${of.scenario}, ${of.work}: ${of.contender}`
  if (!against) return `${name}, ${of.unit}`
  const sign = as === 'ratio' ? '/' : '−'
  return `${name} ${sign} ${[against.contender, against.work, against.unit].filter(Boolean).join(', ')}`
}

function boundOf({ atLeast, atMost }: Goal): string {
  const bounds = [atLeast !== undefined && `≥ ${number(atLeast)}`, atMost !== undefined && `≤ ${number(atMost)}`]
  return bounds.filter(Boolean).join(', ')
}

/** Three digits that count, and thousands in commas. */
export function number(value: number): string {
  return value.toLocaleString('en', { maximumSignificantDigits: 3 })
}

function align(rows: string[][]): string {
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map(row => row[column]?.length ?? 0))) ?? []
  const line = (row: string[]) =>
    row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0)))
  return rows.map(row => `  ${line(row).join('  ')}`.trimEnd()).join('\n')
}
