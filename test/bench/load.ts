import { createHash } from 'node:crypto'
import { existsSync, globSync, readFileSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { run } from '../support/processes.ts'
import { cacheFolder, compiler } from '../support/toolchain.ts'
import { LIMIT_MS, type Measuring, startMeasuring } from './measuring.ts'

// The load generator: C, since clients in Node would be the bottleneck. load/main.c names its modes and settings.

export type Mode = 'drive' | 'listen' | 'churn' | 'send' | 'scan'

/** What it prints at its end. Counts are of the measured part. */
export interface Loaded {
  ms: number
  deliveries: number
  /** Messages that all members had, or RECEIPTs. */
  messages: number
  /** Of all the run, as those below: messages that neither followed nor told a gap that says so. */
  orderFaults: number
  /** Of the stalled ones: how many had everything in the end, what they were told to have missed, how many were closed with 1013. */
  caughtUp: number
  skipped: number
  turnedAway: number
  /** CPU time of the server. */
  cpuMs: number
  /** CPU time of the generator, as a part of the time that went by. */
  ownShare: number
  /** From the first connection until the last one was subscribed. */
  setupMs: number
  setupCpuMs: number
  p50Ms: number
  p99Ms: number
}

const FOLDER = join(import.meta.dirname, 'load')
const FLAGS = ['-D_GNU_SOURCE', '-std=gnu11', '-O2', '-flto', '-Wall', '-Wextra', '-Werror']

let program: Promise<string> | undefined

/** @returns the path of the program, compiled by `cc` where the cache has none of these sources. */
export function loadProgram(): Promise<string> {
  program ??= compile()
  return program
}

async function compile(): Promise<string> {
  const sources = globSync('*.{c,h}', { cwd: FOLDER }).sort()
  const hash = createHash('sha256').update(FLAGS.join())
  for (const source of sources) hash.update(readFileSync(join(FOLDER, source)))
  const path = join(cacheFolder(), `load-${hash.digest('hex').slice(0, 12)}`)
  if (existsSync(path)) return path
  const writing = `${path}.${process.pid}`
  await run({
    command: await compiler(),
    args: [...FLAGS, '-o', writing, ...sources.filter(name => name.endsWith('.c'))],
    cwd: FOLDER
  })
  renameSync(writing, path)
  return path
}

export async function startLoad(mode: Mode, settings: Record<string, string | number>): Promise<Measuring<Loaded>> {
  const args = Object.entries({ limitMs: LIMIT_MS, ...settings }).map(([name, value]) => `${name}=${value}`)
  return startMeasuring(await loadProgram(), [mode, ...args])
}
