// Subscriptions that outlive their connection, over a Client of @stomp/stompjs: each remembers the last message-id it saw and goes
// on after it, on whichever replica answers. What could not be proved complete is told as a gap.

/**
 * @param client a Client of @stomp/stompjs, not yet activated; its settings and callbacks of connecting and reconnecting are taken.
 * @param onState ({ name: 'connecting' | 'connected' | 'reconnecting' | 'stopped', delayMs?, user? }).
 * @param onError (reason): an ERROR frame that belongs to no subscription and no send; refused at CONNECT, it stops.
 */
export function createResuming(client, { onState, onError, minDelayMs = 250, maxDelayMs = 15_000 } = {}) {
  const subscriptions = new Set()
  const unconfirmed = new Map()
  let attempts = 0
  let receipts = 0
  let connected = false
  let refusal
  let stable

  function follow(subscription) {
    const { destination, lastId, history, onMessage, onReady, onGap } = subscription
    const start = lastId ? { 'last-message-id': lastId } : history ? { history: String(history) } : {}
    let seen = false
    let told
    const receipt = `resume-${++receipts}`
    client.watchForReceipt(receipt, ({ headers: { resumed, gap, 'last-message-id': id } }) => {
      // Nothing seen on this connection yet: the server says from where on nothing will be missed.
      if (!seen) subscription.lastId = id ?? lastId
      // The first message that was replayed has told it already.
      if (lastId && resumed !== 'true' && !told) onGap?.(gap ?? 'unknown')
      onReady?.({ resumed: resumed === 'true', first: !lastId, lastId: subscription.lastId })
    })
    const got = message => {
      const { gap, 'message-id': id } = message.headers
      subscription.lastId = id
      seen = true
      told ||= gap
      if (gap) onGap?.(gap, message)
      onMessage(message)
    }
    subscription.receipt = receipt
    subscription.stomp = client.subscribe(destination, got, { receipt, ...start })
  }

  client.reconnectDelay = 50
  client.connectionTimeout ||= 10_000
  client.discardWebsocketOnCommFailure = true // the closing hand-shake would wait for a server that is gone
  client.beforeConnect = async () => {
    // Not before the server asks for it, and with full jitter: thousands of clients of one replica do not come back in step.
    const askedMs = 1000 * (refusal?.headers['retry-after'] ?? 0)
    const delayMs = askedMs + (attempts === 0 ? 0 : Math.random() * Math.min(maxDelayMs, minDelayMs * 2 ** attempts))
    refusal = undefined
    onState?.({ name: attempts++ === 0 ? 'connecting' : 'reconnecting', delayMs })
    await new Promise(resolve => setTimeout(resolve, delayMs))
  }
  client.onConnect = ({ headers }) => {
    connected = true
    stable = setTimeout(() => (attempts = 1), 5000) // connections that end sooner go on backing off
    for (const subscription of subscriptions) follow(subscription)
    onState?.({ name: 'connected', user: headers['user-name'] })
  }
  client.onStompError = frame => (refusal = frame)
  client.onWebSocketClose = ({ code }) => {
    clearTimeout(stable)
    if (refusal && ![1001, 1011, 1013].includes(code)) refuse(refusal) // after these the same may succeed later
    for (const reject of unconfirmed.values()) reject(new Error('the connection ended before it was confirmed'))
    unconfirmed.clear()
    connected = false
    onState?.({ name: client.active ? 'reconnecting' : 'stopped' })
  }

  function refuse({ headers: { 'receipt-id': id, message }, body }) {
    const reason = body || message || 'refused'
    const refused = id && [...subscriptions].find(({ receipt }) => receipt === id)
    if (subscriptions.delete(refused)) refused.onRefused?.(reason)
    else if (unconfirmed.has(id)) unconfirmed.get(id)(new Error(reason))
    else onError?.(reason)
    if (!connected) client.deactivate()
  }

  return {
    start: () => client.activate(),
    stop: () => client.deactivate(),
    /** @param options `after`: a message-id of an earlier visit; `history`: how many to see first, once. @returns a function that ends it. */
    subscribe(destination, onMessage, { after, ...options } = {}) {
      const subscription = { destination, onMessage, lastId: after, ...options }
      subscriptions.add(subscription)
      if (connected) follow(subscription)
      return () => subscriptions.delete(subscription) && connected && subscription.stomp?.unsubscribe()
    },
    /** Resolves when the server confirmed it; rejects when that cannot be known any more. */
    send(destination, body, headers = {}) {
      if (!connected) return Promise.reject(new Error('not connected'))
      const receipt = `send-${++receipts}`
      return new Promise((resolve, reject) => {
        unconfirmed.set(receipt, reject)
        client.watchForReceipt(receipt, () => unconfirmed.delete(receipt) && resolve())
        client.publish({ destination, body, headers: { ...headers, receipt } })
      })
    }
  }
}
