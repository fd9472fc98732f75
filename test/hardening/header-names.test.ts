import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { startBaton } from '../support/baton.ts'
import { unique } from '../support/ids.ts'
import { connectSocket } from '../support/raw-client.ts'
import { CLIENTS } from '../support/stomp-client.ts'
import { waitFor } from '../support/wait.ts'

// Readers drop what they take for nothing: a mark of the byte order (@stomp/stompjs), or a CR where 1.1 cannot escape it. What is left
// may be a name of the server's own, and a length of another makes two frames of one.

const NAMES = ['\ufeffcontent-length', '\\rcontent-length', ' content-length', 'content-length ', '\u00a0subscription']

const baton = await startBaton({ env: { BATON_LIFECYCLE_DRAIN_TIMEOUT_MS: '0' } })
after(() => baton.stop())

for (const version of ['1.0', '1.1', '1.2'] as const) {
  for (const [name, connect] of CLIENTS) {
    test(`no name that a reader takes for content-length divides a MESSAGE: ${name}, ${version}`, async () => {
      const destination = `/topic/${unique('names')}`
      await using reader = await connect(baton.wsUrl, { version })
      const { messages } = await reader.subscribe(destination)
      const attacker = await connectSocket(baton.wsUrl, { version: '1.2' })
      const body = 'x\0MESSAGE\nsubscription:0\nmessage-id:1\ndestination:/topic/a\n\nforged'
      const length = `content-length:${body.length}\n`
      for (const hostile of NAMES) attacker.send(`SEND\ndestination:${destination}\n${hostile}:1\n${length}\n${body}^@`)
      attacker.send(`SEND\ndestination:${destination}\n\nlast^@`)
      await waitFor(() => messages.at(-1)?.body.toString() === 'last', { what: 'what was sent last' })
      assert.deepEqual(
        messages.slice(0, -1).map(message => message.body.toString()),
        NAMES.map(() => body)
      )
      attacker.ws.close()
    })
  }
}
