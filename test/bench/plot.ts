import { type Figure, median } from './figures.ts'
import { DELIVERIES, SHAPES, WINDOWS, workOf } from './scenarios/fan-out.ts'

export interface Plot {
  title: string
  scenario: string
  unit: string
  /** From left to right, each with its label. */
  works: [label: string, work: string][]
}

/** Those that the documents show, by file name. */
export const PLOTS: Record<string, Plot> = Object.fromEntries(
  Object.entries(SHAPES).map(([scenario, [rooms, members]]) => [
    `${scenario}.svg`,
    {
      title: `${rooms} × ${members.toLocaleString('en')}: deliveries per CPU-second`,
      scenario,
      unit: DELIVERIES,
      works: WINDOWS.map(window => [`${window} in flight`, workOf(window, 'shared')])
    }
  ])
)

const WIDTH = 720
const HEIGHT = 360
const LEFT = 70
const RIGHT = 150
const TOP = 44
const BOTTOM = 34
const LABEL_GAP = 15
const COLORS = ['#e8590c', '#868e96', '#1c7ed6', '#2f9e44', '#9c36b5', '#f08c00']
const STYLE =
  'text{font:12px system-ui,sans-serif;fill:#212529}.title{font-size:14px;font-weight:600}.grid{stroke:#dee2e6}' +
  '@media(prefers-color-scheme:dark){text{fill:#e9ecef}.grid{stroke:#495057}}'

/** A line for each contender over the works, on a logarithmic scale. Undefined where a work was not measured. */
export function plot({ title, scenario, unit, works }: Plot, figures: Figure[]): string | undefined {
  const ours = figures.filter(figure => figure.scenario === scenario && figure.unit === unit)
  const lines = [...new Set(ours.map(({ contender }) => contender))].map((contender, index) => ({
    contender,
    color: COLORS[index % COLORS.length] as string,
    values: works.map(([, work]) => {
      const figure = ours.find(figure => figure.work === work && figure.contender === contender)
      return figure ? median(figure.rounds) : Number.NaN
    })
  }))
  const all = lines.flatMap(({ values }) => values)
  if (all.length === 0 || all.some(Number.isNaN)) return undefined

  const low = Math.floor(Math.log10(Math.min(...all)))
  const high = Math.ceil(Math.log10(Math.max(...all)))
  const x = (index: number) => LEFT + (index * (WIDTH - LEFT - RIGHT)) / Math.max(1, works.length - 1)
  const y = (value: number) =>
    HEIGHT - BOTTOM - ((Math.log10(value) - low) * (HEIGHT - TOP - BOTTOM)) / Math.max(1, high - low)

  const decades = Array.from({ length: high - low + 1 }, (_, i) => 10 ** (low + i))
  const grid = decades.map(
    value =>
      `<line class="grid" x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${at(y(value))}" y2="${at(y(value))}"/>` +
      `<text x="${LEFT - 8}" y="${at(y(value) + 4)}" text-anchor="end">${value.toLocaleString('en', { notation: 'compact' })}</text>`
  )
  const labels = works.map(
    ([label], index) => `<text x="${at(x(index))}" y="${HEIGHT - 10}" text-anchor="middle">${escaped(label)}</text>`
  )
  const drawn = lines.map(({ color, values }) => {
    const points = values.map((value, index) => `${at(x(index))},${at(y(value))}`)
    return `<polyline fill="none" stroke="${color}" stroke-width="2.5" points="${points.join(' ')}"/>`
  })
  const names = apart(lines.map(({ values }) => y(values.at(-1) as number))).map((top, index) => {
    const { contender, color } = lines[index] as (typeof lines)[number]
    return `<text x="${WIDTH - RIGHT + 8}" y="${at(top + 4)}" style="fill:${color}">${escaped(contender)}</text>`
  })
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${escaped(title)}">`,
    `<style>${STYLE}</style>`,
    `<text class="title" x="${LEFT}" y="22">${escaped(title)}</text>`,
    ...grid,
    ...labels,
    ...drawn,
    ...names,
    '</svg>\n'
  ].join('\n')
}

/** The same heights, moved down where two names would lie on each other. */
function apart(tops: number[]): number[] {
  const moved = [...tops]
  let last = Number.NEGATIVE_INFINITY
  for (const index of tops.map((_, i) => i).sort((a, b) => (tops[a] as number) - (tops[b] as number))) {
    last = Math.max(last + LABEL_GAP, tops[index] as number)
    moved[index] = last
  }
  return moved
}

const at = (pixels: number): string => pixels.toFixed(1)

const escaped = (text: string): string => text.replace(/[&<>"]/g, character => `&#${character.charCodeAt(0)};`)
