/** Users of the client listener, for PLAIN, SCRAM-SHA-256 and SCRAM-SHA-512 alike. */
export interface KafkaUser {
  username: string
  password: string
}

/** PEM texts of the client listener's certificate. */
export interface KafkaTls {
  cert: string
  key: string
}

export interface BrokerPorts {
  client: number
  internal: number
  controller: number
  /** One more listener, for clients that come over a proxy: it tells them the proxy's port. */
  proxied?: { own: number; told: number }
}

export interface BrokerSettings {
  nodeId: number
  /** Of every broker. */
  ports: BrokerPorts[]
  folder: string
  sasl: KafkaUser | undefined
  tls: KafkaTls | undefined
  properties: Record<string, string | number | boolean>
}

/** The server.properties of one of our combined brokers: small, quick to fail over, and nothing created unasked. */
export function brokerProperties({ nodeId, ports, folder, sasl, tls, properties }: BrokerSettings): string {
  const own = ports[nodeId - 1] as BrokerPorts
  const replicas = Math.min(3, ports.length)
  const minInSync = Math.min(2, ports.length)
  const listeners = `CLIENT://127.0.0.1:${own.client},INTERNAL://127.0.0.1:${own.internal}`
  const proxied = (port: number | undefined) => (port ? `,PROXIED://127.0.0.1:${port}` : '')
  const security = `${sasl ? 'SASL_' : ''}${tls ? 'SSL' : 'PLAINTEXT'}`
  const all = {
    'process.roles': 'broker,controller',
    'node.id': nodeId,
    'controller.quorum.voters': ports.map(({ controller }, i) => `${i + 1}@127.0.0.1:${controller}`).join(','),
    listeners: `${listeners}${proxied(own.proxied?.own)},CONTROLLER://127.0.0.1:${own.controller}`,
    'advertised.listeners': `${listeners}${proxied(own.proxied?.told)}`,
    'listener.security.protocol.map': `CLIENT:${security},PROXIED:${security},INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT`,
    'inter.broker.listener.name': 'INTERNAL',
    'controller.listener.names': 'CONTROLLER',
    'log.dirs': `${folder}/data`,
    'auto.create.topics.enable': false,
    'group.initial.rebalance.delay.ms': 0,
    'group.min.session.timeout.ms': 1000,
    'default.replication.factor': replicas,
    'min.insync.replicas': minInSync,
    'offsets.topic.num.partitions': 1,
    'offsets.topic.replication.factor': replicas,
    'transaction.state.log.num.partitions': 1,
    'transaction.state.log.replication.factor': replicas,
    'transaction.state.log.min.isr': minInSync,
    'log.cleaner.dedupe.buffer.size': 2 * 1024 * 1024,
    'num.network.threads': 2,
    'num.io.threads': 2,
    'broker.session.timeout.ms': 3000,
    'broker.heartbeat.interval.ms': 500,
    'controller.quorum.election.timeout.ms': 500,
    'controller.quorum.fetch.timeout.ms': 1000,
    ...(sasl && saslProperties(sasl)),
    ...(tls && tlsProperties(tls)),
    ...properties
  }
  return Object.entries(all)
    .map(([name, value]) => `${name}=${String(value).replaceAll('\n', '\\n')}\n`)
    .join('')
}

function saslProperties({ username, password }: KafkaUser) {
  const plain = 'org.apache.kafka.common.security.plain.PlainLoginModule required'
  const scram = 'org.apache.kafka.common.security.scram.ScramLoginModule required;'
  return {
    'sasl.enabled.mechanisms': 'PLAIN,SCRAM-SHA-256,SCRAM-SHA-512',
    'listener.name.client.plain.sasl.jaas.config': `${plain} user_${username}="${password}";`,
    'listener.name.client.scram-sha-256.sasl.jaas.config': scram,
    'listener.name.client.scram-sha-512.sasl.jaas.config': scram
  }
}

function tlsProperties({ cert, key }: KafkaTls) {
  return {
    'listener.name.client.ssl.keystore.type': 'PEM',
    'listener.name.client.ssl.keystore.certificate.chain': cert,
    'listener.name.client.ssl.keystore.key': key
  }
}
