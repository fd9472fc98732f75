import { launch } from '../support/processes.ts'
import { deadline } from '../support/wait.ts'

/** A process that measures: it says `live` when it is ready, prints its result as a line of JSON, and ends. */
export interface Measuring<T> {
  live(): Promise<void>
  /** @throws what it complains of. */
  result(): Promise<T>
  /** Ends one that has nothing to wait for. */
  stop(): Promise<T>
}

export const LIMIT_MS = 300_000

export function startMeasuring<T>(command: string, args: string[]): Measuring<T> {
  const running = launch({ command, args })

  async function result(): Promise<T> {
    const [line] = await running.match(/^\{.*\}$/m, LIMIT_MS)
    await deadline(running.exited, LIMIT_MS, `the end of ${command}`)
    return JSON.parse(line)
  }

  return {
    async live() {
      await running.match(/^live$/m, LIMIT_MS)
    },
    result,
    async stop() {
      await running.stop()
      return result()
    }
  }
}
