import { setTimeout as delay } from 'node:timers/promises'
import { BatonError } from '../errors.ts'
import { createAllowance } from '../rates.ts'
import { ack, nack } from './acknowledge.ts'
import { acknowledged, type Handler, requireHeader } from './context.ts'
import { refresh } from './refresh.ts'
import { ask, requestOf } from './reply.ts'
import { subscribe, unsubscribe } from './subscribe.ts'
import { abort, begin, commit, transactionOf } from './transaction.ts'

/**
 * 1.2, "SEND". Prepared in the order of frames; the next frame does not wait for Kafka, the RECEIPT does.
 * Within a transaction nothing is produced before COMMIT, and it counts for the rates as it comes.
 */
const send: Handler = async (context, peer, frame) => {
  const { deps, options } = context
  const { body } = frame
  const destination = requireHeader(frame, 'destination')
  context.allowance ??= createAllowance({ perSecond: options.sendsPerSecond, burst: options.sendBurst })
  if (destination === options.refreshDestination) {
    context.allowance(destination, undefined)
    return refresh(context, peer, frame)
  }
  const { route, rule, names } = deps.routes.sendable(destination)
  context.allowance(route.name, rule.rate)
  const request = requestOf(frame, rule)
  const transaction = transactionOf(context, frame)
  // No prototype: a header may be called `constructor`.
  const headers: Record<string, string> = Object.create(null)
  for (const [name, value] of frame.headers) headers[name] = value
  if (rule.reply) delete headers['reply-to']
  const prepared = await deps.inbound.prepare({ route, rule, names, body, headers, principal: peer.principal })
  if (request) return ask(context, peer, frame, { prepared, rule: request })
  if (!transaction) return { done: acknowledged(context, deps.inbound.produce([prepared])) }
  transaction.prepared.push(prepared)
  return {}
}

/** How long a message may be under way from Kafka to those who subscribed, when all is well. */
const LAST_ROUND_MS = 50

/**
 * 1.2, "DISCONNECT": its RECEIPT comes after all others, then the socket is closed. Who has just sent something, and may have
 * subscribed to where it goes, is given the time to get it.
 */
const disconnect: Handler = async ({ subscriptions, acknowledgedAtMs, signal }) => {
  const leftMs = acknowledgedAtMs + LAST_ROUND_MS - performance.now()
  if (subscriptions.size > 0 && leftMs > 0) await delay(leftMs, undefined, { signal }).catch(() => undefined)
  return { leave: true }
}

const HANDLERS = new Map<string, Handler>([
  ['SEND', send],
  ['SUBSCRIBE', subscribe],
  ['UNSUBSCRIBE', unsubscribe],
  ['ACK', ack],
  ['NACK', nack],
  ['BEGIN', begin],
  ['COMMIT', commit],
  ['ABORT', abort],
  ['DISCONNECT', disconnect]
])

/** Commands are case-sensitive. @throws BatonError UNKNOWN_COMMAND */
export function handlerOf(command: string): Handler {
  const handler = HANDLERS.get(command)
  if (!handler)
    throw new BatonError('UNKNOWN_COMMAND', `commands of a client are CONNECT, ${[...HANDLERS.keys()].join(', ')}`)
  return handler
}
