import { Type } from 'typebox'
import { duration, group, integer, oneOf, optionalGroup, optionalText, topicName } from './types.ts'

/** JSON whose strings are templates. */
export type Json = string | number | boolean | null | Json[] | { [member: string]: Json }

export type Scalar = string | number | boolean

const Scalar = Type.Union([Type.String(), Type.Number(), Type.Boolean()], {
  allowed: 'a string, a number or a boolean'
})
const scalars = (description: string) =>
  Type.Record(
    Type.String(),
    Type.Union([Scalar, Type.Array(Scalar, { minItems: 1 })], { allowed: 'a value or a list of values' }),
    {
      minProperties: 1,
      description
    }
  )
const templates = (description: string) => Type.Record(Type.String({ minLength: 1 }), Type.String(), { description })
const Projected = (description: string) => Type.Optional(Type.Unsafe<Json>(Type.Unknown({ description })))

const Condition = Type.Union(
  [Type.Enum(['anyone', 'authenticated', 'nobody']), scalars('Claims, each with its value or values.')],
  {
    description:
      'anyone, authenticated, nobody, or claims: each equals, or holds, one of its values. Default: anyone where auth.mode is none, else nobody.',
    allowed: 'anyone, authenticated, nobody, or an object of claims with their values'
  }
)

const topicOf = (description: string) =>
  Type.Union(
    [
      Type.String(topicName),
      Type.Object(
        {
          name: Type.String({ ...topicName, description: 'Name of the topic.' }),
          partitions: Type.Optional(
            Type.Integer({ minimum: 1, description: "Partitions, if it must be created. Default: the brokers' own." })
          ),
          replicationFactor: Type.Optional(
            Type.Integer({ minimum: 1, description: "Replicas, if it must be created. Default: the brokers' own." })
          ),
          config: Type.Optional(
            Type.Record(Type.String(), Type.String(), { description: 'Settings of the topic, if it must be created.' })
          )
        },
        { additionalProperties: false }
      )
    ],
    {
      description,
      allowed:
        'a topic name of letters, digits, dots, - and _, or an object of name, partitions, replicationFactor and config'
    }
  )

const Partition = Type.Union(
  [
    Type.Integer({ minimum: 0 }),
    Type.Enum(['murmur2', 'round-robin']),
    Type.String({ pattern: '^\\{[^{}+]+\\} % [1-9]\\d{0,5}$' })
  ],
  {
    description:
      'The partition of the record: murmur2 of its key, as the Java client chooses; round-robin; a number; or a whole number modulo another, such as "{roomId} % 3". Default: murmur2, and where there is no key any.',
    allowed: 'murmur2, round-robin, a number from 0, or a name modulo a number, such as "{roomId} % 3"'
  }
)

/** How one record is made of what came. */
const recordTemplate = {
  forEach: optionalText(
    'A field of the body that holds a list: one record for each of its items, in their order; templates read the item as {item}, its fields as {item.x}.'
  ),
  key: optionalText('Template of the record key. Default: {key} where the destination names it, else none.'),
  partition: Type.Optional(Partition),
  value: Type.Optional(
    Type.String({ description: 'Template of the whole value, as text; this or body. Default: the body as it came.' })
  ),
  body: Projected('What the record holds instead of the body: JSON whose strings are templates.'),
  set: Type.Optional(
    Type.Record(Type.String({ minLength: 1 }), Type.Unsafe<Json>(Type.Unknown()), {
      description: 'Members put into the JSON body over those that came; strings are templates.'
    })
  ),
  headers: Type.Optional(templates('Kafka headers of the record, over those that came; templates.'))
}

const Reply = Type.Union(
  [
    Type.Literal('none'),
    Type.Object(
      {
        topic: topicOf('The topic on which the service answers.'),
        timeout: Type.Optional(duration(undefined, 'How long the answer may take. Default: 10s.')),
        match: Type.Optional(
          Type.Object(
            {
              request: Type.String({ minLength: 1, description: 'Template over what came, such as {user}.' }),
              reply: Type.String({ minLength: 1, description: 'Template over the record that answers.' })
            },
            {
              additionalProperties: false,
              description:
                'For services that cannot echo the header kafka_correlationId: an answer belongs to the request whose text is the same.'
            }
          )
        )
      },
      { additionalProperties: false }
    )
  ],
  {
    description: 'Wait for a record that answers, and give it to who sent. Default: none.',
    allowed: 'none, or an object of topic, timeout and match'
  }
)

