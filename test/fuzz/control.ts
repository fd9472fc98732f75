import { setTimeout as delay } from 'node:timers/promises'
import { Client } from '@stomp/stompjs'
import { endWithParent } from '../support/processes.ts'

// A stock client in a process of its own: sends, and waits for its own message, again and again. Each line of its output is how
// long one round took, in milliseconds; any other says why there are no more.

const [url = '', destination = ''] = process.argv.slice(2)
const PAUSE_MS = 50

endWithParent()
let arrived = (_: string) => {}
const client = new Client({
  brokerURL: url,
  reconnectDelay: 0,
  heartbeatIncoming: 0,
  heartbeatOutgoing: 0,
  onStompError: ({ headers }) => gone(`ERROR ${headers['code']}`),
  onWebSocketClose: ({ code }) => gone(`closed with ${code}`),
  onConnect() {
    client.subscribe(destination, ({ body }) => arrived(body), { receipt: 'live' })
    client.watchForReceipt('live', () => void rounds())
  }
})
client.activate()

async function rounds(): Promise<void> {
  for (let round = 1; ; round++) {
    const { promise, resolve } = Promise.withResolvers<number>()
    const startedMs = performance.now()
    arrived = body => {
      if (body === `${round}`) resolve(performance.now() - startedMs)
    }
    client.publish({ destination, body: `${round}` })
    console.log(Math.round(await promise))
    await delay(PAUSE_MS)
  }
}

function gone(why: string): void {
  console.log(`gone: ${why}`)
  process.exit(1)
}
