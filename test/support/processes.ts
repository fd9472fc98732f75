import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import type { Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { unique } from './ids.ts'
import { deadline } from './wait.ts'

// Whatever is launched here ends with this process: by pid when it exits, and where it is killed with -9 by the kernel
// (setpriv's parent-death signal follows the spawning thread, so never launch from a worker) or, in a container,
// because its standard input ends. A child never keeps this process alive: a deadline does, while something is awaited.

export interface Program {
  command: string
  args: string[]
  cwd?: string
  env?: Record<string, string | undefined>
  /** Hears everything it writes. */
  heard?: (text: string) => void
  /** Runs it in a container of this image, on the host's network, which sees `folder` under the same path. */
  container?: { image: string; folder: string }
}

export interface Exit {
  code: number | null
  signal: NodeJS.Signals | null
}

export interface Running {
  readonly pid: number
  /** The end of what it wrote, standard output and error as they came. */
  readonly output: string
  readonly exited: Promise<Exit>
  /** The first match in its output, past or to come. @throws with the output when it exits first, or at the deadline. */
  match(pattern: RegExp, deadlineMs: number): Promise<RegExpExecArray>
  /** Resumes it; SIGTERM, then SIGKILL if it takes longer than `graceMs` (default 15 s). */
  stop(graceMs?: number): Promise<Exit>
  kill(): Promise<Exit>
  pause(): Promise<void>
  resume(): Promise<void>
}

const OUTPUT_CHARS = 128 * 1024
const KILL_DEADLINE_MS = 15_000
const RUN_DEADLINE_MS = 600_000
const SETPRIV = '/usr/bin/setpriv'
// `exec` keeps the pid of the shell, so the watcher of standard input kills the program itself.
const DIE_WITH_STDIN = 'exec 3<&0; { cat <&3 >/dev/null; kill -9 $$; } & exec "$@"'

const execute = promisify(execFile)
const children = new Set<ChildProcess>()
const folders = new Set<string>()
let ending = false

/** Starts a program that does not outlive this process. */
export function launch(program: Program): Running {
  const name = program.container && unique('baton-test')
  const [command, args] = commandLine(program, name)
  const child = spawn(command, args, {
    ...(program.cwd && { cwd: program.cwd }),
    env: { ...process.env, ...program.env },
    stdio: [name ? 'pipe' : 'ignore', 'pipe', 'pipe']
  })
  endWithThisProcess()
  children.add(child)
  child.once('close', () => children.delete(child))
  child.unref()
  for (const stream of [child.stdin, child.stdout, child.stderr]) (stream as Socket | null)?.unref()

  let output = ''
  const watchers = new Set<() => void>()
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', text => {
      output = (output + text).slice(-OUTPUT_CHARS)
      program.heard?.(text)
      for (const watcher of watchers) watcher()
    })
  }
  const exited = new Promise<Exit>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, signal) => resolve({ code, signal }))
  })
  exited.catch(() => {})

  const isOver = () => child.exitCode !== null || child.signalCode !== null
  const tell = async (verb: string, signal: NodeJS.Signals) => {
    if (isOver()) return
    if (name) await execute('docker', [verb, name])
    else child.kill(signal)
  }
  let paused = false
  const resume = async () => {
    if (paused) await tell('unpause', 'SIGCONT')
    paused = false
  }
  return {
    get pid() {
      return child.pid ?? 0
    },
    get output() {
      return output
    },
    exited,
    async match(pattern, deadlineMs) {
      const found = Promise.withResolvers<RegExpExecArray>()
      const look = () => {
        const match = pattern.exec(output)
        if (match) found.resolve(match)
      }
      watchers.add(look)
      look()
      const early = exited.then(({ code, signal }) => {
        throw new Error(`exited with ${signal ?? code} before it wrote ${pattern}`)
      })
      early.catch(() => {})
      try {
        return await deadline(Promise.race([found.promise, early]), deadlineMs, `${pattern} from ${program.command}`)
      } catch (error) {
        throw new Error(`${program.command}: ${(error as Error).message}\n${output.slice(-4000)}`, { cause: error })
      } finally {
        watchers.delete(look)
      }
    },
    async stop(graceMs = 15_000) {
      await resume()
      child.kill('SIGTERM')
      return deadline(exited, graceMs, `the end of ${program.command}`).catch(() => this.kill())
    },
    async kill() {
      if (name) await resume()
      await tell('kill', 'SIGKILL')
      return deadline(exited, KILL_DEADLINE_MS, `the end of ${program.command}`)
    },
    async pause() {
      await tell('pause', 'SIGSTOP')
      paused = true
    },
    resume
  }
}

/** Runs a program to its end. @returns its output. @throws with it when the exit code is not 0. */
export async function run(program: Program): Promise<string> {
  const running = launch(program)
  const { code, signal } = await deadline(running.exited, RUN_DEADLINE_MS, `the end of ${program.command}`)
  if (code === 0) return running.output
  throw new Error(
    `${program.command} ${program.args.join(' ')}: exit ${signal ?? code}\n${running.output.slice(-4000)}`
  )
}

/** SIGTERM to this process when the one that started it is gone, even by kill -9. */
export function endWithParent() {
  const parent = process.ppid
  const watch = setInterval(() => {
    if (process.ppid === parent) return
    clearInterval(watch)
    process.kill(process.pid, 'SIGTERM')
  }, 250).unref()
}

/** A new folder, removed when this process exits. */
export function temporaryFolder(prefix: string): string {
  const folder = mkdtempSync(join(tmpdir(), `${prefix}-`))
  endWithThisProcess()
  folders.add(folder)
  return folder
}

function commandLine({ command, args, container }: Program, name: string | undefined): [string, string[]] {
  if (container) {
    const user = `${process.getuid?.() ?? 0}:${process.getgid?.() ?? 0}`
    const { image, folder } = container
    const options = ['--rm', '-i', '--init', '--network', 'host', '--user', user, '--name', name as string]
    const inside = ['-v', `${folder}:${folder}`, '--entrypoint', 'sh', image]
    return ['docker', ['run', ...options, ...inside, '-c', DIE_WITH_STDIN, 'sh', command, ...args]]
  }
  return tied(command, args)
}

/** A command line under which the program is killed when the thread that started it ends. */
export function tied(command: string, args: string[]): [string, string[]] {
  return existsSync(SETPRIV) ? [SETPRIV, ['--pdeathsig', 'KILL', '--', command, ...args]] : [command, args]
}

function endWithThisProcess() {
  if (ending) return
  ending = true
  process.once('exit', () => {
    for (const child of children) child.kill('SIGKILL')
    // A killed server may still write for a moment.
    for (const folder of folders) rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 20 })
  })
}
