export type Config = Record<string, Record<string, unknown>>

export const PARTITIONS = 6

/** What every replica of a scenario is configured with. */
export function configOf(topic: string, groupId: string, brokers: string[], url: string): Config {
  return {
    kafka: { brokers, groupId, sessionTimeoutMs: 3000, heartbeatIntervalMs: 300 },
    redis: { url, readTimeoutMs: 2000 },
    lifecycle: { drainTimeoutMs: 500, deadlineMs: 8000 },
    routes: {
      room: {
        topic: { name: topic, partitions: PARTITIONS, replicationFactor: 3 },
        channel: 'room:{room}',
        destination: '/room/{room}',
        log: { size: 20_000 },
        send: { key: '{room}' }
      }
    }
  }
}

/** Group by group. */
export function merge(config: Config, over: Config = {}): Config {
  const groups = Object.entries(over).map(([name, group]) => [name, { ...config[name], ...group }])
  return { ...config, ...Object.fromEntries(groups) }
}
