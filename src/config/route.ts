import { Type } from 'typebox'
import { duration, group, integer, optionalGroup, optionalText, topicName } from './types.ts'

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

const Topic = Type.Union(
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
    description: 'The Kafka topic.',
    allowed:
      'a topic name of letters, digits, dots, - and _, or an object of name, partitions, replicationFactor and config'
  }
)

const Send = optionalGroup('How SENDs become records of the topic. Absent: they do not.', {
  destination: optionalText("Template of the destination that SENDs name. Default: the route's own."),
  http: Type.Optional(
    Type.String({
      pattern: '^(POST|PUT) /[^ ]*$',
      description: 'Method and path template of the HTTP way in, such as POST /rooms/{roomId}. Default: none.',
      allowed: 'POST or PUT and a path, such as POST /rooms/{roomId}'
    })
  ),
  key: optionalText('Template of the record key. Default: {key} where the destination names it, else none.'),
  body: Projected('What the record holds instead of the body: JSON whose strings are templates.'),
  set: Type.Optional(
    Type.Record(Type.String({ minLength: 1 }), Type.Unsafe<Json>(Type.Unknown()), {
      description: 'Members put into the JSON body over those that came; strings are templates.'
    })
  ),
  schema: Type.Optional(
    Type.Unsafe<object | boolean>(Type.Unknown({ description: 'JSON Schema (draft-07) of the body as it comes.' }))
  ),
  token: optionalText(
    'Template of a JWT that the body carries, such as {sender}: its claims are the principal of this SEND.'
  ),
  headers: Type.Optional(templates('Kafka headers of the record, over those that came; templates.'))
})

export const RouteSettings = Type.Object(
  {
    topic: Topic,
    channel: Type.String({ minLength: 1, description: 'Template of the Redis channel.' }),
    destination: Type.String({
      minLength: 1,
      description: 'Template of the STOMP destination; the same names as the channel.'
    }),
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
    send: Send,
    allow: Type.Object(
      { send: Type.Optional(Condition), subscribe: Type.Optional(Condition), history: Type.Optional(Condition) },
      { additionalProperties: false, default: {}, description: 'Who may do what.' }
    )
  },
  { additionalProperties: false, description: 'One route.' }
)

export type RouteSettings = Type.Static<typeof RouteSettings>
