import { readFileSync, writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { join } from 'node:path'
import { Command } from 'commander'
import { wholeFrom } from '../support/flags.ts'
import { endWithParent } from '../support/processes.ts'
import { scenarios } from './catalog.ts'
import { compare } from './compare.ts'
import type { Figure } from './figures.ts'
import { GOALS, judge } from './goals.ts'
import { PLOTS, plot } from './plot.ts'
import { changes, table, verdicts } from './table.ts'
import { openWorld } from './world.ts'

// `npm run bench`: every scenario, one after the other, each with all its contenders in turns. Figures compare within one
// run only; they are made of the CPU time of the process that is measured, so that a busy machine shows in the spread.

const command = new Command('bench')
  .description('Measures Baton beside others at the same work. docs/performance.md says what each scenario measures.')
  .option('--only <name...>', 'these scenarios')
  .option('--rounds <n>', 'how often each contender is measured', wholeFrom(1), 3)
  .option('--short', 'a twentieth of everything: shows that it works, and no figure')
  .option('--json <file>', 'writes the figures')
  .option('--compare <file>', 'tells what moved beyond noise since the run that wrote this file')
  .option('--plots <folder>', 'draws the plots of what was measured')
  .option('--list', 'names the scenarios and ends')
  .parse()
const {
  only,
  rounds,
  short = false,
  json,
  compare: earlier,
  plots,
  list
} = command.opts<{
  only?: string[]
  rounds: number
  short?: boolean
  json?: string
  compare?: string
  plots?: string
  list?: boolean
}>()

endWithParent()
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1))

for (const name of only ?? []) {
  if (!scenarios.some(scenario => scenario.name === name)) command.error(`there is no scenario ${name}: see --list`)
}
const chosen = only ? scenarios.filter(({ name }) => only.includes(name)) : scenarios
if (list) for (const { name, about } of chosen) console.log(`${name}\n  ${about}`)
else await run()

async function run(): Promise<void> {
  await using world = openWorld(rounds, short)
  const { figures, notes } = world
  const machine = { node: process.version, cpu: cpus()[0]?.model, cores: cpus().length }
  const at = new Date().toISOString()
  for (const { name, run } of chosen) {
    const before = figures.length
    await run(world).catch((error: Error) => {
      process.exitCode = 1
      world.note(`${name} broke off: ${error.message}`)
    })
    console.log(`\n${table(figures.slice(before))}`)
    const report = { at, machine, rounds, short, notes: [...notes], figures }
    if (json) writeFileSync(json, `${JSON.stringify(report, null, 2)}\n`)
  }
  console.log(`\nGoals\n${verdicts(judge(GOALS, figures))}\n`)
  for (const note of notes) console.log(note)
  console.log(`the load generator took ${Math.round(world.mostBusy * 100)} % of a core at most`)
  if (earlier) {
    const { figures: then } = JSON.parse(readFileSync(earlier, 'utf8')) as { figures: Figure[] }
    console.log(`\nMoved since ${earlier}\n${changes(compare(then, figures))}`)
  }
  if (plots) draw(plots, figures)
}

function draw(folder: string, figures: Figure[]): void {
  for (const [file, wanted] of Object.entries(PLOTS)) {
    const svg = plot(wanted, figures)
    if (svg) writeFileSync(join(folder, file), svg)
  }
}
