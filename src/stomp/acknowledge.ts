import { BatonError } from '../errors.ts'
import type { AckWindow } from './ack-window.ts'
import { type Context, type Handler, requireHeader } from './context.ts'
import type { Frame, Version } from './frame.ts'
import { transactionOf } from './transaction.ts'

/** 1.2, "ACK". Within a transaction it takes effect at COMMIT. */
export const ack: Handler = (context, { version }, frame) => {
  const id = idOf(version, frame)
  const window = windowOf(context, version, frame, id)
  const transaction = transactionOf(context, frame)
  if (transaction) transaction.acknowledgements.push(() => window.acknowledge(id))
  else window.acknowledge(id)
  return {}
}

/** 1.2, "NACK": the message is let go of as with ACK; a log of positions has no place to redeliver it from. 1.0 has no NACK. */
export const nack: Handler = (context, peer, frame) => {
  if (peer.version === '1.0') throw new BatonError('UNKNOWN_COMMAND', 'STOMP 1.0 has no NACK')
  context.deps.metrics.nacks.inc()
  return ack(context, peer, frame)
}

/** 1.2 names the MESSAGE's `ack` header, earlier versions its `message-id`; here the two are the same. */
function idOf(version: Version, frame: Frame): string {
  return requireHeader(frame, version === '1.2' ? 'id' : 'message-id')
}

/** Two subscriptions may wait for one id: then the older one is meant, and the next ACK means the other. */
function windowOf({ acks }: Context, version: Version, frame: Frame, id: string): AckWindow {
  const subscription = version === '1.1' ? requireHeader(frame, 'subscription') : undefined
  for (const pending of acks) {
    const meant = subscription === undefined || pending.subscription === subscription
    if (meant && pending.window.has(id)) return pending.window
  }
  const header = version === '1.2' ? 'id' : 'message-id'
  throw new BatonError('UNKNOWN_ACK', `${header} names no message that this connection has yet to acknowledge`)
}
