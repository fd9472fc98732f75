import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { scenarios } from '../bench/catalog.ts'
import { compare } from '../bench/compare.ts'
import { createFigures, type Figure, median, spread } from '../bench/figures.ts'
import { type Goal, judge } from '../bench/goals.ts'
import { type Plot, plot } from '../bench/plot.ts'
import { changes, table, verdicts } from '../bench/table.ts'
import { run, temporaryFolder } from '../support/processes.ts'

const ROOT = join(import.meta.dirname, '../..')

const figure = (contender: string, rounds: number[], more: Partial<Figure> = {}): Figure => ({
  scenario: 'fan-out',
  work: 'window 1',
  contender,
  unit: 'deliveries/CPU-s',
  rounds,
  ...more
})

describe('the figures of the bench', () => {
  test('are gathered round by round under their names', () => {
    const { all, add } = createFigures()
    const { rounds, ...name } = figure('Baton', [3, 5, 4])
    for (const value of rounds) add(name, value)
    add({ ...name, unit: 'p50 ms' }, 1)
    assert.deepEqual(all, [figure('Baton', [3, 5, 4]), figure('Baton', [1], { unit: 'p50 ms' })])
  })

  test('have a median and a spread', () => {
    assert.equal(median([5, 1, 3]), 3)
    assert.equal(median([4, 1, 2, 3]), 2.5)
    assert.equal(spread([9, 10, 12]), 0.3)
    assert.equal(spread([0, 0]), 0)
  })

  test('are a table of works and contenders', () => {
    const figures = [
      figure('Baton', [1000, 1100, 1200]),
      figure('ceiling', [2000]),
      figure('Baton', [5], { work: 'w2' })
    ]
    const lines = [
      'fan-out, deliveries/CPU-s',
      '                Baton    ceiling',
      '  window 1  1,100 ±9%  2,000 ±0%',
      '  w2            5 ±0%'
    ]
    assert.equal(table(figures), lines.join('\n'))
  })
})

describe('a goal of the bench', () => {
  const of = { scenario: 'fan-out', work: 'window 1', contender: 'Baton', unit: 'deliveries/CPU-s' }
  const figures = [figure('Baton', [90, 60, 99]), figure('ceiling', [100, 50, 100])]
  const judged = (goal: Partial<Goal>) => judge([{ of, ...goal }], figures).map(({ value, met }) => [value, met])

  test('is held to the median of what each round gave', () => {
    assert.deepEqual(judged({ against: { contender: 'ceiling' }, atLeast: 0.9 }), [[0.99, true]])
    assert.deepEqual(judged({ against: { contender: 'ceiling' }, atLeast: 1 }), [[0.99, false]])
    assert.deepEqual(judged({ against: { contender: 'ceiling' }, as: 'difference', atMost: -2 }), [[-1, false]])
    assert.deepEqual(judged({ atMost: 90 }), [[90, true]])
  })

  test('is left out where its figures are missing', () => {
    assert.deepEqual(judged({ against: { contender: 'Spring' } }), [])
    assert.deepEqual(judged({ of: { ...of, scenario: 'relay' } }), [])
  })

  test('says what it asks and what was measured', () => {
    const goal = { of, against: { contender: 'ceiling' }, atLeast: 1 }
    assert.equal(verdicts(judge([goal], figures)), '  MISSED  fan-out, window 1: Baton / ceiling  0.99  ≥ 1')
  })
})

describe('the comparison of two runs', () => {
  const moved = (before: Figure[], after: Figure[]) =>
    compare(before, after).map(({ name, before, after, better }) => [name.contender, before, after, better])

  test('tells what lies outside of the rounds before', () => {
    const before = [figure('Baton', [100, 101, 102])]
    assert.deepEqual(moved(before, [figure('Baton', [110, 111, 112])]), [['Baton', 101, 111, true]])
    assert.deepEqual(moved(before, [figure('Baton', [90, 91, 92])]), [['Baton', 101, 91, false]])
  })

  test('keeps quiet about noise and about little', () => {
    assert.deepEqual(moved([figure('Baton', [100, 130, 102])], [figure('Baton', [120, 150, 140])]), [])
    assert.deepEqual(moved([figure('Baton', [100, 101, 102])], [figure('Baton', [103, 104, 105])]), [])
    assert.deepEqual(moved([], [figure('Baton', [1])]), [])
  })

  test('takes less for better where the unit says so', () => {
    const unit = 'p50 ms'
    const [before, after] = [figure('Baton', [10], { unit }), figure('Baton', [5], { unit })]
    assert.deepEqual(moved([before], [after]), [['Baton', 10, 5, true]])
  })

  test('takes off what the others moved by', () => {
    const before = [figure('Baton', [100]), figure('ceiling', [200])]
    assert.deepEqual(moved(before, [figure('Baton', [50]), figure('ceiling', [100])]), [['ceiling', 200, 100, false]])
    const after = [figure('Baton', [100]), figure('ceiling', [100])]
    assert.deepEqual(moved(before, after)[0], ['Baton', 100, 200, true])
  })

  test('is a line for each', () => {
    const lines = changes(compare([figure('Baton', [100])], [figure('Baton', [80])]))
    assert.equal(lines, '  WORSE  fan-out, window 1: Baton, deliveries/CPU-s  100 → 80  -20%')
  })
})

describe('a plot of the bench', () => {
  const wanted: Plot = {
    title: 'a < b',
    scenario: 'fan-out',
    unit: 'deliveries/CPU-s',
    works: [
      ['1', 'window 1'],
      ['4', 'w4']
    ]
  }

  test('has a line for each contender, higher where there is more', () => {
    const svg = plot(wanted, [figure('Baton', [10]), figure('Baton', [1000], { work: 'w4' })]) ?? ''
    assert.match(svg, /points="70\.0,326\.0 570\.0,44\.0"/)
    assert.match(svg, />Baton</)
    assert.match(svg, />a &#60; b</)
  })

  test('puts names under each other that would lie on each other', () => {
    const figures = ['Baton', 'ceiling'].flatMap(name => [figure(name, [10]), figure(name, [100], { work: 'w4' })])
    const tops = [...(plot(wanted, figures) ?? '').matchAll(/y="([\d.]+)" style/g)].map(([, top]) => Number(top))
    assert.deepEqual(tops, [48, 63])
  })

  test('is not drawn of half a run', () => {
    assert.equal(plot(wanted, [figure('Baton', [10])]), undefined)
  })
})

describe('the bench', () => {
  test('says in docs/performance.md what each scenario does', () => {
    const page = readFileSync(join(ROOT, 'docs/performance.md'), 'utf8')
    const told = [...page.matchAll(/^\| `([\w-]+)` +\|/gm)].map(([, name]) => name)
    assert.deepEqual(
      told,
      scenarios.map(({ name }) => name)
    )
  })

  test('measures a scenario, judges its goals and writes its figures', async () => {
    const json = join(temporaryFolder('baton-bench'), 'figures.json')
    const options = ['--short', '--rounds', '1', '--only', 'decode', '--json', json]
    const told = await run({ command: process.execPath, args: ['test/bench/main.ts', ...options], cwd: ROOT })
    const { figures } = JSON.parse(readFileSync(json, 'utf8')) as { figures: Figure[] }
    assert.deepEqual(
      figures.map(({ work, contender }) => [work, contender]),
      ['1 in a chunk', '100 in a chunk'].flatMap(work => [
        [work, 'Baton'],
        [work, 'stompit']
      ])
    )
    assert.match(told, /decode, 1 in a chunk: Baton \/ stompit/)
  })
})
