import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { type Baton, startBaton } from '../support/baton.ts'
import { onFreePorts } from '../support/ports.ts'
import { waitFor } from '../support/wait.ts'

/** One Baton over all its lives, on the port that it found free at its first start. */
export interface Replica {
  readonly name: string
  readonly port: number
  readonly url: string
  readonly wsUrl: string
  readonly isEdge: boolean
  readonly isRelay: boolean
  readonly baton: Baton
  /** Resolves once it is ready, or only listens. */
  start(ready?: boolean): Promise<void>
  kill(): Promise<void>
  /** SIGTERM. @throws unless it closes in time. */
  stop(): Promise<void>
  /** Sets its clock: an hour ahead, then an hour behind, then right. */
  moveClock(): Promise<void>
  /** The most memory that one of its lives held. Bytes. */
  peakBytes(): number
  /** What it logged at warn and above, in all its lives. */
  troubles(): string[]
  /** The sum of a metric over its labels; of this life. */
  metric(name: string): Promise<number>
}

export interface ReplicaOptions {
  name: string
  roles: ('relay' | 'edge')[]
  config: Record<string, unknown>
}

const CLOCK = new URL('clock.ts', import.meta.url).href
const WARN = 40
const SAMPLE_MS = 250
/** One that sleeps does not answer. */
const METRICS_MS = 2000

/** Not started yet. */
export function createReplica({ name, roles, config }: ReplicaOptions): Replica {
  const lives: Baton[] = []
  let found: number | undefined
  let moves = 0
  let peakKiB = 0
  let sampling: NodeJS.Timeout | undefined

  // VmHWM is the peak of a life, so only what comes after the last look before a SIGKILL is missed.
  function sample(): void {
    try {
      const status = readFileSync(`/proc/${replica.baton.pid}/status`, 'utf8')
      peakKiB = Math.max(peakKiB, Number(/^VmHWM:\s+(\d+) kB/m.exec(status)?.[1] ?? 0))
    } catch {
      clearInterval(sampling)
    }
  }

  const replica: Replica = {
    name,
    get port() {
      if (!found) throw new Error(`${name} was never started`)
      return found
    },
    get url() {
      return `http://127.0.0.1:${replica.port}`
    },
    get wsUrl() {
      return `ws://127.0.0.1:${replica.port}/ws`
    },
    isEdge: roles.includes('edge'),
    isRelay: roles.includes('relay'),
    get baton() {
      const baton = lives.at(-1)
      if (!baton) throw new Error(`${name} was never started`)
      return baton
    },
    async start(ready = true) {
      const env = { NODE_OPTIONS: `--import ${CLOCK}` }
      const startOn = (port: number) => startBaton({ config: { ...config, roles }, port, ready, env })
      const baton = found ? await startOn(found) : await onFreePorts(1, ([port = 0]) => startOn(port))
      found = baton.port
      moves = 0
      lives.push(baton)
      clearInterval(sampling)
      sampling = setInterval(sample, SAMPLE_MS).unref()
    },
    async kill() {
      if (lives.length === 0) return
      sample()
      await replica.baton.kill()
    },
    async stop() {
      sample()
      assert.deepEqual(await replica.baton.stop(), { code: 0, signal: null }, `${name}: ${replica.baton.logs}`)
    },
    async moveClock() {
      process.kill(replica.baton.pid, 'SIGWINCH')
      moves++
      const moved = () => replica.baton.logs.includes(`clock ${moves}: `)
      await waitFor(moved, { what: `the clock of ${name} to be moved` })
    },
    peakBytes: () => peakKiB * 1024,
    troubles: () =>
      lives.flatMap(({ logs }) => logs.split('\n')).filter(line => Number(/^\{"level":(\d+)/.exec(line)?.[1]) >= WARN),
    async metric(metric) {
      const answer = await fetch(`${replica.url}/metrics`, { signal: AbortSignal.timeout(METRICS_MS) })
      const samples = (await answer.text()).matchAll(new RegExp(`^${metric}(?:\\{[^}]*\\})? (\\S+)`, 'gm'))
      return [...samples].reduce((sum, [, value]) => sum + Number(value), 0)
    }
  }
  return replica
}
