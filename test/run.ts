import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { full } from './support/faults.ts'
import { prepareKafkaCache, sharedKafka } from './support/kafka.ts'
import { endWithParent, tied } from './support/processes.ts'
import { sharedRedis } from './support/redis.ts'
import { chromium, compiler, keepCompiled } from './support/toolchain.ts'

// `npm test`: the checks that need no server, then one real Kafka and Redis for the tests that share them, then Node's
// test runner. Every step runs in a process group of its own, so that nothing of it outlives a signal to this process;
// `tied.ts` and the death signal see to kill -9. With kinds as arguments (`node test/run.ts faults`), only their tests.

const ROOT = join(import.meta.dirname, '..')
const BIN = join(ROOT, 'node_modules/.bin')
const TIED = ['--import', './test/support/tied.ts']
const KINDS = ['unit', 'contract', 'hardening', 'integration', 'fuzz', 'faults', 'browser']
const TEST_TIMEOUT_MS = full ? 3_600_000 : 180_000
const TEST_OPTIONS = ['--test', '--test-concurrency=2', `--test-timeout=${TEST_TIMEOUT_MS}`, '--test-reporter=spec']
const STOP_DEADLINE_MS = 5000

let group: number | undefined

endWithParent()
keepCompiled()
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, async () => {
    await endGroup()
    process.exit(signal === 'SIGINT' ? 130 : 143)
  })
}
process.once('exit', () => signalGroup('SIGKILL'))

const failed: string[] = []
const asked = process.argv.slice(2)
const kinds = asked.length > 0 ? asked : KINDS
if (asked.length === 0) {
  await check('Lint and format', join(BIN, 'biome'), ['ci', '.', ...(process.stdout.isTTY ? [] : ['--colors=off'])])
  await check('Types', join(BIN, 'tsc'), ['--noEmit'])
  await check('Configuration schema', process.execPath, ['src/config/schema.ts', '--check'])
}
title('Kafka, Redis, Chromium and a C compiler')
await prepareKafkaCache()
// One after the other: each may have to install its package, and apt-get's update waits for no lock.
const browser = kinds.includes('browser') ? await chromium() : 'no Chromium'
if (kinds.includes('integration')) await compiler()
const redis = await sharedRedis()
const kafka = await sharedKafka()
process.env['BATON_TEST_KAFKA'] = kafka.brokers.join()
process.env['BATON_TEST_REDIS'] = redis.url
console.log(`${kafka.brokers.join()} · ${redis.url} · ${browser}`)
const files = kinds.map(kind => `test/${kind}/**/*.test.ts`)
await check('Tests', process.execPath, [...TIED, ...TEST_OPTIONS, ...files])
if (failed.length > 0) console.error(`\nFailed: ${failed.join(', ')}`)
process.exit(failed.length > 0 ? 1 : 0)

function title(text: string) {
  console.log(`\n— ${text}`)
}

/** Runs a command to its end; a failure does not stop the run, only fails it. */
async function check(what: string, program: string, args: string[]) {
  title(what)
  const [file, line] = tied(program, args)
  const child = spawn(file, line, { cwd: ROOT, stdio: ['ignore', 'inherit', 'inherit'], detached: true })
  group = child.pid
  const exitCode = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject).once('exit', resolve)
  })
  await endGroup()
  if (exitCode !== 0) failed.push(what)
}

/** Ends what is left of a command and its children: politely, then by force. */
async function endGroup() {
  const end = performance.now() + STOP_DEADLINE_MS
  signalGroup('SIGTERM')
  while (signalGroup(0) && performance.now() < end) await delay(20)
  signalGroup('SIGKILL')
  group = undefined
}

/** @returns whether there was anything to signal. */
function signalGroup(signal: NodeJS.Signals | 0): boolean {
  if (group === undefined) return false
  try {
    return process.kill(-group, signal)
  } catch {
    return false
  }
}
