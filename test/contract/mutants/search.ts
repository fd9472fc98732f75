import { cpSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { launch, temporaryFolder } from '../../support/processes.ts'
import { deadline } from '../../support/wait.ts'
import type { Mutant } from './mutant.ts'

// One mutant against the randomized model, in a copy of what both need: the working tree is never changed.

export interface Verdict {
  /** Of the run that found it; absent: none did. */
  seed?: number
  /** Of the model's oracle; where nothing was found, how the search ended. */
  complaint: string
}

const ROOT = join(import.meta.dirname, '../../..')
const MODEL = 'test/contract/model.test.ts'
const NEEDED = ['package.json', 'src', 'test/contract', 'test/support']
/** A mutant may never end, which is no complaint either. */
const START_MS = 30_000
const RUN_MS = 1000
/** What clients lost, got twice, out of order or wrongly told, and what did not heal. That the model crashed says nothing. */
const COMPLAINT =
  /got \S+ (?:after \d|with a body)|older than its SUBSCRIBE|was told gap|was told nothing|RECEIPT says|^not healed|never came to|is no dead letter|^a refill goes back|did not come$/

/** The file's text with its mistake. @throws where the place for it is not there exactly once: then the list is out of date. */
export function mutate({ name, file, find, replace }: Mutant): string {
  const parts = readFileSync(join(ROOT, file), 'utf8').split(find)
  if (parts.length !== 2) throw new Error(`${name}: ${file} holds ${parts.length - 1} times ${find}`)
  return parts.join(replace)
}

/** Runs the model on the mutant until it complains: at most so many times, each time with the next seed. */
export async function search(mutant: Mutant, firstSeed: number, runs: number): Promise<Verdict> {
  const mutated = mutate(mutant)
  const folder = temporaryFolder('baton-mutant')
  for (const path of NEEDED) cpSync(join(ROOT, path), join(folder, path), { recursive: true })
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'))
  writeFileSync(join(folder, mutant.file), mutated)

  const model = launch({
    command: process.execPath,
    args: [`--test-name-pattern=${mutant.server}`, MODEL],
    cwd: folder,
    env: {
      BATON_TEST_MODEL_RUNS: `${runs}`,
      BATON_TEST_MODEL_SEED: `${firstSeed}`,
      // Else the runner takes the model for a test of the file that searches.
      NODE_TEST_CONTEXT: undefined
    }
  })
  let error = 'nothing'
  await deadline(model.exited, START_MS + runs * RUN_MS, 'the end of the model').catch(late => {
    error = `${late}`
    return model.kill()
  })
  const lines = model.output.split('\n').map(line => line.trim())
  const complaint = lines.find(line => COMPLAINT.test(line))
  if (complaint) return { seed: Number(/seed (\d+), step/.exec(model.output)?.[1]), complaint }
  return { complaint: lines.find(line => /Error\b/.test(line)) ?? error }
}
