import type { RouteConfig, SendConfig, TopicConfig } from '../config/normalize.ts'
import type { Rate } from '../rates.ts'
import { compileTemplate, type Template } from '../template.ts'
import { compileSchema } from './body-schema.ts'
import type { Faults } from './faults.ts'
import { compileText } from './projection.ts'
import { field, isField } from './record.ts'
import { compileRecordTemplate, type RecordTemplate, type Stamped, type TopicFacts } from './record-template.ts'
import { type CompiledReply, compileReply, type ReplyRule } from './reply.ts'
import { type Draft, jwtOf, parseBody, type Sender } from './send-record.ts'

// Each record is routed here as the relay will route it later: what a client may not reach, or could never be routed, is
// refused before Kafka has it, and `allow.send` is asked about the room where the message will truly appear.

/** How SENDs and POSTs become records. Compiled; its steps are taken in order by `inbound.ts`. */
export interface SendRule {
  /** Method and path template of the HTTP way in, such as `POST /rooms/{roomId}`; absent: none. */
  http: string | undefined
  /** One SEND makes a list of records, be it of one. */
  many: boolean
  /** `allow.send` asks for names of the channel, which are proved only by the finished record. */
  allowedByNames: boolean
  /** Parses the body where the rule needs it. @throws BatonError UNSUPPORTED_MEDIA_TYPE, INVALID_BODY */
  read(came: Omit<Draft, 'json'>): Draft
  /** The JWT in the body, undefined where that holds none: then a guest may not send. Absent: the session's principal sends. */
  token: ((draft: Draft) => string | undefined) | undefined
  /** @throws BatonError INVALID_BODY, with a JSON pointer to what does not hold. */
  validate(draft: Draft): void
  /**
   * The records in order, made one by one as they are taken. The names of one are absent where it goes to the topic of another route.
   * @throws BatonError INVALID_BODY, UNAUTHENTICATED when what a template asks for is not there.
   */
  stamp(draft: Draft, sender: Sender, now: Date): Iterable<Pick<Stamped, 'record'> & Partial<Stamped>>
  /** How often one sender may send to the route; absent: as often as to any. */
  rate: Rate | undefined
  /** Absent: nobody waits for an answer. */
  reply: ReplyRule | undefined
}

export interface CompiledSend {
  rule: SendRule
  /** Absent: by HTTP only. */
  destination: Template | undefined
  /** Those that every way in gives. */
  names: readonly string[]
  reply: CompiledReply | undefined
}

export function compileSend(
  name: string,
  send: SendConfig,
  { topic, channel, allow }: RouteConfig,
  factsOf: (topic: string) => TopicFacts,
  faults: Faults
): CompiledSend | undefined {
  const { attempt } = faults
  const { http } = send
  const destination = attempt('send.destination', () => compileTo(send))
  const path = attempt('send.http', () => (http === undefined ? undefined : compilePath(http)))
  if (!destination && !path) return undefined
  const given = namesOfAll(destination, path)
  const records = compileRecords(send, topic, { given, factsOf, faults })
  const token = attempt('send.token', () => (send.token === undefined ? undefined : compileText(send.token)))
  if (token) attempt('send.token', () => checkNotRelayed(token.names, records))
  const validate = attempt('send.schema', () => (send.schema === undefined ? undefined : compileSchema(send.schema)))
  const reply = send.reply && compileReply(name, send.reply, given, faults)
  if (reply) attempt('send.reply.topic', () => checkOther(reply.rule.topic, records))
  const asksNames = JSON.stringify(Object.values(allow.send)).includes('{')
  attempt('allow.send', () => asksNames && checkProvable(topic, channel, records))
  const replyFromBody = (reply?.names ?? []).some(name => !given.includes(name) && isField(name))
  const needsJson = Boolean(validate || token) || replyFromBody || records.some(record => record.needsJson)

  const rule: SendRule = {
    http,
    many: send.produce !== undefined || send.forEach !== undefined,
    allowedByNames: asksNames && channel !== undefined,
    read: came => ({ ...came, json: needsJson ? parseBody(came.body, came.headers) : undefined }),
    token: token && (draft => jwtOf(token.render(name => field(draft.json, name)))),
    validate: draft => validate?.(draft.json),

    *stamp(draft, sender, now) {
      for (const record of records) {
        const isOwn = record.topic === topic?.name
        for (const stamped of record.stamp(draft, sender, now)) yield isOwn ? stamped : { record: stamped.record }
      }
    },
    rate: send.rate,
    reply: reply?.rule
  }
  return { rule, destination, names: given, reply }
}

