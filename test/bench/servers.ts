import { join } from 'node:path'
import { type BatonOptions, NODE_FLAGS, startBaton } from '../support/baton.ts'
import { launch } from '../support/processes.ts'

/** A contender that speaks STOMP over WebSocket. */
export interface Server extends AsyncDisposable {
  name: string
  pid: number
  /** What the load generator must know of it. */
  load: {
    host: string
    port: number
    path: string
    subscribe: string
    send: string
    /** 1: it answers SUBSCRIBE with a RECEIPT. */
    receipts: 0 | 1
    /** Set: messages are published in Redis there, to these channels, instead of sent to the server. */
    redisPort?: number
    publish?: string
  }
}

const START_DEADLINE_MS = 180_000
const TOPIC = { path: '/ws', subscribe: '/topic/r{}', send: '/topic/r{}', receipts: 1 } as const

/** A Baton; the embedded default without options. */
export async function startBatonServer(
  options: BatonOptions = {},
  load: Partial<Server['load']> = {}
): Promise<Server> {
  // The load generator is one sender for all.
  const env = { BATON_STOMP_SENDS_PER_SECOND: '0', BATON_STOMP_MAX_SESSIONS_PER_ADDRESS: '0', ...options.env }
  const baton = await startBaton({ ...options, env })
  return {
    name: 'Baton',
    pid: baton.pid,
    load: { ...TOPIC, host: '127.0.0.1', port: baton.port, ...load },
    [Symbol.asyncDispose]: () => baton[Symbol.asyncDispose]()
  }
}

/** A server that prints its URL: a file of peers/ on this Node, unless a command is given. */
export async function startPeer(
  name: string,
  args: string[],
  { command = process.execPath, load = {} }: { command?: string; load?: Partial<Server['load']> } = {}
): Promise<Server> {
  const flags = command === process.execPath ? NODE_FLAGS : []
  const peer = launch({ command, args: [...flags, ...args], cwd: join(import.meta.dirname, 'peers') })
  try {
    const [, port] = await peer.match(/http:\/\/127\.0\.0\.1:(\d+)/, START_DEADLINE_MS)
    return {
      name,
      pid: peer.pid,
      load: { ...TOPIC, host: '127.0.0.1', port: Number(port), ...load },
      async [Symbol.asyncDispose]() {
        await peer.stop()
      }
    }
  } catch (error) {
    await peer.kill()
    throw error
  }
}
