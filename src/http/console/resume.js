// Subscriptions that outlive their connection, on top of a Client of @stomp/stompjs: each remembers the last message-id
// it saw and goes on after it, on whichever replica answers. What could not be proved complete is told as a gap.

/**
 * @param client a Client of @stomp/stompjs, not yet activated. Its onConnect, onStompError, onWebSocketClose and beforeConnect are taken.
 * @param onState ({ name: 'connecting' | 'connected' | 'reconnecting' | 'stopped', delayMs?, user? }).
 * @param onError (reason): an ERROR frame that belongs to no subscription; refused at CONNECT, it stops.
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
    subscription.receipt = `resume-${++receipts}`
    client.watchForReceipt(subscription.receipt, ({ headers }) => {
      subscription.receipt = undefined
      // Nothing seen on this connection yet: the server says from where on nothing will be missed.
      if (!seen) subscription.lastId = headers['last-message-id'] ?? subscription.lastId
      onReady?.({ resumed: headers.resumed === 'true', gap: headers.gap, first: lastId === undefined })
    })
    const got = message => {
      seen = true
      subscription.lastId = message.headers['message-id']
      if (message.headers.gap) onGap?.(message.headers.gap)
      onMessage(message)
    }
    subscription.stomp = client.subscribe(destination, got, { receipt: subscription.receipt, ...start })
  }

  // Full jitter: thousands of clients of one replica do not come back in step.
  client.reconnectDelay = 50
  client.beforeConnect = async () => {
    const delayMs = attempts === 0 ? 0 : Math.random() * Math.min(maxDelayMs, minDelayMs * 2 ** attempts)
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
    for (const reject of unconfirmed.values()) reject(new Error('the connection ended before it was confirmed'))
    unconfirmed.clear()
    if (refusal && code !== 1013) refuse(refusal) // 1013: the same may succeed later
    refusal = undefined
    connected = false
    onState?.({ name: client.active ? 'reconnecting' : 'stopped' })
  }

  function refuse({ headers, body }) {
    const reason = body || headers.message || 'refused'
    const refused = [...subscriptions].find(({ receipt }) => receipt && receipt === headers['receipt-id'])
    subscriptions.delete(refused)
    if (refused) return refused.onRefused?.(reason)
    onError?.(reason)
    if (!connected) stop()
  }

  function stop() {
    subscriptions.clear()
    return client.deactivate()
  }

  return {
    start: () => client.activate(),
    stop,
    /** @returns a function that ends it. `history`: how many messages to see first, once. */
    subscribe(destination, onMessage, { history, onReady, onGap, onRefused } = {}) {
      const subscription = { destination, onMessage, history, onReady, onGap, onRefused }
      subscriptions.add(subscription)
      if (connected) follow(subscription)
      return () => {
        subscriptions.delete(subscription)
        if (connected) subscription.stomp?.unsubscribe()
      }
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
