import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { existsSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { deadline, waitFor } from '../support/wait.ts'

const SUPPORT = join(import.meta.dirname, '../support')

// A test file as it might be: it launches a server, has a folder, and does not end by itself.
const TEST_FILE = `
  import { launch, temporaryFolder } from ${JSON.stringify(join(SUPPORT, 'processes.ts'))}
  const forever = setInterval(() => {}, 1000)
  process.once('SIGUSR2', () => clearInterval(forever))
  const { pid } = launch({ command: 'sleep', args: ['600'] })
  console.log(JSON.stringify({ own: process.pid, server: pid, folder: temporaryFolder('baton-left') }))`

// Node's test runner as it is here: it only starts the test file.
const RUNNER = `
  import { spawn } from 'node:child_process'
  const args = ['--import', ${JSON.stringify(join(SUPPORT, 'tied.ts'))}, '--input-type=module', '-e', process.env.TEST_FILE]
  spawn(process.execPath, args, { stdio: 'inherit' })`

interface Started {
  own: number
  server: number
  folder: string
}

/** Runs a script in a Node of its own until it told what it started. */
async function start(script: string) {
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, TEST_FILE }
  })
  const { promise, resolve } = Promise.withResolvers<Started>()
  child.stdout.setEncoding('utf8').on('data', line => resolve(JSON.parse(line)))
  const started = await deadline(promise, 20_000, 'a process that starts another')
  assert.ok(runs(started.server) && existsSync(started.folder))
  return { child, ...started }
}

function runs(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

describe('what a test starts ends with it', () => {
  test('when the test file ends', async () => {
    const { child, server, folder } = await start(TEST_FILE)
    child.kill('SIGUSR2')
    await waitFor(() => !runs(server) && !existsSync(folder), { what: 'the end of the server and its folder' })
  })

  test('when the test file is killed with -9', async () => {
    const { child, server, folder } = await start(TEST_FILE)
    child.kill('SIGKILL')
    await waitFor(() => !runs(server), { what: 'the end of the server' })
    rmSync(folder, { recursive: true })
  })

  test('when the runner is killed with -9', async () => {
    const { child, own, server, folder } = await start(RUNNER)
    child.kill('SIGKILL')
    const gone = () => !runs(own) && !runs(server) && !existsSync(folder)
    await waitFor(gone, { what: 'the end of the test file, its server and its folder' })
  })

  test('when the test file is told to end', async () => {
    const { child, own, server, folder } = await start(RUNNER)
    process.kill(own, 'SIGTERM')
    const gone = () => !runs(own) && !runs(server) && !existsSync(folder)
    await waitFor(gone, { what: 'the end of the test file, its server and its folder' })
    child.kill('SIGKILL')
  })
})
