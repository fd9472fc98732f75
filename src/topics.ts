import type { TopicConfig } from './config/normalize.ts'
import { fullest, namedTopics } from './config/topics.ts'
import type { Config } from './config.ts'

/** A topic that routes name, as the configuration declares it. */
export interface DeclaredTopic extends TopicConfig {
  /** Its records go to channels, or answer requests; those of others are only produced. */
  consumed: boolean
}

/** What a record needs besides the body and headers of a SEND: its key, its framing, and stamps. Bytes. */
const RECORD_ROOM_BYTES = 65_536

/** Each topic of the routes once; where one route declares it in full, that declaration. */
export function topicsOf({ routes, stomp }: Pick<Config, 'routes' | 'stomp'>): DeclaredTopic[] {
  const consumed = new Set(
    Object.values(routes).flatMap(({ topic, channel, send }) => [
      ...(topic && channel ? [topic.name] : []),
      ...(send?.reply ? [send.reply.topic.name] : [])
    ])
  )
  const named = Map.groupBy(namedTopics(routes), ({ topic }) => topic.name)
  return [...named].map(([name, all]) => ({
    ...fullest(all),
    consumed: consumed.has(name),
    config: { ...sizeFor(stomp), ...fullest(all).config }
  }))
}

/** The dead-letter topic, which takes whatever the others hold. */
export function deadLetterTopicOf({ kafka, stomp }: Pick<Config, 'kafka' | 'stomp'>): DeclaredTopic {
  const { topic: name = 'baton.dead-letter', ...numbers } = kafka?.deadLetter ?? {}
  return { name, ...numbers, consumed: false, config: sizeFor(stomp) }
}

/** Kafka's own limit, 1 MiB with all framing, would refuse a body of 1 MiB. */
function sizeFor({ maxBodyBytes, maxHeaderBytes }: Config['stomp']): Record<string, string> {
  return { 'max.message.bytes': String(maxBodyBytes + maxHeaderBytes + RECORD_ROOM_BYTES) }
}
