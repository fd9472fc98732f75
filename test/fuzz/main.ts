import { Command } from 'commander'
import { whole } from '../support/flags.ts'
import { endWithParent } from '../support/processes.ts'
import { targets } from './catalog.ts'
import { type Report, runTarget } from './run.ts'
import { openStage } from './stage.ts'

// `npm run fuzz`: every target, one after the other. Exit code 1 when something does not hold, with the command that repeats it.

const command = new Command('fuzz')
  .description('Gives Baton whatever no client, file, bus or topic should, and looks what it makes of it.')
  .option('--only <name...>', 'these targets')
  .option('--short', 'as npm test runs them: some seconds in all')
  .option('--frames <n>', 'frames of each target (default: ten million in all)', whole)
  .option('--seed <n>', 'decides everything', whole, 1)
  .option('--list', 'names the targets, and ends')
  .parse()
const { only, short, frames, seed, list } = command.opts<{
  only?: string[]
  short?: boolean
  frames?: number
  seed: number
  list?: boolean
}>()

endWithParent()
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1))

for (const name of only ?? []) {
  if (!targets.some(target => target.name === name)) command.error(`there is no target ${name}: see --list`)
}
const chosen = targets.filter(({ name }) => only?.includes(name) ?? true)
if (list) for (const { name, about } of chosen) console.log(`${name.padEnd(12)} ${about}`)
else {
  let sum = 0
  await using stage = await openStage(!short)
  for (const target of chosen) {
    const report = await runTarget(target, stage, seed, frames ?? (short ? target.short : target.long))
    sum += report.frames
    console.log(lineOf(report))
    if (report.fault) tell(report)
  }
  console.log(`${sum} frames`)
}

function lineOf({ target, seed, frames, seconds, refusals, mib, fault }: Report): string {
  const codes = Object.entries(refusals).sort(([, a], [, b]) => b - a)
  const figures = [
    `${frames} frames`,
    `${Math.round(frames / seconds)}/s`,
    `${Math.round(mib.before)} → ${Math.round(mib.after)} MiB`,
    `seed ${seed}`,
    codes.map(([code, count]) => `${code} ${count}`).join(' ')
  ]
  return `${fault ? '✖' : '✔'} ${target.padEnd(12)} ${figures.join(' · ')}`
}

function tell({ target, fault }: Report): void {
  process.exitCode = 1
  console.log(`  ${fault?.message}\n  again: npm run fuzz -- --only ${target} --seed ${fault?.seed} --frames 1`)
  if (fault?.input) console.log(`  with: ${JSON.stringify(fault.input.toString('latin1'))}`)
}
