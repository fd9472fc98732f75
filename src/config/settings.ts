import { Type } from 'typebox'
import { AuthSettings } from './auth.ts'
import { RouteSettings } from './route.ts'
import { StompSettings } from './stomp.ts'
import { duration, flag, group, integer, list, oneOf, optionalGroup, optionalText, text, topicName } from './types.ts'

// Every setting, its default and what it means. config/schema.json, the environment names and the Config type come from here.

const MIB = 1024 * 1024

const Tls = Type.Union(
  [
    Type.Boolean(),
    Type.Object(
      {
        ca: optionalText('PEM of the certificate authority. Default: those that Node trusts.'),
        cert: optionalText('PEM of the client certificate.'),
        key: optionalText('PEM of its private key.'),
        rejectUnauthorized: Type.Optional(
          Type.Boolean({ description: 'Refuse a server whose certificate does not hold. Default: true.' })
        )
      },
      { additionalProperties: false }
    )
  ],
  {
    description: 'TLS: true, false, or what it needs.',
    allowed: 'true, false, or an object of ca, cert, key (PEM) and rejectUnauthorized'
  }
)

const Log = group('What is logged.', {
  level: oneOf(
    ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'],
    'info',
    'The least important level that is logged.'
  ),
  pretty: Type.Union([Type.Boolean(), Type.Literal('auto')], {
    default: 'auto',
    description: 'For people instead of JSON lines; auto: in a terminal.',
    allowed: 'true, false or auto'
  })
})

const Http = group('The listener of WebSockets and HTTP.', {
  host: text('127.0.0.1', 'Address to listen on; 0.0.0.0 is every one of IPv4.'),
  port: integer(8080, [0, 65535], 'Port to listen on; 0 takes any free one.'),
  corsOrigins: list([], 'Origins whose pages may POST, and read the HTTP answers; * is any.'),
  allowedOrigins: list(
    [],
    'Origins whose pages may open a WebSocket. Empty: the same host, and localhost where auth.mode is none.'
  ),
  allowAbsentOrigin: flag(
    false,
    'Whether a WebSocket without an Origin, which comes from no browser, may be opened. It may where auth.mode is none and no origins are listed.'
  ),
  trustProxy: list(
    [],
    'Addresses and networks (10.0.0.0/8) of proxies whose X-Forwarded-For says where a client comes from.'
  ),
  maxBodyBytes: integer(MIB, [1], 'The largest body of a POST, bytes.'),
  headersTimeoutMs: integer(10_000, [100], 'Time for the head of a request to come, milliseconds.'),
  requestTimeoutMs: integer(
    30_000,
    [100],
    'Time for a whole request to come, and for an answer to be read on, milliseconds.'
  ),
  console: flag(true, 'Serve the page at / to try it with.'),
  tls: optionalGroup('TLS 1.2 and 1.3 instead of plain text, for WebSockets and HTTP. Absent: a proxy does that.', {
    cert: Type.String({ description: 'PEM of the certificate, and of those between it and the authority.' }),
    key: Type.String({ description: 'PEM of its private key.' })
  })
})

const Admin = group('What only those who run it are to see: metrics, and calls that send principals away.', {
  host: text('127.0.0.1', 'Address to listen on, where there is a port.'),
  port: Type.Optional(
    Type.Integer({
      minimum: 0,
      maximum: 65_535,
      description:
        'Port of /metrics and the admin calls, which then are nowhere else; 0 takes any free one. Default: that of http.'
    })
  ),
  token: optionalText('What admin calls must show, as Authorization: Bearer. Absent: there are none.')
})