/** The names that a SEND or POST brings without its body. */
function namesOfAll(...ways: (Template | undefined)[]): string[] {
  const [first, ...others] = ways.filter(way => way !== undefined)
  return (first?.names ?? []).filter(name => others.every(({ names }) => names.includes(name)))
}

function compileTo({ destination, http }: SendConfig): Template | undefined {
  if (destination !== undefined) return compileTemplate(destination)
  if (http === undefined) throw new SyntaxError('a way in without a channel needs a destination or http')
  return undefined
}

/** A path as the router takes it: a segment is a literal or one name. */
function compilePath(http: string): Template {
  const path = http.slice(http.indexOf(' ') + 1)
  const segment = path.split('/').find(text => !/^(?:[^{}:*?#]*|\{[^{}+]+\})$/.test(text))
  if (segment !== undefined)
    throw new SyntaxError(`the segment "${segment}" must be a literal without : * ? #, or one {name}`)
  return compileTemplate(path)
}

function compileRecords(
  { produce, ...single }: SendConfig,
  own: TopicConfig | undefined,
  { given, factsOf, faults }: { given: readonly string[]; factsOf(topic: string): TopicFacts; faults: Faults }
): RecordTemplate[] {
  const { attempt } = faults
  if (produce) attempt('send', () => checkOnlyProduce(single))
  const configs: (typeof single & { topic?: TopicConfig })[] = produce ?? [single]
  return configs.flatMap((config, index) => {
    const at = produce ? `send.produce.${index}` : 'send'
    const topic = attempt(produce ? `${at}.topic` : 'topic', () => required(config.topic ?? own))
    if (!topic) return []
    return [compileRecordTemplate(config, { topic: topic.name, at, given, facts: factsOf(topic.name), attempt })]
  })
}

function required(topic: TopicConfig | undefined): TopicConfig {
  if (topic) return topic
  throw new SyntaxError('is missing: the route has no topic of its own')
}

const SINGLE = ['forEach', 'key', 'partition', 'value', 'body', 'set', 'headers'] as const

function checkOnlyProduce(single: SendConfig): void {
  const both = SINGLE.find(setting => single[setting] !== undefined)
  if (both !== undefined) throw new SyntaxError(`has ${both} beside produce: write it into each record of produce`)
}

/** A token that came in the body must not go out to everyone. */
function checkNotRelayed(tokenNames: readonly string[], records: readonly RecordTemplate[]): void {
  for (const name of tokenNames) {
    if (!isField(name)) throw new SyntaxError(`{${name}} must be a field of the body`)
    const member = name.split('.')[0] as string
    const copied = ({ asked }: RecordTemplate) =>
      asked.some(other => other === member || other.startsWith(`${member}.`))
    if (records.some(record => record.keeps(member) || copied(record)))
      throw new SyntaxError(`{${name}} would reach every client: put another ${member} in its place by set`)
  }
}

/** What clients ask is not consumed, so that it goes to nobody. */
function checkOther(replyTopic: string, records: readonly RecordTemplate[]): void {
  if (records.some(({ topic }) => topic === replyTopic))
    throw new SyntaxError('is where the requests go: the service must answer on another topic')
}

/** Names of a channel are proved by a record that goes there. */
function checkProvable(
  topic: TopicConfig | undefined,
  channel: string | undefined,
  records: readonly RecordTemplate[]
): void {
  if (channel === undefined || records.some(record => record.topic === topic?.name)) return
  throw new SyntaxError(`asks for names of the channel, but no record of send.produce goes to ${topic?.name}`)
}
