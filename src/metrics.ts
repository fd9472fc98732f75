import { Counter, Gauge, Histogram, Registry } from 'prom-client'

export type Metrics = ReturnType<typeof createMetrics>

/** Every metric of a process, in a registry of its own. Names and labels are listed in docs/operating.md. */
export function createMetrics() {
  const registry = new Registry()
  const registers = [registry]
  const counter = <L extends string>(name: string, help: string, labelNames: readonly L[] = []) =>
    new Counter({ name: `baton_${name}`, help, labelNames, registers })
  const gauge = <L extends string>(name: string, help: string, labelNames: readonly L[] = []) =>
    new Gauge({ name: `baton_${name}`, help, labelNames, registers })
  return {
    registry,
    records: counter('records_consumed_total', 'Records consumed from Kafka.', ['topic']),
    appended: counter('entries_appended_total', 'Channel entries appended to the log and published.', ['topic']),
    suppressed: counter('entries_suppressed_total', 'Redelivered entries that the fence skipped.', ['topic']),
    deadLettered: counter('records_dead_lettered_total', 'Records that no route could take.', ['topic', 'cause']),
    rewinds: counter('relay_rewinds_total', 'Times Redis was found behind and the relay went back.', ['cause']),
    lag: gauge('consumer_lag_records', 'Records of an owned partition not yet consumed.', ['topic', 'partition']),
    produced: counter('records_produced_total', 'Records Kafka acknowledged.', ['route']),
    replies: counter('replies_total', 'What became of requests that wait for replies, and of replies.', ['outcome']),
    refused: counter('refusals_total', 'Refusals sent to clients, by code.', ['code']),
    deliveries: counter('deliveries_total', 'MESSAGE frames handed to sockets.'),
    sessions: gauge('sessions', 'Connected STOMP sessions.'),
    subscriptions: gauge('subscriptions', 'Live subscriptions.'),
    channels: gauge('channels', 'Channels followed on the bus.'),
    nacks: counter('nacks_total', 'NACK frames received; nothing is redelivered.'),
    slowCloses: counter('slow_closes_total', 'Sessions closed because they read too slowly.', ['cause']),
    slowSkips: counter(
      'slow_skips_total',
      'Messages left out for clients that read too slowly, by the `slow` of their route.',
      ['policy']
    ),
    sendQueues: gauge('send_queues_bytes', 'Bytes that wait for slow clients, all together; every 5 s.'),
    heals: counter('heals_total', 'Channels read again from the log because a position did not follow.'),
    gaps: counter('gaps_total', 'Holes that could not be healed and were told to clients.', ['where']),
    resumes: counter('resumes_total', 'Subscriptions that asked to resume.', ['resumed']),
    latency: new Histogram({
      name: 'baton_delivery_latency_seconds',
      help: 'From the Kafka timestamp of a record to its MESSAGE frames being handed to sockets: the oldest of those that leave at once.',
      buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60],
      registers
    })
  }
}
