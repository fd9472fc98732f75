import type { Admin } from 'kafkajs'
import type { Logger } from 'pino'
import type { KafkaClient } from './client.ts'

/** What goes on is said again only then. */
export const SAY_EVERY_MS = 10_000

export interface LinkLog {
  /** Kafka does not answer: said at once, then each ten seconds. */
  lost(error: unknown): void
  /** Said once after `lost`. */
  found(): void
}

export function createLinkLog(logger: Logger, what: string): LinkLog {
  let saidAt: number | undefined
  return {
    lost(error) {
      if (saidAt !== undefined && performance.now() - saidAt < SAY_EVERY_MS) return
      saidAt = performance.now()
      logger.warn({ err: error }, `${what}: Kafka is away, waiting for it`)
    },
    found() {
      if (saidAt !== undefined) logger.info(`${what}: Kafka is back`)
      saidAt = undefined
    }
  }
}

export interface AdminLink {
  /** @throws what kafkajs throws; the next use then begins with a new connection. */
  use<T>(task: (admin: Admin) => Promise<T>): Promise<T>
  close(): Promise<void>
}

/** An admin client that is connected when first used, and replaced after a failure. */
export function createAdminLink(client: KafkaClient): AdminLink {
  let current: { admin: Admin; connected: Promise<void> } | undefined

  async function drop(link: typeof current): Promise<void> {
    if (link === current) current = undefined
    await link?.admin.disconnect().catch(() => {})
  }

  function connect() {
    const admin = client.admin()
    return { admin, connected: admin.connect() }
  }

  return {
    async use(task) {
      current ??= connect()
      const link = current
      try {
        await link.connected
        return await task(link.admin)
      } catch (error) {
        void drop(link)
        throw error
      }
    },
    close: () => drop(current)
  }
}

/** The protocol error (`UNKNOWN_TOPIC_OR_PARTITION`, …) at the bottom of what kafkajs threw. */
export function protocolError(error: unknown): { type: string; retriable: boolean } | undefined {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    const { type, retriable } = cause as Error & { type?: unknown; retriable?: unknown }
    if (typeof type === 'string') return { type, retriable: retriable === true }
  }
  return undefined
}

/** What kafkajs wrapped, often more than once. */
export function rootOf(error: unknown): unknown {
  return error instanceof Error && error.cause ? rootOf(error.cause) : error
}
