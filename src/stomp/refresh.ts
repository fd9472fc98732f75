import { BatonError } from '../errors.ts'
import { credentialsOf } from './connect.ts'
import type { Handler } from './context.ts'
import { isTemporary } from './reply.ts'

/**
 * A SEND with a fresh credential of the same principal, in `Authorization` or as the body. From its RECEIPT on it is what counts.
 * @throws BatonError FORBIDDEN for that of another, and where it does not allow what the session is subscribed to.
 */
export const refresh: Handler = async ({ deps, upgrade, subscriptions }, peer, frame) => {
  if (frame.headers.has('transaction')) throw new BatonError('INVALID_HEADER', 'transaction: a refresh is part of none')
  const { path, remoteAddress } = upgrade
  const token = frame.body.toString().trim()
  const shown = credentialsOf(frame, { path, remoteAddress, ...(token && { authorization: `Bearer ${token}` }) })
  const fresh = await deps.auth.authenticate(shown)
  const { name, guest } = peer.principal
  if (fresh.name !== name || fresh.guest !== guest)
    throw new BatonError('FORBIDDEN', 'the fresh credential is that of another principal: connect with it')
  for (const { destination } of subscriptions.values()) {
    if (isTemporary(destination)) continue
    const { route, names } = deps.routes.subscribable(destination)
    deps.auth.authorize('subscribe', route, fresh, names)
  }
  peer.principal = fresh
  return {}
}
