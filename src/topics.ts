import type { Config } from './config.ts'

/** A topic that routes consume, as the configuration declares it. */
export interface DeclaredTopic {
  name: string
  partitions?: number
  replicationFactor?: number
  config?: Record<string, string>
}

/** Each topic of the routes once; where one route declares it in full, that declaration. */
export function topicsOf({ routes }: Pick<Config, 'routes'>): DeclaredTopic[] {
  const topics = new Map<string, DeclaredTopic>()
  for (const { topic } of Object.values(routes)) {
    const known = topics.get(topic.name)
    if (!known || Object.keys(topic).length > Object.keys(known).length) topics.set(topic.name, topic)
  }
  return [...topics.values()]
}