const Kafka = optionalGroup('Kafka. Absent: records stay in the memory of this process.', {
  brokers: Type.Array(Type.String({ minLength: 1 }), { minItems: 1, description: 'host:port of some brokers.' }),
  clientId: text('baton', 'Name of this client in the logs of Kafka.'),
  instanceId: optionalText(
    'Name of this replica, the same after a restart and unlike that of any other running one. Default: a random one at each start.'
  ),
  groupId: text('baton', 'Consumer group of all relays.'),
  startFrom: oneOf(['latest', 'earliest'], 'latest', 'Where a group without commits begins.'),
  isolation: oneOf(
    ['read_committed', 'read_uncommitted'],
    'read_committed',
    'Whether records of open transactions are consumed.'
  ),
  sasl: optionalGroup('SASL credentials.', {
    mechanism: Type.Enum(['plain', 'scram-sha-256', 'scram-sha-512'], { description: 'SASL mechanism.' }),
    username: Type.String({ description: 'User.' }),
    password: Type.String({ description: 'Password.' })
  }),
  tls: Type.Optional(Tls),
  sessionTimeoutMs: integer(10_000, [1000], 'How long a silent relay keeps its partitions, milliseconds.'),
  heartbeatIntervalMs: integer(1000, [100], 'Heart-beat to the group, milliseconds.'),
  maxWaitMs: integer(100, [1], 'How long a fetch waits for records, milliseconds.'),
  maxBytesPerPartition: integer(MIB, [1024], 'Bytes that one fetch takes of a partition.'),
  partitionsConcurrently: integer(8, [1], 'Partitions handled at the same time.'),
  commitIntervalMs: integer(1000, [10], 'How often offsets are committed, milliseconds.'),
  produceTimeoutMs: integer(10_000, [100], 'How long a SEND waits for the acknowledgement of Kafka, milliseconds.'),
  produceQueueBytes: integer(32 * MIB, [65_536], 'Bytes of SENDs that may wait for Kafka.'),
  deadLetter: group('Where records go that no route can take.', {
    topic: Type.String({ ...topicName, default: 'baton.dead-letter', description: 'Topic.' }),
    partitions: integer(1, [1], 'Its partitions, if it must be created.'),
    replicationFactor: Type.Optional(
      Type.Integer({ minimum: 1, description: "Its replicas, if it must be created. Default: the brokers' own." })
    )
  }),
  refill: group('How far back records are consumed again after Redis was wiped.', {
    maxAge: duration('10m', 'Age of the oldest record.'),
    maxRecords: integer(50_000, [0], 'Records of one partition.')
  })
})

const Redis = optionalGroup('Redis. Absent: logs and channels stay in the memory of this process.', {
  url: optionalText('redis:// or rediss:// URL of the server. This or sentinel.'),
  sentinel: optionalGroup('Sentinels that know the primary.', {
    name: Type.String({ minLength: 1, description: 'Name of the primary, as Sentinel knows it.' }),
    nodes: Type.Array(Type.String({ minLength: 1 }), { minItems: 1, description: 'host:port of the Sentinels.' }),
    username: optionalText('ACL user at the Sentinels.'),
    password: optionalText('Password at the Sentinels.'),
    tls: Type.Optional(Tls)
  }),
  username: optionalText('ACL user.'),
  password: optionalText('Password.'),
  tls: Type.Optional(Tls),
  prefix: Type.String({ default: '', description: 'Put before every key and channel: one for each tenant.' }),
  readTimeoutMs: integer(5000, [10], 'How long a reader waits for Redis, milliseconds.')
})

export const Settings = Type.Object(
  {
    roles: Type.Array(Type.Enum(['relay', 'edge', 'ingest']), {
      default: ['relay', 'edge'],
      minItems: 1,
      uniqueItems: true,
      description:
        'relay: takes records from Kafka to Redis; edge: serves WebSocket and HTTP; ingest: takes POSTs only, without Redis.'
    }),
    log: Log,
    http: Http,
    admin: Admin,
    stomp: StompSettings,
    kafka: Kafka,
    redis: Redis,
    auth: AuthSettings,
    lifecycle: group('Start and stop.', {
      drainTimeoutMs: integer(5000, [0], 'Window in which sessions are closed when the process stops, milliseconds.'),
      deadlineMs: integer(15_000, [100], 'When the process ends at the latest once told to stop, milliseconds.')
    }),
    routes: Type.Record(Type.String({ pattern: '^[A-Za-z][\\w-]*$' }), RouteSettings, {
      minProperties: 1,
      additionalProperties: false,
      description: 'The rules that tie topics, channels and destinations, by name.'
    })
  },
  { additionalProperties: false, title: 'Configuration of Baton' }
)

export type Settings = Type.Static<typeof Settings>
