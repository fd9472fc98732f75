import type { Config, RouteConfig, SendConfig, TopicConfig } from '../config/normalize.ts'

// The way of a record in plain text: how it comes in and who may send it, where it goes and who may subscribe, what is kept.

/** @returns lines for people. */
export function explainRoutes(routes: Config['routes']): string[] {
  return Object.entries(routes).flatMap(([name, route]) => [
    `route ${name}`,
    ...(route.send ? wayIn(route.send, route) : []),
    ...wayOut(route)
  ])
}

function wayIn(send: SendConfig, { topic, allow }: RouteConfig): string[] {
  const ways = [...(send.destination ? [`SEND ${send.destination}`] : []), ...(send.http ? [send.http] : [])].join(', ')
  const records = send.produce ?? [send]
  const to = records.map(record => toTopic(record, topic)).join('; ')
  const together = records.length > 1 ? '; all or none' : ''
  const reply =
    send.reply && `  answer  ${topicText(send.reply.topic)} → who sent, within ${duration(send.reply.timeoutMs)}`
  return [
    `  in      ${ways} → ${to}${together}`,
    ...(reply ? [reply] : []),
    `  send    ${who(allow.send)}${send.schema === undefined ? '' : ', if the body holds to its schema'}`
  ]
}

function toTopic(
  record: Pick<SendConfig, 'key' | 'partition' | 'forEach'> & { topic?: TopicConfig },
  own?: TopicConfig
): string {
  const topic = record.topic ?? own
  const details = [
    ...(record.key === undefined ? [] : [`key ${record.key}`]),
    ...(record.partition === undefined ? [] : [`partition ${record.partition}`]),
    ...(record.forEach === undefined ? [] : [`one for each of ${record.forEach}`])
  ]
  return [...(topic ? [topicText(topic)] : []), ...details].join(', ')
}

function wayOut({ topic, channel, destination, log, history, allow }: RouteConfig): string[] {
  if (!topic || channel === undefined) return []
  const except = history.except ? `, without ${list(history.except)}` : ''
  const age = history.maxAgeMs === undefined ? '' : ` not older than ${duration(history.maxAgeMs)}`
  return [
    `  out     ${topicText(topic)} → channel ${channel} → destination ${destination}`,
    `  read    subscribe: ${who(allow.subscribe)}; history and resume: ${who(allow.history)}`,
    `  kept    of each channel the last ${log.size} messages, until ${duration(log.ttlMs)} after the last; history shows ${history.size}${age}${except}`
  ]
}

function topicText({ name, partitions, replicationFactor }: TopicConfig): string {
  const numbers = [
    ...(partitions === undefined ? [] : [`${partitions} partition${partitions === 1 ? '' : 's'}`]),
    ...(replicationFactor === undefined ? [] : [`${replicationFactor} replica${replicationFactor === 1 ? '' : 's'}`])
  ]
  return numbers.length > 0 ? `topic ${name} (${numbers.join(', ')})` : `topic ${name}`
}

function who(condition: RouteConfig['allow']['send']): string {
  return typeof condition === 'string' ? condition : `who has ${list(condition)}`
}

function list(values: Readonly<Record<string, unknown>>): string {
  return Object.entries(values)
    .map(([name, value]) => `${name} ${[value].flat().join(' or ')}`)
    .join(' and ')
}

const UNITS = [
  [86_400_000, 'd'],
  [3_600_000, 'h'],
  [60_000, 'm'],
  [1000, 's'],
  [1, 'ms']
] as const

function duration(ms: number): string {
  const [size, unit] = UNITS.find(([size]) => ms % size === 0) as (typeof UNITS)[number]
  return `${ms / size}${unit}`
}
