import { createHash } from 'node:crypto'
import { copyFileSync, cpSync, existsSync, globSync, mkdirSync, readFileSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { unique } from '../support/ids.ts'
import { run } from '../support/processes.ts'
import { cacheFolder, find } from '../support/toolchain.ts'
import { type Measuring, startMeasuring } from './measuring.ts'
import { type Server, startPeer } from './servers.ts'
import type { World } from './world.ts'

// What Baton is compared with, and where it comes from: npm and Maven, into the cache, the first time.

const PEERS = join(import.meta.dirname, 'peers')
const MANIFEST = join(PEERS, 'package.json')
const SPRING = join(PEERS, 'spring')
const JAR = 'spring-relay.jar'

export async function startStompBroker(): Promise<Server> {
  const folder = await filled('bench-peers', [MANIFEST], async filling => {
    copyFileSync(MANIFEST, join(filling, 'package.json'))
    await run({ command: 'npm', args: ['install', '--no-audit', '--no-fund', '--no-package-lock'], cwd: filling })
  })
  return startPeer('stomp-broker-js', ['stomp-broker.ts', folder], { load: { receipts: 0 } })
}

/** Spring's simple broker; with a topic, behind spring-kafka and Redis. Undefined, with a note, where Java or Maven is missing. */
export async function startSpring(world: World, topic?: string): Promise<Server | undefined> {
  const [java, maven] = [find('java'), find('mvn')]
  if (!java || !maven) {
    world.note('Spring is left out: there is no Java or no Maven on this machine')
    return undefined
  }
  const sources = globSync('*.{xml,java}', { cwd: SPRING }).map(name => join(SPRING, name))
  const folder = await filled('bench-spring', sources.sort(), async filling => {
    cpSync(SPRING, filling, { recursive: true })
    await run({ command: maven, args: ['-q', '-B', '-ntp', 'package'], cwd: filling })
  })
  const settings: Record<string, string> = {
    'server.address': '127.0.0.1',
    'server.port': '0',
    'logging.level.root': 'warn',
    ...(topic && {
      'bench.topic': topic,
      'spring.kafka.bootstrap-servers': (await world.kafka()).brokers.join(),
      'spring.kafka.consumer.group-id': unique('spring'),
      'spring.kafka.consumer.auto-offset-reset': 'earliest',
      'spring.data.redis.url': await world.redisUrl()
    })
  }
  const args = [
    '-jar',
    join(folder, 'target', JAR),
    ...Object.entries(settings).map(([name, value]) => `--${name}=${value}`)
  ]
  return startPeer('Spring', args, { command: java, load: { receipts: 0 } })
}

/** A program of peers/ on this Node. */
export function startProgram<T>(file: string, args: (string | number)[]): Measuring<T> {
  return startMeasuring(process.execPath, [join(PEERS, file), ...args.map(String)])
}

export interface Consumed {
  records: number
  cpuMs: number
  p50Ms: number
  p99Ms: number
}

/** kafkajs alone, from the beginning of a topic in a group of its own; the first `skip` records do not count. */
export function startConsumer(brokers: string[], topic: string, skip: number, count: number): Measuring<Consumed> {
  return startProgram('kafkajs-consumer.ts', [brokers.join(), topic, unique('bare'), skip, count])
}

/** A folder of the cache that belongs to this state of some files; filled apart and renamed, so that none is ever half full. */
async function filled(name: string, sources: string[], fill: (folder: string) => Promise<void>): Promise<string> {
  const hash = createHash('sha256')
  for (const source of sources) hash.update(readFileSync(source))
  const folder = join(cacheFolder(), `${name}-${hash.digest('hex').slice(0, 12)}`)
  if (existsSync(folder)) return folder
  const filling = `${folder}.${process.pid}`
  mkdirSync(filling, { recursive: true })
  await fill(filling)
  renameSync(filling, folder)
  return folder
}
