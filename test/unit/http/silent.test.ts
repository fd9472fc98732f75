import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { test } from 'node:test'
import { deadline } from '../../support/wait.ts'
import { aRoute, routesOf, sendBy, serve } from './serve.ts'

const CLOSE_DEADLINE_MS = 5000

/** A connection that the server has taken, and on which this was sent. */
async function opened(port: number, bytes = '') {
  const socket = connect(port, '127.0.0.1')
  let said = ''
  socket.on('error', () => undefined).on('data', chunk => (said += chunk))
  await once(socket, 'connect')
  socket.write(bytes)
  return { gone: once(socket, 'close'), said: () => said, [Symbol.dispose]: () => socket.destroy() }
}

test('closing waits neither for a connection that sends nothing, nor for half a head', async () => {
  await using it = await serve()
  using nothing = await opened(it.port)
  using half = await opened(it.port, 'GET / HTTP/1.1\r\nhost:')
  // Taken after them.
  await fetch(`${it.url}/livez`)
  await deadline(it.server.close(), CLOSE_DEADLINE_MS, 'the end of close')
  await Promise.all([nothing.gone, half.gone])
})

test('closing waits for a request that is under way, and then no longer', async () => {
  const asked = Promise.withResolvers<void>()
  const written = Promise.withResolvers<void>()
  const route = aRoute({ send: sendBy('POST /posts') })
  await using it = await serve({
    edge: false,
    ingest: {
      routes: routesOf(route),
      inbound: {
        prepare: async () => ({ route, records: [] }),
        async produce() {
          asked.resolve()
          await written.promise
          return [{ topic: 'chat', partition: 0, offset: 1 }]
        }
      }
    }
  })
  using silent = await opened(it.port)
  using idle = await opened(it.port, 'GET /livez HTTP/1.1\r\nhost: a\r\n\r\n')
  // fetch would keep its connection, and a server that does not end it could never be closed.
  using posting = await opened(it.port, 'POST /posts HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n')
  await deadline(asked.promise, CLOSE_DEADLINE_MS, 'the request')
  const closed = it.server.close()
  // The first to go.
  await deadline(idle.gone, CLOSE_DEADLINE_MS, 'the end of what is idle').finally(written.resolve)
  await deadline(Promise.all([closed, posting.gone, silent.gone]), CLOSE_DEADLINE_MS, 'the end of close')
  assert.match(posting.said(), /\r\n\r\n\{"topic":"chat","partition":0,"offset":1\}$/)
})
