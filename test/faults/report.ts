import { PEAK_MIB, type Report } from './scenario.ts'

type Column = [title: string, of: (report: Report) => string | number]

const COLUMNS: Column[] = [
  ['scenario', ({ name }) => name],
  ['records', ({ records }) => records],
  ['deliveries', ({ deliveries }) => deliveries],
  ['lost', ({ lost }) => lost],
  ['doubled', ({ doubled }) => doubled],
  ['reordered', ({ reordered }) => reordered],
  ['silent', ({ silent }) => silent],
  ['told', ({ told }) => told],
  ['unwritten', ({ unwritten }) => unwritten],
  ['recovery', ({ recoveryMs }) => `${(recoveryMs / 1000).toFixed(1)} s`],
  [`peak (at most ${PEAK_MIB})`, ({ peakMiB }) => `${Math.max(0, ...peakMiB)} MiB`],
  ['took', ({ tookMs }) => `${Math.round(tookMs / 1000)} s`],
  ['holds', ({ faults }) => (faults.length === 0 ? 'yes' : 'NO')]
]

/** One line for each report, below a line of titles; with more than one, the sums at the end. */
export function table(reports: Report[]): string {
  const rows = [COLUMNS.map(([title]) => title), ...reports.map(report => COLUMNS.map(([, of]) => `${of(report)}`))]
  if (reports.length > 1) rows.push(COLUMNS.map(([title, of]) => sum(title, reports.map(of))))
  const widths = COLUMNS.map((_, index) => Math.max(...rows.map(row => row[index]?.length ?? 0)))
  const pad = (cell: string, index: number) =>
    index === 0 ? cell.padEnd(widths[index] as number) : cell.padStart(widths[index] as number)
  return rows.map(row => row.map(pad).join('  ')).join('\n')
}

function sum(title: string, cells: (string | number)[]): string {
  if (title === 'scenario') return `${cells.length} scenarios`
  const numbers = cells.filter(cell => typeof cell === 'number')
  return numbers.length > 0 ? `${numbers.reduce((total, cell) => total + cell, 0)}` : ''
}
