import { isUtf8 } from 'node:buffer'
import type { SendConfig } from '../config/normalize.ts'
import { CORRELATION_ID, REPLY_TOPIC, replyChannelOf } from '../reply.ts'
import { compileTemplate } from '../template.ts'
import type { Faults } from './faults.ts'
import { messageHeaders } from './headers.ts'
import { onRecord, type RecordView, routable, Unroutable } from './record.ts'
import { checkNames } from './record-template.ts'
import { asInvalid, type Draft, lookupOf, type Sender } from './send-record.ts'

// How a record of a reply topic finds who asked: by the correlation id that it echoes, else, where the route says so, by a
// text that request and reply have in common.

/** What a SEND or POST waits for. */
export interface ReplyRule {
  topic: string
  timeoutMs: number
  /** The claim by which the reply is matched if it echoes nothing; absent: it must. @throws BatonError INVALID_BODY */
  claim: ((draft: Draft, sender: Sender, now: Date) => string) | undefined
}

/** What a record of a reply topic holds, and whom it answers: the request of this id, or the one that holds this claim. */
export type Answer = ({ id: string } | { claim: string }) & { headers: string; body: Buffer }

export interface CompiledReply {
  rule: ReplyRule
  /** What `rule.claim` reads of a SEND. */
  names: readonly string[]
  /** The claim that a record answers. @throws Unroutable */
  claimOf: ((view: RecordView) => string) | undefined
}

/** @param given names that every way in gives. */
export function compileReply(
  route: string,
  { topic: { name: topic }, timeoutMs, match }: NonNullable<SendConfig['reply']>,
  given: readonly string[],
  { attempt }: Faults
): CompiledReply {
  const request = attempt('send.reply.match.request', () => {
    if (!match) return undefined
    const template = compileTemplate(match.request)
    checkNames(template.names, given)
    return template
  })
  const reply = attempt('send.reply.match.reply', () => match && onRecord(compileTemplate(match.reply)))
  const rule: ReplyRule = {
    topic,
    timeoutMs,
    claim:
      request &&
      ((draft, sender, now) => {
        const lookup = lookupOf(draft, sender, now, topic)
        return `${route}:${request.expand(name => asInvalid(name, () => routable(lookup(name), name)))}`
      })
  }
  return { rule, names: request?.names ?? [], claimOf: reply && (view => `${route}:${reply.expand(view.routable)}`) }
}

/** @throws Unroutable when it says of no request that it answers it. */
export function answerOf(view: RecordView, claimOf: CompiledReply['claimOf']): Answer {
  const { headers, value } = view.record
  const body = value ?? Buffer.alloc(0)
  const echoed = headers.find(([name]) => name === CORRELATION_ID)?.[1].toString('latin1')
  const own = headers.filter(([name]) => name !== CORRELATION_ID && name !== REPLY_TOPIC)
  const type = isJson(body) ? 'application/json' : 'application/octet-stream'
  const content = { headers: messageHeaders(own, type, body.length), body }
  if (echoed !== undefined && replyChannelOf(echoed)) return { ...content, id: echoed }
  if (claimOf) return { ...content, claim: claimOf(view) }
  const name = `{headers.${CORRELATION_ID}}`
  if (echoed === undefined) throw new Unroutable('MISSING_FIELD', `${name} is missing`)
  throw new Unroutable('INVALID_FIELD', `${name} is none that a replica has given to a request`)
}

function isJson(body: Buffer): boolean {
  try {
    JSON.parse(body.toString())
    return isUtf8(body)
  } catch {
    return false
  }
}
