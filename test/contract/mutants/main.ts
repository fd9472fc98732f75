import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Command } from 'commander'
import { whole } from '../../support/flags.ts'
import { MUTANTS } from './list.ts'
import type { Mutant } from './mutant.ts'
import { search } from './search.ts'

// `npm run mutants`: every deliberate mistake of this folder, one after the other. Exit code 1 when one is not found.

const SEEDS = join(import.meta.dirname, 'seeds.json')

const command = new Command('mutants')
  .description('Breaks every invariant of the promise against loss, and runs the randomized model until it complains.')
  .option('--only <name...>', 'these mutants')
  .option('--runs <n>', 'of the model, at most, for each', whole, 500)
  .option('--reseed', 'writes into seeds.json which run found each; npm test begins there')
  .parse()
const { only, runs, reseed } = command.opts<{ only?: string[]; runs: number; reseed?: boolean }>()

for (const name of only ?? []) {
  if (!MUTANTS.some(mutant => mutant.name === name)) command.error(`there is no mutant ${name}`)
}
const chosen = MUTANTS.filter(({ name }) => only?.includes(name) ?? true)
const width = Math.max(...chosen.map(({ name }) => name.length))
const seeds: Record<string, number> = JSON.parse(readFileSync(SEEDS, 'utf8'))

for (const mutant of chosen) {
  const { invariant, name, server } = mutant
  const { seed, complaint } = await search(mutant, 1, runs)
  const isFound = seed !== undefined && !(await failsUnbroken(mutant, seed))
  if (isFound) seeds[name] = seed
  else process.exitCode = 1
  const found = seed === undefined ? 'NOT FOUND' : isFound ? `in run ${seed}` : `NO PROOF: ${seed}`
  console.log([invariant, name.padEnd(width), server.padEnd(6), found.padEnd(12), complaint].join('  '))
}
if (reseed) writeFileSync(SEEDS, `${JSON.stringify(seeds, null, 2)}\n`)

/** The same run complains without the mutant too: then it shows nothing. */
async function failsUnbroken(mutant: Mutant, seed: number): Promise<boolean> {
  return (await search({ ...mutant, replace: mutant.find }, seed, 1)).seed !== undefined
}
