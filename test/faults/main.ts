import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Command } from 'commander'
import { whole } from '../support/flags.ts'
import { endWithParent } from '../support/processes.ts'
import { keepCompiled } from '../support/toolchain.ts'
import { scenarios } from './catalog.ts'
import { table } from './report.ts'
import { createRun, groupsOf, type Report } from './scenario.ts'
import { openWorld } from './world.ts'

// `npm run faults`: every scenario, one after the other, on one Kafka, then the other tests of this folder with their full
// counts. Exit code 1 when something does not hold.

const command = new Command('faults')
  .description(
    'Harms Baton and what it stands on in every way of test/faults, and compares what clients got with Kafka.'
  )
  .option('--only <name...>', 'these scenarios')
  .option('--short', 'as npm test runs them: about ten seconds and 200 records a second each, and no other tests')
  .option(
    '--records <n>',
    'records of all scenarios together, at least (default: 1000000; --short: as they come)',
    whole
  )
  .option('--seed <n>', 'decides victims and moments', whole, 1)
  .option('--json <file>', 'writes the reports, or the list; - is standard output, which then holds nothing else')
  .option('--list', 'names the scenarios, what happens in each and what is expected, and ends')
  .parse()
const {
  only,
  short = false,
  seed,
  json,
  list,
  records = short ? 0 : 1_000_000
} = command.opts<{
  only?: string[]
  short?: boolean
  records?: number
  seed: number
  json?: string
  list?: boolean
}>()

const ROOT = join(import.meta.dirname, '../..')
const LONG_RECORDS_PER_SECOND = 1000
const SHORT_RECORDS_PER_SECOND = 200

endWithParent()
keepCompiled()
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1))

for (const name of only ?? []) {
  if (!scenarios.some(scenario => scenario.name === name)) command.error(`there is no scenario ${name}: see --list`)
}
const chosen = only ? scenarios.filter(({ name }) => only.includes(name)) : scenarios
const say = json === '-' ? () => undefined : console.log
if (list) {
  const told = chosen.map(({ name, about, expects }) => ({ name, about, expects }))
  for (const { name, about, expects } of told) say(`${name}\n  ${about}\n  Expected: ${expects}`)
  write(told)
} else process.exitCode = Math.max(await run(), short || only ? 0 : others())

async function run(): Promise<number> {
  const reports: Report[] = []
  await using world = await openWorld()
  const recordsPerSecond = short ? SHORT_RECORDS_PER_SECOND : LONG_RECORDS_PER_SECOND
  await using stages = createRun(world, { long: !short, seed, recordsPerSecond })
  for (const scenario of groupsOf(chosen).flat()) {
    // What some produce beyond their share, the others need not.
    const share = Math.ceil((records - count(reports)) / (chosen.length - reports.length))
    const report = await stages.play(scenario, share)
    reports.push(report)
    say(`\n${table([report])}`)
    for (const fault of report.faults) say(`  ${fault}`)
    if (json !== '-') write({ seed, short, reports })
  }
  say(`\nseed ${seed}\n\n${table(reports)}`)
  if (json === '-') write({ seed, short, reports })
  return reports.every(({ faults }) => faults.length === 0) ? 0 : 1
}

/** As JSON, where that is asked for. */
function write(value: unknown): void {
  const text = `${JSON.stringify(value, null, 2)}\n`
  if (json === '-') process.stdout.write(text)
  else if (json) writeFileSync(json, text)
}

/** @returns its exit code. */
function others(): number {
  const env = { ...process.env, BATON_TEST_FAULTS: 'full' }
  const { status } = spawnSync(process.execPath, ['test/run.ts', 'faults'], { cwd: ROOT, env, stdio: 'inherit' })
  return status ?? 1
}

function count(reports: Report[]): number {
  return reports.reduce((sum, report) => sum + report.records, 0)
}
