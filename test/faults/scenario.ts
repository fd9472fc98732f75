import { waitFor } from '../support/wait.ts'
import { judge, type Reader, type Verdict } from './oracle.ts'
import { createRandom } from './random.ts'
import { openStage, type Stage, type StageOptions } from './stage.ts'
import type { World } from './world.ts'

export interface Scenario {
  /** Kebab-case. */
  name: string
  /** What happens. */
  about: string
  /** What must hold all the same. */
  expects: string
  /** True: what Kafka holds no more may be missing, where that is told. */
  mayMiss?: boolean
  /** True: it harms what all scenarios share, so no other may run meanwhile. */
  alone?: boolean
  stage?: StageOptions
  /** Does the harm, and undoes it; recovery counts from when it resolves, or from each of its marks. */
  run(stage: Stage): Promise<void>
}

export interface Report extends Omit<Verdict, 'details'> {
  name: string
  /** Held by Kafka. */
  records: number
  acknowledged: number
  /** Acknowledged, and not held by Kafka. */
  unwritten: number
  /** From the end of the fault to the first moment when every client had everything. Milliseconds. */
  recoveryMs: number
  /** Of each replica, the most memory. MiB. */
  peakMiB: number[]
  tookMs: number
  /** Why it failed; none: it holds what it expects. */
  faults: string[]
}

export interface RunOptions {
  long: boolean
  seed: number
  recordsPerSecond: number
  /** At least so many are produced. */
  records: number
}

const SETTLE_MS = 60_000
const PEAK_MIB = 400
/** Of what was found wrong, and of the logs. */
const LINES = 15
const LINE_CHARS = 400

/** Runs one scenario on a stage of its own. Never rejects: what goes wrong is a fault in the report. */
export async function runScenario(world: World, scenario: Scenario, options: RunOptions): Promise<Report> {
  const start = performance.now()
  const random = createRandom(`${options.seed} ${scenario.name}`)
  const faults: string[] = []
  let stage: Stage | undefined
  let findings: Awaited<ReturnType<typeof examine>> | undefined
  try {
    stage = await openStage(world, scenario.stage ?? {}, { ...options, random })
    await stage.goesOn()
    await scenario.run(stage)
    stage.mark()
    await stage.goesOn()
    await stage.goesOn(Math.max(0, options.records - stage.ledger.count))
  } catch (error) {
    faults.push(`${(error as Error).stack}`)
  }
  try {
    if (stage) findings = await examine(stage)
  } catch (error) {
    faults.push(`${(error as Error).stack}`)
  }
  const { verdict, ...counts } = findings ?? {
    verdict: judge(new Map(), []),
    records: 0,
    acknowledged: 0,
    unwritten: 0
  }
  const { details, ...found } = verdict
  const peakMiB = (stage?.replicas ?? []).map(replica => Math.round(replica.peakBytes() / 2 ** 20))
  const report: Report = {
    name: scenario.name,
    ...counts,
    ...found,
    recoveryMs: stage?.recoveryMs ?? 0,
    peakMiB,
    tookMs: 0,
    faults
  }
  faults.push(...broken(report, scenario))
  if (faults.length > 0 && stage) {
    faults.push(...details.slice(0, LINES))
    for (const replica of stage.replicas) {
      faults.push(
        ...replica
          .troubles()
          .slice(-LINES)
          .map(line => `${replica.name}: ${line.slice(0, LINE_CHARS)}`)
      )
    }
  }
  await stage?.[Symbol.asyncDispose]()
  report.tookMs = Math.round(performance.now() - start)
  return report
}

/** Which promises the numbers break. */
function broken(report: Report, { mayMiss }: Scenario): string[] {
  const never = [
    'doubled',
    'reordered',
    'silent',
    'strange',
    ...(mayMiss ? [] : ['lost', 'told', 'unwritten'])
  ] as const
  const faults = never.filter(name => report[name as keyof Report] !== 0)
  return [
    ...faults.map(name => `${name}: ${report[name as keyof Report]}`),
    ...(report.deliveries > 0 ? [] : ['nothing was delivered']),
    ...report.peakMiB.filter(peak => peak > PEAK_MIB).map(peak => `a replica held ${peak} MiB`)
  ]
}

/** Ends the production, waits until every client has the last record of each of its rooms, and compares. */
async function examine(stage: Stage) {
  await stage.settle()
  const { clients, ledger, witness } = stage
  const { rooms } = witness
  const start = ledger.startMs
  const since = (ms: number | undefined) => (ms === undefined ? 'never' : `+${((ms - start) / 1000).toFixed(2)} s`)
  const readers = clients.flatMap((client, index) =>
    client.destinations.map(destination => {
      const room = destination.slice('/room/'.length)
      const seen = client.messages(destination)
      const where = (at: number, number: number) => {
        const cameMs = seen[at]?.atMs
        const { url } = client.turns.findLast(({ atMs }) => atMs <= (cameMs ?? Date.now())) ?? {}
        const acknowledged = since(ledger.acknowledged(room).get(number))
        return ` (${number} acknowledged ${acknowledged}; message ${at} came ${since(cameMs)} from ${url})`
      }
      return {
        name: `client ${index}`,
        room,
        seen,
        gaps: client.gaps.filter(gap => gap.destination === destination),
        where
      }
    })
  )
  const complete = () =>
    readers.every(({ room, seen }) => {
      const last = rooms.get(room)?.at(-1)
      return last === undefined || seen.findLast(({ n }) => n === last)
    })
  await waitFor(complete, { deadlineMs: SETTLE_MS, what: 'the last record of each room' }).catch(() => undefined)
  const verdict = judge(
    rooms,
    readers.map(({ seen, ...reader }): Reader => ({ ...reader, numbers: seen.map(({ n }) => n) }))
  )
  const unwritten = ledger.rooms.reduce((sum, room) => {
    const held = new Set(rooms.get(room))
    return sum + [...ledger.acknowledged(room).keys()].filter(n => !held.has(n)).length
  }, 0)
  const records = [...rooms.values()].reduce((sum, numbers) => sum + numbers.length, 0)
  return { verdict, records, acknowledged: ledger.count, unwritten }
}
