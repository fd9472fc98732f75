import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { WebSocket } from 'ws'
import { startBaton } from '../support/baton.ts'
import { freePorts } from '../support/ports.ts'
import { type Exit, launch, temporaryFolder } from '../support/processes.ts'
import { deadline, waitFor } from '../support/wait.ts'

const ROOT = join(import.meta.dirname, '../..')
const HOUR = '3600000'
const ROUTE = { topic: 't', channel: 't:{id}', destination: '/t/{id}', send: { http: 'POST /t/{id}' } }

/** Runs the process to its end. */
async function runBaton(args: string[], env: Record<string, string> = {}): Promise<Exit & { output: string }> {
  const running = launch({ command: process.execPath, args: ['src/main.ts', ...args], cwd: ROOT, env })
  return { ...(await deadline(running.exited, 20_000, () => running.output)), output: running.output }
}

function fileOf(settings: object): string {
  const file = join(temporaryFolder('baton-main'), 'baton.yaml')
  writeFileSync(file, JSON.stringify(settings))
  return file
}

/** A gateway that has to wait for a client, which does not read that it is sent away. */
async function withDeafClient(deadlineMs: string) {
  const env = { BATON_LIFECYCLE_DRAIN_TIMEOUT_MS: '0', BATON_LIFECYCLE_DEADLINE_MS: deadlineMs }
  const baton = await startBaton({ env })
  const socket = new WebSocket(baton.wsUrl, 'v12.stomp')
  socket.on('error', () => undefined)
  await once(socket, 'open')
  socket.pause()
  return baton
}

describe('the process', { concurrency: 2 }, () => {
  test('says how it is used, and which version it is', async () => {
    const [help, version] = await Promise.all([runBaton(['--help']), runBaton(['--version'])])
    for (const flag of ['--config <file>', '--check', '--version', 'BATON_HTTP_PORT'])
      assert.ok(help.output.includes(flag))
    const { version: own } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
    assert.deepEqual([help.code, version.code, version.output], [0, 0, `${own}\n`])
  })

  test('refuses a flag it does not know', async () => {
    const { code, output } = await runBaton(['--conifg', 'x'])
    assert.equal(code, 1)
    assert.match(output, /unknown option '--conifg'/)
  })

  test('tells every fault of a configuration and exits with 2, also when it is only to check it', async () => {
    const file = fileOf({ http: { port: 'x' }, routes: { a: { ...ROUTE, topic: 7 } }, nonsense: 1 })
    const env = { BATON_LOG_LEVEL: 'loud' }
    for (const args of [[], ['--check']]) {
      const { code, output } = await runBaton(['--config', file, ...args], env)
      assert.equal(code, 2)
      assert.match(output, /^The configuration is refused:\n/)
      for (const where of ['http.port', 'routes.a.topic', 'nonsense', 'BATON_LOG_LEVEL']) {
        assert.match(output, new RegExp(`^ {2}- .*${where.replace('.', '\\.')}`, 'm'))
      }
    }
  })

  test('refuses a configuration that is not there, and routes that contradict each other, with 2', async () => {
    const twice = fileOf({ routes: { a: ROUTE, b: { ...ROUTE, send: undefined, destination: '/u/{id}' } } })
    const [missing, contradicting] = await Promise.all([
      runBaton(['--config', '/nowhere/baton.yaml']),
      runBaton(['--config', twice, '--check'])
    ])
    assert.deepEqual([missing.code, contradicting.code], [2, 2])
    assert.match(missing.output, /\/nowhere\/baton\.yaml: cannot be read: ENOENT/)
    assert.match(contradicting.output, /routes\.[ab]/)
  })

  test('checks a good configuration without serving, and exits with 0', async () => {
    const { code, output } = await runBaton(['--config', fileOf({ routes: { a: ROUTE } }), '--check'])
    const lines = [
      'route a',
      '  in      SEND /t/{id}, POST /t/{id} → topic t',
      '  send    anyone',
      '  out     topic t → channel t:{id} → destination /t/{id}',
      '  read    subscribe: anyone; history and resume: anyone',
      '  kept    of each channel the last 1000 messages, until 1d after the last; history shows 200',
      'The configuration is good.'
    ]
    assert.deepEqual([code, output], [0, lines.map(line => `${line}\n`).join('')])
  })

  test('checks what the configuration names, tells each that does not answer, and exits with 1', async () => {
    const [kafka, redis] = await freePorts(2)
    const brokers = [`127.0.0.1:${kafka}`]
    const settings = { kafka: { brokers }, redis: { url: `redis://127.0.0.1:${redis}` }, routes: { a: ROUTE } }
    const { code, output } = await runBaton(['--config', fileOf(settings), '--check'])
    assert.equal(code, 1)
    assert.match(output, new RegExp(`^fault: Kafka 127.0.0.1:${kafka}: .*ECONNREFUSED`, 'm'))
    assert.match(output, new RegExp(`^fault: Redis 127.0.0.1:${redis}: .*ECONNREFUSED`, 'm'))
    assert.match(output, /^2 faults\.$/m)
  })

  test('exits with 1 when its port is taken', async () => {
    const other = createServer().listen(0, '127.0.0.1')
    await once(other, 'listening')
    try {
      const { port } = other.address() as { port: number }
      const { code, output } = await runBaton([], { BATON_HTTP_PORT: `${port}` })
      assert.equal(code, 1)
      assert.match(output, /EADDRINUSE/)
    } finally {
      other.close()
    }
  })

  test('closes and exits with 0 on a signal', async () => {
    await using baton = await startBaton()
    process.kill(baton.pid, 'SIGINT')
    assert.deepEqual(await deadline(baton.exited, 10_000, 'the end'), { code: 0, signal: null })
    for (const said of [/"signal":"SIGINT","msg":"closing"/, /"msg":"closed"/]) assert.match(baton.logs, said)
  })

  test('exits with 1 at once on a second signal', async () => {
    await using baton = await withDeafClient(HOUR)
    process.kill(baton.pid, 'SIGTERM')
    await waitFor(() => baton.logs.includes('"closing"'), { what: () => baton.logs })
    process.kill(baton.pid, 'SIGTERM')
    assert.deepEqual(await deadline(baton.exited, 10_000, 'the end'), { code: 1, signal: null })
  })

  test('exits with 1 when it has not closed at its deadline', async () => {
    await using baton = await withDeafClient('100')
    process.kill(baton.pid, 'SIGTERM')
    assert.deepEqual(await deadline(baton.exited, 10_000, 'the end'), { code: 1, signal: null })
    assert.match(baton.logs, /killed by timeout \(100ms\)/)
  })
})
