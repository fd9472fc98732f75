import { readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { type Loaded, startLoad } from './load.ts'
import type { Measuring } from './measuring.ts'
import type { Server } from './servers.ts'
import type { World } from './world.ts'

const CLOCK_TICK_MS = 10
const SETTLE_MS = 2000
const QUIET_EVERY_MS = 100
const QUIET_DEADLINE_MS = 20_000

/** CPU time of a process so far, user and system; exact to 10 ms. */
export function cpuMs(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
  // The name before it may hold anything.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) * CLOCK_TICK_MS
}

/** Memory of a process: what it has now, and the most it ever had. */
export function residentKib(pid: number): { now: number; most: number } {
  const status = readFileSync(`/proc/${pid}/status`, 'latin1')
  const kib = (name: string) => Number(new RegExp(`^${name}:\\s*(\\d+) kB`, 'm').exec(status)?.[1])
  return { now: kib('VmRSS'), most: kib('VmHWM') }
}

/** Waits until a process has dealt with what was left: almost no CPU time goes by, or 20 s are over. */
export async function untilQuiet(pid: number): Promise<void> {
  const end = performance.now() + QUIET_DEADLINE_MS
  let before = cpuMs(pid)
  while (performance.now() < end) {
    await delay(QUIET_EVERY_MS)
    const now = cpuMs(pid)
    if (now - before <= CLOCK_TICK_MS) return
    before = now
  }
}

/** Each round has every contender at every piece of work, one right after the other; every other round goes backwards. */
export async function interleave<C, W>(
  rounds: number,
  works: W[],
  contenders: C[],
  measure: (contender: C, work: W) => Promise<void>
): Promise<void> {
  for (let round = 0; round < rounds; round++) {
    const inTurn = <T>(all: T[]) => (round % 2 === 0 ? all : all.toReversed())
    for (const work of inTurn(works)) for (const contender of inTurn(contenders)) await measure(contender, work)
  }
}

/** Drives a server with messages of the generator's own, until the measured time is over. */
export async function driven(world: World, server: Server, settings: Record<string, string | number>): Promise<Loaded> {
  const { warmMs, ms } = world
  const load = await startLoad('drive', { ...server.load, pid: server.pid, warmMs, ms, ...settings })
  const loaded = await load.result()
  const { window } = settings
  world.heard(window === undefined ? server.name : `${server.name} with ${window} in flight`, loaded)
  await untilQuiet(server.pid)
  return loaded
}

/** Subscribes, and listens to what others send. */
export async function listening(server: Server, settings: Record<string, string | number>): Promise<Measuring<Loaded>> {
  const load = await startLoad('listen', { ...server.load, pid: server.pid, ...settings })
  await load.live()
  // Where no RECEIPT tells when a subscription counts, time must do.
  if (server.load.receipts === 0) await delay(SETTLE_MS)
  return load
}
