import { Command } from 'commander'
import { MUTANTS } from './list.ts'
import type { Mutant } from './mutant.ts'
import { search } from './search.ts'

// `npm run mutants`: every deliberate mistake of this folder, one after the other. Exit code 1 when one is not found.

const whole = (text: string): number => {
  if (!/^\d+$/.test(text)) throw new Error(`${text} is no whole number`)
  return Number(text)
}

const command = new Command('mutants')
  .description('Breaks every invariant of the promise against loss, and runs the randomized model until it complains.')
  .option('--only <name...>', 'these mutants')
  .option('--runs <n>', 'of the model, at most, for each', whole, 200)
  .option('--seed <n>', 'of the first run, for each (default: its own)', whole)
  .parse()
const { only, runs, seed: from } = command.opts<{ only?: string[]; runs: number; seed?: number }>()

for (const name of only ?? []) {
  if (!MUTANTS.some(mutant => mutant.name === name)) command.error(`there is no mutant ${name}`)
}
const chosen = MUTANTS.filter(({ name }) => only?.includes(name) ?? true)
const width = Math.max(...chosen.map(({ name }) => name.length))

for (const mutant of chosen) {
  const first = from ?? mutant.seed
  const { seed, complaint } = await search({ ...mutant, seed: first }, runs)
  const isFound = seed !== undefined && !(await failsUnbroken({ ...mutant, seed }))
  if (!isFound) process.exitCode = 1
  const after = seed === undefined ? '' : ` after ${seed - first + 1} runs`
  const found = isFound ? `found${after}` : seed === undefined ? 'NOT FOUND' : `NO PROOF${after}`
  console.log([mutant.invariant, mutant.name.padEnd(width), mutant.server, found.padEnd(24), complaint].join('  '))
}

/** The same run complains without the mutant too: then it shows nothing. */
async function failsUnbroken(mutant: Mutant): Promise<boolean> {
  return (await search({ ...mutant, replace: mutant.find }, 1)).seed !== undefined
}
