import type { KafkaServer } from '../support/kafka.ts'
import { startKafka } from '../support/kafka.ts'
import { type KafkaClient, withKafka } from '../support/kafka-client.ts'
import { waitFor } from '../support/wait.ts'
import { createLink, type Link } from './proxy.ts'

/** What all scenarios share: three brokers, and a second way to each that goes over a link. */
export interface World extends AsyncDisposable {
  readonly server: KafkaServer
  readonly kafka: KafkaClient
  /** A link to each broker, for one at a time; given back they are mended. */
  borrowLinks(): Promise<AsyncDisposable & { links: Link[] }>
  /** Resolves once every replica of these topics, and of the groups' offsets, is in sync. */
  whole(topics?: string[]): Promise<void>
}

const BROKERS = 3
const WHOLE_MS = 60_000
const OFFSETS_TOPIC = '__consumer_offsets'

export async function openWorld(): Promise<World> {
  await using opening = new AsyncDisposableStack()
  const links = await Promise.all(Array.from({ length: BROKERS }, () => createLink()))
  for (const link of links) opening.use(link)
  const server = opening.use(await startKafka({ brokers: BROKERS, proxies: links.map(({ port }) => port) }))
  for (const [index, port] of server.proxied.entries()) (links[index] as Link).target = port
  const { brokers } = server
  const config = { brokers, connectionTimeout: 1000, requestTimeout: 5000, retry: { retries: 8, maxRetryTime: 500 } }
  const kafka = opening.use(await withKafka(config))
  const stack = opening.move()
  let lent: Promise<void> = Promise.resolve()
  return {
    server,
    kafka,
    async borrowLinks() {
      const before = lent
      const { promise, resolve } = Promise.withResolvers<void>()
      lent = promise
      await before
      return {
        links,
        async [Symbol.asyncDispose]() {
          for (const link of links) link.mend()
          resolve()
        }
      }
    },
    async whole(topics = []) {
      const inSync = async () => {
        const metadata = await kafka.admin.fetchTopicMetadata({ topics: [...topics, OFFSETS_TOPIC] })
        return metadata.topics.every(({ partitions }) => partitions.every(({ isr }) => isr.length === BROKERS))
      }
      await waitFor(inSync, { deadlineMs: WHOLE_MS, what: 'every replica in Kafka to be in sync' })
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync()
  }
}
