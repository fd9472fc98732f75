import kafkajs, { type Admin, type ITopicMetadata } from 'kafkajs'
import type { Logger } from 'pino'
import { BatonError } from '../errors.ts'
import { type AdminLink, protocolError } from './link.ts'

/** A topic as the configuration names it. What is left out is the broker's default at creation and not checked later. */
export interface TopicDeclaration {
  name: string
  partitions?: number | undefined
  replicationFactor?: number | undefined
  /** Topic settings by Kafka's names, such as `max.message.bytes`. */
  config?: Record<string, string> | undefined
}

/** The declared topics, for all parts of a process that need them: whichever is first creates and checks them, the others wait. */
export interface Topics {
  /** Resolves once Kafka has them, from then on at once. @throws what `ensureTopics` throws. */
  ensure(admin: AdminLink): Promise<void>
  /** Something failed: they may be gone, and the next `ensure` looks again. */
  forget(): void
}

export interface TopicsDeps {
  logger: Logger
  /** Kafka has them in a way that cannot work: the process must end. */
  onFatal: (error: unknown) => void
}

export interface TopicFindings {
  missing: TopicDeclaration[]
  /** Kafka has it otherwise, and it works. */
  warnings: string[]
  /** Kafka has it otherwise, and it does not. */
  faults: string[]
}

const BROKER_DEFAULT = -1
const CREATE_TIMEOUT_MS = 10_000

export function createTopics(declared: TopicDeclaration[], { logger, onFatal }: TopicsDeps): Topics {
  let ensuring: Promise<void> | undefined

  async function look(admin: AdminLink): Promise<void> {
    try {
      await admin.use(connected => ensureTopics(connected, declared, logger))
    } catch (error) {
      if (error instanceof BatonError) onFatal(error)
      else ensuring = undefined
      throw error
    }
  }

  return {
    ensure(admin) {
      ensuring ??= look(admin)
      return ensuring
    },
    forget() {
      ensuring = undefined
    }
  }
}

/** Compares what is declared with what Kafka has; changes nothing. */
export async function checkTopics(admin: Admin, declared: TopicDeclaration[]): Promise<TopicFindings> {
  const existing = new Set(await admin.listTopics())
  const findings: TopicFindings = {
    missing: declared.filter(({ name }) => !existing.has(name)),
    warnings: [],
    faults: []
  }
  const present = declared.filter(({ name }) => existing.has(name))
  if (present.length === 0) return findings
  const { topics } = await admin.fetchTopicMetadata({ topics: present.map(({ name }) => name) })
  const settings = await readSettings(admin, present)
  for (const declaration of present) {
    const metadata = topics.find(({ name }) => name === declaration.name) as ITopicMetadata
    compare(declaration, metadata, settings.get(declaration.name) ?? new Map(), findings)
  }
  return findings
}

function compare(
  { name, partitions, replicationFactor, config = {} }: TopicDeclaration,
  metadata: ITopicMetadata,
  settings: Map<string, string>,
  { warnings, faults }: TopicFindings
): void {
  const actual = metadata.partitions.length
  if (partitions !== undefined && actual < partitions)
    faults.push(
      `topic "${name}" has ${actual} partitions and ${partitions} are declared: declare ${actual}, or add partitions with kafka-topics --alter`
    )
  if (partitions !== undefined && actual > partitions)
    warnings.push(`topic "${name}" has ${actual} partitions, ${partitions} are declared: all are used`)
  const replicas = metadata.partitions[0]?.replicas.length
  if (replicationFactor !== undefined && replicas !== replicationFactor)
    warnings.push(`topic "${name}" has replication factor ${replicas}, ${replicationFactor} is declared: left as it is`)
  for (const [key, value] of Object.entries(config))
    if (settings.get(key) !== value)
      warnings.push(`topic "${name}" has ${key}=${settings.get(key)}, ${value} is declared: left as it is`)
}

async function readSettings(admin: Admin, declared: TopicDeclaration[]): Promise<Map<string, Map<string, string>>> {
  const resources = declared
    .filter(({ config }) => config)
    .map(({ name, config = {} }) => ({
      type: kafkajs.ConfigResourceTypes.TOPIC,
      name,
      configNames: Object.keys(config)
    }))
  if (resources.length === 0) return new Map()
  const answer = await admin.describeConfigs({ resources, includeSynonyms: false })
  return new Map(
    answer.resources.map(({ resourceName, configEntries }) => [
      resourceName,
      new Map(configEntries.map(({ configName, configValue }) => [configName, configValue]))
    ])
  )
}

/**
 * Creates the declared topics that are missing and waits until each partition has a leader; says what Kafka has otherwise.
 * @throws BatonError with every fault, when what exists cannot be used; another error, when a topic could not be created now
 *   (Kafka away, too few brokers up): try again.
 */
export async function ensureTopics(admin: Admin, declared: TopicDeclaration[], logger: Logger): Promise<void> {
  const { missing, warnings, faults } = await checkTopics(admin, declared)
  if (faults.length > 0) throw new BatonError('INTERNAL', faults.join('; '))
  for (const warning of warnings) logger.warn(warning)
  const failures: string[] = []
  for (const declaration of missing) {
    try {
      if (await create(admin, declaration)) logger.info({ topic: declaration.name }, 'topic created')
    } catch (error) {
      failures.push(`topic "${declaration.name}" cannot be created: ${reasonOf(error)}`)
    }
  }
  if (failures.length > 0) throw new Error(failures.join('; '))
}

/** @returns false when another replica was first. */
function create(
  admin: Admin,
  { name, partitions, replicationFactor, config = {} }: TopicDeclaration
): Promise<boolean> {
  return admin.createTopics({
    waitForLeaders: true,
    timeout: CREATE_TIMEOUT_MS,
    topics: [
      {
        topic: name,
        numPartitions: partitions ?? BROKER_DEFAULT,
        replicationFactor: replicationFactor ?? BROKER_DEFAULT,
        configEntries: Object.entries(config).map(([key, value]) => ({ name: key, value }))
      }
    ]
  })
}

function reasonOf(error: unknown): string {
  const first = error instanceof Error && 'errors' in error && Array.isArray(error.errors) ? error.errors[0] : error
  return `${protocolError(first)?.type ?? 'no answer'}: ${first instanceof Error ? first.message : String(first)}`
}
