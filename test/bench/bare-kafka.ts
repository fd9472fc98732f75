import { join } from 'node:path'
import { unique } from '../support/ids.ts'
import { launch } from '../support/processes.ts'
import { deadline } from '../support/wait.ts'

// The bare kafkajs processes of peers/: each prints its result and ends.

const LIMIT_MS = 120_000

export interface Consumed {
  records: number
  cpuMs: number
  p50Ms: number
  p99Ms: number
}

export interface BareConsumer {
  /** It has its partitions. */
  live(): Promise<unknown>
  result(): Promise<Consumed>
}

/** Consumes a topic from its beginning in a group of its own; the first `skip` records do not count. */
export function startBareConsumer(brokers: string[], topic: string, skip: number, count: number): BareConsumer {
  const running = launchPeer('kafkajs-consumer.ts', [brokers.join(), topic, unique('bare'), `${skip}`, `${count}`])
  return { live: () => running.match(/^live$/m, LIMIT_MS), result: () => resultOf(running) }
}

export function launchPeer(file: string, args: string[]): ReturnType<typeof launch> {
  return launch({ command: process.execPath, args: [join(import.meta.dirname, 'peers', file), ...args] })
}

export async function resultOf<T>(running: ReturnType<typeof launch>): Promise<T> {
  const [line] = await running.match(/^\{.*\}$/m, LIMIT_MS)
  await deadline(running.exited, LIMIT_MS, 'the end of a peer')
  return JSON.parse(line)
}
