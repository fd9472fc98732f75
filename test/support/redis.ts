import { onFreePorts } from './ports.ts'
import { launch, type Running, temporaryFolder } from './processes.ts'
import { dockerImage, redisServer } from './toolchain.ts'

export interface RedisOptions {
  /** Keeps its data over `restart` and `kill`. Default false. */
  appendonly?: boolean
  /** More of redis-server's command line; comes last, so it wins. */
  args?: string[]
}

export interface RedisServer extends AsyncDisposable {
  readonly port: number
  /** `redis://127.0.0.1:port` */
  readonly url: string
  stop(): Promise<void>
  /** SIGKILL. */
  kill(): Promise<void>
  /** Starts it again, stopped first if it runs: same port, same folder. */
  restart(): Promise<void>
  /** SIGSTOP: links stay open and nothing answers. */
  pause(): Promise<void>
  resume(): Promise<void>
}

const START_DEADLINE_MS = 20_000

/** A Redis of its own for a test that stops it, fills it or configures it. */
export async function startRedis({ appendonly = false, args = [] }: RedisOptions = {}): Promise<RedisServer> {
  const folder = temporaryFolder('baton-redis')
  const image = await dockerImage('redis:7')
  const command = image ? 'redis-server' : await redisServer()

  const start = async (port: number): Promise<Running> => {
    const settings = { port, bind: '127.0.0.1', save: '', appendonly: appendonly ? 'yes' : 'no', dir: folder }
    const line = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, `${value}`])
    const server = launch({ command, args: [...line, ...args], ...(image && { container: { image, folder } }) })
    await server.match(/Ready to accept connections/, START_DEADLINE_MS)
    return server
  }

  let { port, server } = await onFreePorts(1, async ([port = 0]) => ({ port, server: await start(port) }))
  const stop = async () => {
    await server.stop()
  }
  return {
    port,
    url: `redis://127.0.0.1:${port}`,
    stop,
    async kill() {
      await server.kill()
    },
    async restart() {
      await stop()
      server = await start(port)
    },
    pause: () => server.pause(),
    resume: () => server.resume(),
    [Symbol.asyncDispose]: stop
  }
}

let shared: Promise<{ url: string }> | undefined

/** The Redis of the whole run; without a runner, one of this process that ends with it. Use a prefix of your own. */
export async function sharedRedis(): Promise<{ url: string }> {
  const url = process.env['BATON_TEST_REDIS']
  if (url) return { url }
  shared ??= startRedis()
  return { url: (await shared).url }
}
