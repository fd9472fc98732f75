import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Kafka, logLevel } from 'kafkajs'
import { type KafkaProgram, kafkaProgram, prepareKafka } from './kafka-program.ts'
import { type BrokerPorts, brokerProperties, type KafkaTls, type KafkaUser } from './kafka-properties.ts'
import { onFreePorts } from './ports.ts'
import { launch, type Running, run, temporaryFolder } from './processes.ts'
import { waitFor } from './wait.ts'

export interface KafkaOptions {
  /** Combined brokers and controllers; with 3: replication factor 3, min.insync.replicas 2. Default 1. */
  brokers?: 1 | 3
  /** Of every broker; these win. */
  properties?: Record<string, string | number | boolean>
  /** Clients authenticate: PLAIN, SCRAM-SHA-256 and SCRAM-SHA-512 are all on. */
  sasl?: KafkaUser
  tls?: KafkaTls
  /** Port of a proxy before each broker: whoever connects there is told these ports and no other. */
  proxies?: number[]
}

export interface KafkaServer extends AsyncDisposable {
  /** `host:port` of each broker. */
  readonly brokers: string[]
  /** Where the proxy of each broker has to lead. */
  readonly proxied: number[]
  stop(): Promise<void>
  /** SIGKILL to one broker; the first by default. */
  kill(index?: number): Promise<void>
  /** Starts one broker again, stopped first if it runs: same ports, same data. */
  restart(index?: number): Promise<void>
  /** SIGSTOP: links stay open and nothing answers. */
  pause(index?: number): Promise<void>
  resume(index?: number): Promise<void>
}

const CLUSTER_ID = 'batonTestClusterAAAAAA'
const START_DEADLINE_MS = 60_000
/** Of one broker. */
const PORTS = 4

/** A Kafka of its own, for a test that stops it or configures it. Ready for groups when it resolves. */
export async function startKafka(options: KafkaOptions = {}): Promise<KafkaServer> {
  return startWith(await kafkaProgram(), options)
}

/** Fetches what `startKafka` needs, once; it works without, more slowly. */
export function prepareKafkaCache(): Promise<void> {
  return prepareKafka(async program => {
    const kafka = await startWith(program, {})
    await kafka.stop()
  })
}

let shared: Promise<{ brokers: string[] }> | undefined

/** The Kafka of the whole run; without a runner, one of this process that ends with it. */
export async function sharedKafka(): Promise<{ brokers: string[] }> {
  const brokers = process.env['BATON_TEST_KAFKA']?.split(',')
  if (brokers) return { brokers }
  shared ??= startKafka()
  return { brokers: (await shared).brokers }
}

async function startWith(program: KafkaProgram, options: KafkaOptions): Promise<KafkaServer> {
  const indexes = Array.from({ length: options.brokers ?? 1 }, (_, index) => index)
  return onFreePorts(PORTS * indexes.length, async ports => {
    const cluster = createCluster(program, ports, options)
    try {
      await Promise.all(indexes.map(cluster.format))
      await Promise.all(indexes.map(cluster.restart))
      await groupsReady(cluster.brokers, options)
      return cluster
    } catch (error) {
      await cluster.stop()
      throw error
    }
  })
}

function createCluster(
  program: KafkaProgram,
  numbers: number[],
  { properties = {}, sasl, tls, proxies }: KafkaOptions
) {
  const folder = temporaryFolder('baton-kafka')
  const ports = Array.from({ length: numbers.length / PORTS }, (_, index): BrokerPorts => {
    const [client = 0, internal = 0, controller = 0, own = 0] = numbers.slice(PORTS * index)
    const told = proxies?.[index]
    return { client, internal, controller, ...(told && { proxied: { own, told } }) }
  })
  const running = new Map<number, Running>()
  const propertiesFile = (index: number) => join(folder, `${index}.properties`)

  const stopOne = async (index: number) => {
    await running.get(index)?.stop()
  }
  return {
    brokers: ports.map(({ client }) => `127.0.0.1:${client}`),
    proxied: ports.flatMap(({ proxied }) => (proxied ? [proxied.own] : [])),
    async format(index: number) {
      const own = join(folder, `${index}`)
      const settings = { nodeId: index + 1, ports, folder: own, sasl, tls, properties }
      writeFileSync(propertiesFile(index), brokerProperties(settings))
      if (sasl) {
        const user = `[name=${sasl.username},password=${sasl.password}]`
        const users = ['256', '512'].flatMap(bits => ['--add-scram', `SCRAM-SHA-${bits}=${user}`])
        const format = ['format', '-t', CLUSTER_ID, '-c', propertiesFile(index), ...users]
        await run(program('kafka.tools.StorageTool', format, folder))
      } else {
        // All that `StorageTool format` writes where there are no users, without the second it takes.
        mkdirSync(join(own, 'data'), { recursive: true })
        const meta = `version=1\ncluster.id=${CLUSTER_ID}\nnode.id=${index + 1}\n`
        writeFileSync(join(own, 'data', 'meta.properties'), meta)
      }
    },
    async stop() {
      await Promise.all([...running.keys()].map(stopOne))
    },
    async kill(index = 0) {
      await running.get(index)?.kill()
    },
    async restart(index = 0) {
      await stopOne(index)
      const broker = launch(program('kafka.Kafka', [propertiesFile(index)], folder))
      running.set(index, broker)
      await broker.match(/Kafka Server started/, START_DEADLINE_MS)
    },
    async pause(index = 0) {
      await running.get(index)?.pause()
    },
    async resume(index = 0) {
      await running.get(index)?.resume()
    },
    async [Symbol.asyncDispose]() {
      await this.stop()
    }
  }
}

// The first to ask for a group makes the broker create its offsets topic; until that is loaded, a join may fail.
async function groupsReady(brokers: string[], { sasl, tls }: KafkaOptions) {
  const kafka = new Kafka({
    brokers,
    logLevel: logLevel.NOTHING,
    ...(sasl && { sasl: { mechanism: 'plain', ...sasl } }),
    ...(tls && { ssl: { ca: tls.cert, checkServerIdentity: () => undefined } })
  })
  const admin = kafka.admin()
  await admin.connect()
  try {
    const ready = () => admin.fetchOffsets({ groupId: 'warm-up' }).then(() => true)
    await waitFor(ready, { deadlineMs: START_DEADLINE_MS, what: 'the group coordinator' })
  } finally {
    await admin.disconnect()
  }
}
