import { execFileSync } from 'node:child_process'
import { residentKib } from '../bench/measure.ts'

/** Memory that a process has in use now. */
export function residentBytes(pid: number): number {
  if (process.platform !== 'linux') return Number(execFileSync('ps', ['-o', 'rss=', '-p', `${pid}`])) * 1024
  return residentKib(pid).now * 1024
}

/** Time of the processor that this thread has had: where others have it too, the clock says little. */
export function cpuMs(): number {
  const { user, system } = process.threadCpuUsage()
  return (user + system) / 1000
}
