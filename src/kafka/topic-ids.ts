import type { AdminLink } from './link.ts'

export interface TopicIds {
  /**
   * The id of the topic that has this name now, or had it at most 100 ms ago: one that was deleted and made anew has another.
   * Undefined where brokers do not say (Kafka before 2.8). @throws when Kafka is away or has no such topic.
   */
  of(topic: string): Promise<string | undefined>
}

/** A batch that comes later than that after the last question has it asked again: ten times a second, however many batches. */
const VALID_MS = 100

export function createTopicIds(admin: AdminLink): TopicIds {
  const asked = new Map<string, { atMs: number; id: Promise<string | undefined> }>()

  async function ask(topic: string): Promise<string | undefined> {
    const { topics } = await admin.use(connected => connected.fetchTopicMetadata({ topics: [topic] }))
    const [first] = topics[0]?.partitions ?? []
    return (first as { topicId?: string } | undefined)?.topicId
  }

  return {
    async of(topic) {
      const last = asked.get(topic)
      if (last && performance.now() - last.atMs < VALID_MS) return last.id
      const id = ask(topic)
      asked.set(topic, { atMs: performance.now(), id })
      id.catch(() => asked.delete(topic))
      return id
    }
  }
}
