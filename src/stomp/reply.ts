import { randomUUID } from 'node:crypto'
import { asBatonError, BatonError } from '../errors.ts'
import type { Prepared } from '../inbound.ts'
import { type Reply, TEMPORARY_DESTINATIONS } from '../reply.ts'
import type { ReplyRule } from '../routes/reply.ts'
import type { SendRule } from '../routes.ts'
import { acknowledged, type Context, type Outcome, type Peer, type Subscription } from './context.ts'
import { escapeHeader, type Frame, translateHeaders } from './frame.ts'

// Request/reply as RabbitMQ's clients know it: SEND with `reply-to:/temp-queue/…`, and the answer is a MESSAGE to that
// destination of this very session, subscribed to or not.

/** True for destinations that are each session's own. */
export function isTemporary(destination: string): boolean {
  return destination.startsWith(TEMPORARY_DESTINATIONS)
}

/** A subscription to a temporary destination: nothing follows from it but the id that its MESSAGEs name. */
export function subscribeToReplies(
  { subscriptions, deps: { metrics } }: Context,
  key: string,
  { headers }: Frame,
  subscription: Pick<Subscription, 'id' | 'destination'>
): void {
  const foreign = ['last-message-id', 'history'].find(name => headers.has(name))
  if (foreign !== undefined) throw invalid(`${foreign}: replies are not kept`)
  if ((headers.get('ack') ?? 'auto') !== 'auto') throw invalid('ack must be auto: replies are not acknowledged')
  metrics.subscriptions.inc()
  subscriptions.set(key, {
    ...subscription,
    unsubscribe() {
      if (subscriptions.delete(key)) metrics.subscriptions.dec()
    }
  })
}

/**
 * The rule of the reply, if a SEND is a request. Where replies are matched by a field every SEND is one: the reply to one that
 * claims nothing could be taken for that of another.
 * @throws BatonError INVALID_HEADER
 */
export function requestOf({ headers }: Frame, { reply }: SendRule): ReplyRule | undefined {
  const replyTo = headers.get('reply-to')
  if (!reply || (replyTo === undefined && !reply.claim)) return undefined
  if (replyTo !== undefined && !isTemporary(replyTo))
    throw invalid(`reply-to must begin with ${TEMPORARY_DESTINATIONS}`)
  if (headers.has('transaction')) throw invalid('transaction: a request does not wait for COMMIT')
  return reply
}

/** The RECEIPT waits for Kafka, as that of every SEND; the reply comes when it comes. */
export async function ask(
  context: Context,
  peer: Peer,
  frame: Frame,
  { prepared, rule }: { prepared: Prepared; rule: ReplyRule }
): Promise<Outcome> {
  const { produced, reply } = await context.deps.replies.ask(prepared, rule)
  const done = acknowledged(context, produced)
  const replyTo = frame.headers.get('reply-to')
  return replyTo === undefined ? { done } : { done, owed: deliver(context, peer, frame, replyTo, reply) }
}

async function deliver(
  { transport, subscriptions, signal, deps: { metrics } }: Context,
  { version }: Peer,
  frame: Frame,
  replyTo: string,
  reply: Promise<Reply>
): Promise<void> {
  const correlationId = frame.headers.get('correlation-id')
  const correlation = correlationId === undefined ? {} : { 'correlation-id': correlationId }
  const { headers, body } = await reply.catch(error => {
    const { code, detail } = asBatonError(error)
    throw new BatonError(code, detail, { cause: error, extra: correlation })
  })
  if (signal.aborted) return
  const subscription = subscriptions.values().find(({ destination }) => destination === replyTo)
  const own = {
    subscription: subscription?.id ?? replyTo,
    'message-id': randomUUID(),
    destination: replyTo,
    ...correlation
  }
  const ownLines = Object.entries(own).map(([name, value]) => `${name}:${escapeHeader(value, '1.2')}\n`)
  const lines = ownLines.join('') + headers
  const head = version === '1.2' ? lines : translateHeaders(lines, version)
  transport.write(Buffer.concat([Buffer.from(`MESSAGE\n${head}\n`), body, Buffer.of(0)]))
  metrics.deliveries.inc()
}

function invalid(detail: string): BatonError {
  return new BatonError('INVALID_HEADER', detail)
}
