import { examine, type Findings } from './examine.ts'
import { openStage, type Stage, type StageOptions } from './stage.ts'
import type { World } from './world.ts'

export interface Scenario {
  /** Kebab-case. */
  name: string
  /** What happens. */
  about: string
  /** What must hold all the same. */
  expects: string
  /** Clients, by index, that may be told of a gap; −1 is plain ones. Default: none. */
  mayBeTold?: (client: number) => boolean
  /** True: to these something must be missing, and be told. */
  misses?: boolean
  /** True: it harms what all scenarios share, so no other may run meanwhile. */
  alone?: boolean
  stage?: StageOptions
  /** Does the harm, and undoes it; recovery counts from when it resolves, or from each of its marks. @throws where the harm was none. */
  run(stage: Stage): Promise<void>
}

export interface Report extends Omit<Findings, 'details'> {
  name: string
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
}

export interface Run extends AsyncDisposable {
  /** Never rejects: what goes wrong is a fault in the report. @param records at least so many are produced. */
  play(scenario: Scenario, records?: number): Promise<Report>
}

/** Of one replica. */
export const PEAK_MIB = 400
/** Of what was found wrong, and of the logs. */
const LINES = 15
const LINE_CHARS = 400

const NOTHING: Findings = {
  ...{ deliveries: 0, lost: 0, doubled: 0, reordered: 0, silent: 0, told: 0, undue: 0, strange: 0 },
  ...{ records: 0, acknowledged: 0, unwritten: 0, details: [] }
}

/** Those that need the same stage, by turns. */
export function groupsOf(scenarios: Scenario[]): Scenario[][] {
  return [...Map.groupBy(scenarios, needsOf).values()]
}

function needsOf({ name, stage = {}, alone = false }: Scenario): string {
  // A pair that failed over is not what it was.
  return JSON.stringify([alone, stage, stage.redis === 'pair' && name])
}

/** Plays scenarios one after the other. In the short form, one that needs the stage of the one before goes on with it, unless something was wrong or missing there. */
export function createRun(world: World, options: RunOptions): Run {
  let stage: Stage | undefined
  let needs = ''
  let before = NOTHING

  async function leave(): Promise<void> {
    await stage?.[Symbol.asyncDispose]()
    stage = undefined
    before = NOTHING
  }

  async function perform(scenario: Scenario, records: number): Promise<void> {
    if (!stage || options.long || needs !== needsOf(scenario)) {
      await leave()
      stage = await openStage(world, scenario.stage ?? {}, options)
      needs = needsOf(scenario)
    }
    stage.enter(scenario.name)
    const until = stage.ledger.count + records
    await stage.goesOn()
    await scenario.run(stage)
    stage.mark()
    await stage.goesOn()
    await stage.goesOn(Math.max(0, until - stage.ledger.count))
  }

  return {
    async play(scenario, records = 0) {
      const start = performance.now()
      const faults: string[] = []
      const failed = (error: unknown) => void faults.push(`${(error as Error).stack}`)
      await perform(scenario, records).catch(failed)
      const { mayBeTold = () => false } = scenario
      const findings = (stage && (await examine(stage, mayBeTold).catch(failed))) || NOTHING
      const report = reportOf(scenario, findings, before, stage)
      faults.push(...broken(report, scenario))
      if (faults.length > 0 && stage) faults.push(...findings.details.slice(0, LINES), ...troublesOf(stage))
      before = findings
      if (faults.length > 0 || findings.lost > 0 || findings.told > 0) await leave()
      return { ...report, tookMs: Math.round(performance.now() - start), faults }
    },
    [Symbol.asyncDispose]: leave
  }
}

/** What was found, less what was found before. */
function reportOf({ name }: Scenario, findings: Findings, before: Findings, stage: Stage | undefined): Report {
  const { details, ...found } = findings
  const replicas = stage?.replicas ?? []
  return {
    name,
    ...found,
    deliveries: found.deliveries - before.deliveries,
    records: found.records - before.records,
    acknowledged: found.acknowledged - before.acknowledged,
    recoveryMs: stage?.recoveryMs ?? 0,
    peakMiB: replicas.map(replica => Math.round(replica.peakBytes() / 2 ** 20)),
    tookMs: 0,
    faults: []
  }
}

/** Which promises the numbers break. */
function broken(report: Report, { misses = false }: Scenario): string[] {
  const never = ['doubled', 'reordered', 'silent', 'undue', 'strange', 'unwritten'] as const
  return [
    ...never.filter(name => report[name] !== 0).map(name => `${name}: ${report[name]}`),
    ...(report.deliveries > 0 ? [] : ['nothing was delivered']),
    ...(misses === report.lost > 0 ? [] : [misses ? 'nothing is missing: the harm was none' : `lost: ${report.lost}`]),
    ...report.peakMiB.filter(peak => peak > PEAK_MIB).map(peak => `a replica held ${peak} MiB`)
  ]
}

function troublesOf({ replicas }: Stage): string[] {
  return replicas.flatMap(({ name, troubles }) =>
    troubles()
      .slice(-LINES)
      .map(line => `${name}: ${line.slice(0, LINE_CHARS)}`)
  )
}
