import type { Fault } from './faults.ts'
import type { Config, TopicConfig } from './normalize.ts'

// Routes name topics in several places; each topic is declared once.

export interface NamedTopic {
  /** Where the configuration names it, such as `routes.chat.topic`. */
  path: string
  topic: TopicConfig
}

/** Every place of the routes that names a topic. */
export function namedTopics(routes: Config['routes']): NamedTopic[] {
  return Object.entries(routes).flatMap(([name, { topic, send }]) => {
    const at = `routes.${name}`
    const produced = (send?.produce ?? []).map((record, index) => ({
      path: `${at}.send.produce.${index}.topic`,
      ...record
    }))
    return [
      { path: `${at}.topic`, topic },
      ...produced,
      { path: `${at}.send.reply.topic`, topic: send?.reply?.topic }
    ].flatMap(({ path, topic }) => (topic ? [{ path, topic }] : []))
  })
}

/** Of what is said of one topic, that which says most. */
export function fullest(named: readonly NamedTopic[]): TopicConfig {
  const [most] = named.map(({ topic }) => topic).toSorted((a, b) => Object.keys(b).length - Object.keys(a).length)
  return most as TopicConfig
}

/** One topic has one declaration, and what could not be routed is not routed. */
export function topicFaults({ kafka, routes }: Config): Fault[] {
  const faults: Fault[] = []
  const declared = new Map<string, string>()
  for (const { path, topic } of namedTopics(routes)) {
    if (Object.keys(topic).length > 1) {
      const text = JSON.stringify(Object.entries(topic).sort())
      if (text !== (declared.get(topic.name) ?? text)) {
        faults.push({ path, message: `declares ${topic.name} otherwise than the place before` })
      }
      declared.set(topic.name, text)
    }
    if (topic.name === kafka?.deadLetter.topic) faults.push({ path, message: 'is the dead-letter topic' })
  }
  return faults
}
