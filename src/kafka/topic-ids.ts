import type { AdminLink } from './link.ts'

export interface TopicIds {
  /**
   * The id of the topic that has this name now, or had it at most 100 ms ago: one that was deleted and made anew has another.
   * Undefined where brokers do not say (Kafka before 2.8). @throws when Kafka is away or has no such topic.
   */
  of(topic: string): Promise<string | undefined>
  /** The same at once, where it is known: it stays known to who asks more often than that. */
  known(topic: string): { id: string | undefined } | undefined
}

/** A batch that comes later than that after the last question has it asked again. */
const VALID_MS = 100
/** Before, so that a stream of batches waits for no answer: twenty times a second at most, however many batches. */
const RENEW_MS = 50

export function createTopicIds(admin: AdminLink): TopicIds {
  const asked = new Map<string, { atMs: number; id: Promise<string | undefined> }>()
  const answers = new Map<string, { atMs: number; id: string | undefined }>()

  async function ask(topic: string, atMs: number): Promise<string | undefined> {
    const { topics } = await admin.use(connected => connected.fetchTopicMetadata({ topics: [topic] }))
    const [first] = topics[0]?.partitions ?? []
    const id = (first as { topicId?: string } | undefined)?.topicId
    answers.set(topic, { atMs, id })
    return id
  }

  function askedWithin(ms: number, topic: string): Promise<string | undefined> {
    const last = asked.get(topic)
    const atMs = performance.now()
    if (last && atMs - last.atMs < ms) return last.id
    const id = ask(topic, atMs)
    asked.set(topic, { atMs, id })
    id.catch(() => asked.delete(topic))
    return id
  }

  return {
    of: topic => askedWithin(VALID_MS, topic),
    known(topic) {
      const answer = answers.get(topic)
      if (!answer || performance.now() - answer.atMs >= VALID_MS) return undefined
      // Who comes when no answer is known any more hears why.
      askedWithin(RENEW_MS, topic).catch(() => undefined)
      return answer
    }
  }
}
