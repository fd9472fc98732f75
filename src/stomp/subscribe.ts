import { BatonError } from '../errors.ts'
import type { Route } from '../routes.ts'
import { type AckMode, type AckWindow, createAckWindow } from './ack-window.ts'
import { type Context, type Handler, type Outcome, requireHeader } from './context.ts'
import type { Member } from './family.ts'
import type { Version } from './frame.ts'
import { bytesOf } from './layout.ts'
import { isTemporary, subscribeToReplies } from './reply.ts'

/** Windows of subscriptions that were ended with messages unacknowledged: the newest are kept. */
const ENDED_WINDOWS = 16

/** 1.2, "SUBSCRIBE". Resolves when the subscription is live, so its RECEIPT says just that. */
export const subscribe: Handler = async (context, { version, principal }, frame) => {
  const { options, deps, subscriptions, acks, signal } = context
  const { headers } = frame
  const destination = requireHeader(frame, 'destination')
  // 1.0, "SUBSCRIBE": the id is optional.
  const id = version === '1.0' ? headers.get('id') : requireHeader(frame, 'id')
  const key = keyOf(id, destination)
  if (subscriptions.has(key)) {
    throw new BatonError(
      'DUPLICATE_SUBSCRIPTION',
      'this connection has a subscription with this id: UNSUBSCRIBE it, or use another'
    )
  }
  if (subscriptions.size >= options.maxSubscriptions) {
    throw new BatonError('TOO_MANY_SUBSCRIPTIONS', `a connection may have ${options.maxSubscriptions} subscriptions`)
  }
  const mode = ackModeOf(headers.get('ack'), version)
  if (isTemporary(destination)) {
    subscribeToReplies(context, key, frame, { id, destination })
    return {}
  }
  const place = deps.routes.subscribable(destination)
  deps.auth.authorize('subscribe', place.route, principal, place.names)
  const after = headers.get('last-message-id')
  const history = historyOf(headers.get('history'), place.route)
  if (after !== undefined || history !== undefined) deps.auth.authorize('history', place.route, principal, place.names)

  const window = mode === 'auto' ? undefined : createAckWindow(mode, options.ackWindow)
  const member = memberOf(context, version, id, window)
  const start = { ...(after !== undefined && { after }), ...(history !== undefined && { history }) }
  const subscribed = await deps.hub.subscribe(place, member, start, signal)
  if (signal.aborted) {
    subscribed.unsubscribe()
    return {}
  }
  deps.metrics.subscriptions.inc()
  const pending = window && { subscription: id, window, live: true }
  if (pending) acks.push(pending)
  subscriptions.set(key, {
    id,
    destination,
    unsubscribe() {
      if (!subscriptions.delete(key)) return
      subscribed.unsubscribe()
      deps.metrics.subscriptions.dec()
      if (pending) pending.live = false
    }
  })
  const { resumed, lastMessageId, gap } = subscribed
  const receipt: NonNullable<Outcome['receipt']> = [
    ['resumed', String(resumed)],
    ['last-message-id', lastMessageId]
  ]
  if (gap !== undefined) receipt.push(['gap', String(gap)])
  return { receipt }
}

/** 1.2, "UNSUBSCRIBE": no MESSAGE follows. 1.0 may name the destination instead of an id. */
export const unsubscribe: Handler = (context, { version }, frame) => {
  const { subscriptions, acks } = context
  const id = frame.headers.get('id')
  const byDestination = version === '1.0' && id === undefined
  const key = byDestination
    ? keyOf(undefined, requireHeader(frame, 'destination'))
    : keyOf(requireHeader(frame, 'id'), '')
  const subscription = subscriptions.get(key)
  if (!subscription) {
    throw new BatonError(
      'UNKNOWN_SUBSCRIPTION',
      `${byDestination ? 'destination' : 'id'} names no subscription of this connection`
    )
  }
  subscription.unsubscribe()
  const ended = acks.filter(({ live, window }) => !live && window.size > 0).slice(-ENDED_WINDOWS)
  acks.splice(0, acks.length, ...acks.filter(entry => entry.live || ended.includes(entry)))
  return {}
}

function keyOf(id: string | undefined, destination: string): string {
  return id === undefined ? `destination ${destination}` : `id ${id}`
}

/** 1.0 knows `auto` and `client` only. */
function ackModeOf(mode = 'auto', version: Version): AckMode | 'auto' {
  if (mode === 'auto' || mode === 'client') return mode
  if (mode === 'client-individual' && version !== '1.0') return mode
  throw new BatonError('INVALID_HEADER', `ack must be auto, client${version === '1.0' ? '' : ' or client-individual'}`)
}

function historyOf(value: string | undefined, { name, history: { size } }: Route): number | undefined {
  if (value === undefined) return undefined
  if (/^[1-9]\d{0,8}$/.test(value) && Number(value) <= size) return Number(value)
  throw new BatonError(
    'INVALID_HEADER',
    `history must be a whole number from 1 to ${size}, what route ${name} lets people read`
  )
}

function memberOf(context: Context, version: Version, id: string | undefined, window: AckWindow | undefined): Member {
  return {
    version,
    id: id === undefined ? undefined : bytesOf(id, version),
    window,
    transport: context.transport,
    exceeded: () => context.slow('acks')
  }
}