const Send = optionalGroup('How SENDs become records. Absent: they do not.', {
  destination: optionalText(
    "Template of the destination that SENDs name. Default: the route's own; without a channel none."
  ),
  http: Type.Optional(
    Type.String({
      pattern: '^(POST|PUT) /[^ ]*$',
      description: 'Method and path template of the HTTP way in, such as POST /rooms/{roomId}. Default: none.',
      allowed: 'POST or PUT and a path, such as POST /rooms/{roomId}'
    })
  ),
  schema: Type.Optional(
    Type.Unsafe<object | boolean>(Type.Unknown({ description: 'JSON Schema (draft-07) of the body as it comes.' }))
  ),
  token: optionalText(
    'Template of a JWT that the body carries, such as {sender}: its claims are the principal of this SEND.'
  ),
  rate: optionalGroup('How often one session, or one principal over HTTP, may send here.', {
    perSecond: Type.Number({ exclusiveMinimum: 0, description: 'SENDs and POSTs each second, on average.' }),
    burst: Type.Optional(
      Type.Integer({ minimum: 1, description: 'At once, after a while without any. Default: perSecond, rounded up.' })
    )
  }),
  ...recordTemplate,
  produce: Type.Optional(
    Type.Array(
      Type.Object(
        { topic: Type.Optional(topicOf("The Kafka topic. Default: the route's.")), ...recordTemplate },
        { additionalProperties: false }
      ),
      {
        minItems: 1,
        description:
          'Several records of one SEND, written all or none; in place of forEach, key, partition, value, body, set and headers.'
      }
    )
  ),
  reply: Type.Optional(Reply)
})

export const RouteSettings = Type.Object(
  {
    topic: Type.Optional(topicOf('The Kafka topic. May be left out where every record of send.produce names its own.')),
    channel: optionalText(
      'Template of the Redis channel. Without one, the route is a way in only: what it produces reaches whom the routes of those topics say.'
    ),
    destination: optionalText('Template of the STOMP destination; the same names as the channel.'),
    log: group('What is kept of each channel, for healing and resuming.', {
      size: integer(1000, [1], 'Messages.'),
      ttl: duration('1d', 'How long after the last message.'),
      maxBodyBytes: integer(65_536, [0], 'Larger bodies are delivered but not kept, bytes.')
    }),
    history: group('What people may read of the log.', {
      size: integer(200, [0], 'The last messages of it.'),
      maxAge: Type.Optional(duration(undefined, 'Their age. Default: as the log.')),
      except: Type.Optional(
        scalars('Fields that leave a message out of history if all of them have one of these values.')
      )
    }),
    message: optionalGroup('What clients get. Default: value and headers of the record as they are.', {
      headers: Type.Optional(templates("STOMP headers instead of the record's.")),
      body: Projected("JSON instead of the record's value; strings are templates.")
    }),
    slow: oneOf(
      ['close', 'conflate', 'drop'],
      'close',
      'What becomes of subscribers that read too slowly. close: their sessions are closed; conflate: only the latest message of a channel waits; drop: messages are left out until there is room. What they miss is told by gap.'
    ),
    slowBytes: integer(
      65_536,
      [0],
      'Bytes that may wait for one client before it is too slow for conflate and drop; for close: stomp.sendQueueBytes.'
    ),
    send: Send,
    allow: Type.Object(
      { send: Type.Optional(Condition), subscribe: Type.Optional(Condition), history: Type.Optional(Condition) },
      { additionalProperties: false, default: {}, description: 'Who may do what.' }
    )
  },
  { additionalProperties: false, description: 'One route.' }
)

export type Reply = Type.Static<typeof Reply>

export type RouteSettings = Type.Static<typeof RouteSettings>
