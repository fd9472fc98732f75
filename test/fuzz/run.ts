import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { randomOf } from '../contract/model/random.ts'
import { residentBytes } from './memory.ts'
import { type Fault, hold, type Stage, type Target } from './target.ts'

// One target, strike after strike, each from a seed of its own: the seed of a faulty one repeats it alone.

export interface Report {
  target: string
  seed: number
  frames: number
  seconds: number
  /** How often each code came. */
  refusals: Record<string, number>
  /** Memory of the replica, or of this process. */
  mib: { before: number; after: number }
  fault?: { message: string; seed: number; input?: Buffer }
}

/** What a target may leave in this process: objects in use, and all there is, with what a log and a broker in memory keep. */
const HELD_MIB = 64
const RESIDENT_MIB = 600

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

export async function runTarget(target: Target, stage: Stage, seed: number, frames: number): Promise<Report> {
  const refusals: Report['refusals'] = {}
  const unhandled: unknown[] = []
  const note = (error: unknown) => void unhandled.push(error)
  process.on('unhandledRejection', note).on('uncaughtException', note)
  const attack = await target.open(stage)
  const { replica } = attack
  const before = memory(replica?.pid)
  const startedMs = performance.now()
  let done = 0
  let strike = seed
  let fault: Report['fault']
  try {
    for (; done < frames; strike++) {
      const struck = await attack.strike(randomOf(strike))
      done += struck.frames
      for (const code of struck.refusals) refusals[code] = (refusals[code] ?? 0) + 1
      if (unhandled.length > 0) throw unhandled[0]
    }
    if (replica) await replica.settled(before.mib)
    else holdLittle(before, memory())
  } catch (error) {
    const { message, input } = error as Error & Partial<Fault>
    fault = { message, seed: strike, ...(input && { input }) }
  }
  await attack[Symbol.asyncDispose]?.()
  process.off('unhandledRejection', note).off('uncaughtException', note)
  return {
    ...{ target: target.name, seed, frames: done, refusals, ...(fault && { fault }) },
    seconds: (performance.now() - startedMs) / 1000,
    mib: { before: before.mib, after: memory(replica?.pid).mib }
  }
}

interface Memory {
  /** Objects in use. */
  heldMib: number
  mib: number
}

function holdLittle(before: Memory, after: Memory): void {
  const [held, grown] = [after.heldMib - before.heldMib, after.mib - before.mib]
  const what = `this process has ${Math.round(held)} MiB more in use than before, ${Math.round(grown)} in all`
  hold(held < HELD_MIB && grown < RESIDENT_MIB, what)
}

/** @param pid of a replica; absent: of this process, its garbage collected. */
function memory(pid = process.pid): Memory {
  if (pid === process.pid) collect()
  return { heldMib: process.memoryUsage().heapUsed / 2 ** 20, mib: residentBytes(pid) / 2 ** 20 }
}
