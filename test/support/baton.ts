import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Exit, launch, temporaryFolder } from './processes.ts'
import { waitFor } from './wait.ts'

export interface BatonOptions {
  /** What the configuration file holds, or the path of one; absent: the embedded default. */
  config?: Record<string, unknown> | string
  /** 0, the default, takes a free one. */
  port?: number
  env?: Record<string, string>
  /** Hears everything it logs. */
  heard?: (text: string) => void
  /** More of the command line. */
  args?: string[]
  /** False: resolves once it listens, whatever `/readyz` says. Default true. */
  ready?: boolean
}

export interface Baton extends AsyncDisposable {
  /** `http://host:port`, or `https:`. */
  readonly url: string
  /** `ws://host:port/ws`, or `wss:`. */
  readonly wsUrl: string
  readonly port: number
  readonly pid: number
  /** The end of what it wrote. */
  readonly logs: string
  readonly exited: Promise<Exit>
  /** SIGTERM; resolves with how it exited. */
  stop(): Promise<Exit>
  /** SIGKILL. */
  kill(): Promise<Exit>
  pause(): Promise<void>
  resume(): Promise<void>
}

const ROOT = join(import.meta.dirname, '../..')
const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { scripts: { start: string } }
/** Of `node`, as `npm start` has them. */
export const NODE_FLAGS = scripts.start.split(' ').filter(word => word.startsWith('--'))
const ADDRESS = /https?:\/\/(\[[\da-f:]+\]|[\w.-]+):(\d+)/
const START_DEADLINE_MS = 30_000

/** A Baton in a process of its own, listening and ready. @throws with its output when it is not within 30 s. */
export async function startBaton(options: BatonOptions = {}): Promise<Baton> {
  const { port: wanted = 0, env = {}, args = [], ready = true } = options
  const file = configFile(options.config)
  const baton = launch({
    command: process.execPath,
    args: [...NODE_FLAGS, 'src/main.ts', ...(file ? ['--config', file] : []), ...args],
    cwd: ROOT,
    // The clients of tests are no browsers.
    env: { BATON_HTTP_PORT: `${wanted}`, BATON_HTTP_ALLOW_ABSENT_ORIGIN: 'true', ...env },
    ...(options.heard && { heard: options.heard })
  })
  try {
    const [url, , port] = await baton.match(ADDRESS, START_DEADLINE_MS)
    if (ready) {
      const what = () => `${url}/readyz; its log:\n${baton.output.slice(-4000)}`
      const isReady = () => fetch(`${url}/readyz`).then(response => response.ok)
      await waitFor(isReady, { deadlineMs: START_DEADLINE_MS, what })
    }
    return {
      url,
      wsUrl: `${url.replace('http', 'ws')}/ws`,
      port: Number(port),
      pid: baton.pid,
      get logs() {
        return baton.output
      },
      exited: baton.exited,
      stop: () => baton.stop(),
      kill: () => baton.kill(),
      pause: () => baton.pause(),
      resume: () => baton.resume(),
      async [Symbol.asyncDispose]() {
        await baton.stop()
      }
    }
  } catch (error) {
    await baton.kill()
    throw error
  }
}

function configFile(config: BatonOptions['config']): string | undefined {
  if (config === undefined || typeof config === 'string') return config
  const file = join(temporaryFolder('baton-config'), 'baton.yaml')
  // JSON is YAML.
  writeFileSync(file, JSON.stringify(config, null, 2))
  return file
}
