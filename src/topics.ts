import type { Config } from './config.ts'

/** A topic that routes consume, as the configuration declares it. */
export interface DeclaredTopic {
  name: string
  partitions?: number
  replicationFactor?: number
  config?: Record<string, string>
}

/** What a record needs besides the body and headers of a SEND: its key, its framing, and stamps. Bytes. */
const RECORD_ROOM_BYTES = 65_536

/** Each topic of the routes once; where one route declares it in full, that declaration. */
export function topicsOf({ routes, stomp }: Pick<Config, 'routes' | 'stomp'>): DeclaredTopic[] {
  const topics = new Map<string, DeclaredTopic>()
  for (const { topic } of Object.values(routes)) {
    const known = topics.get(topic.name)
    if (!known || Object.keys(topic).length > Object.keys(known).length) topics.set(topic.name, topic)
  }
  return [...topics.values()].map(topic => ({ ...topic, config: { ...sizeFor(stomp), ...topic.config } }))
}

/** The dead-letter topic, which takes whatever the others hold. */
export function deadLetterTopicOf({ kafka, stomp }: Pick<Config, 'kafka' | 'stomp'>): DeclaredTopic {
  const { topic: name = 'baton.dead-letter', ...numbers } = kafka?.deadLetter ?? {}
  return { name, ...numbers, config: sizeFor(stomp) }
}

/** Kafka's own limit, 1 MiB with all framing, would refuse a body of 1 MiB. */
function sizeFor({ maxBodyBytes, maxHeaderBytes }: Config['stomp']): Record<string, string> {
  return { 'max.message.bytes': String(maxBodyBytes + maxHeaderBytes + RECORD_ROOM_BYTES) }
}
