import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer } from 'node:net'
import { describe, test } from 'node:test'
import { waitFor } from '../support/wait.ts'
import { createLink } from './proxy.ts'

/** An echo behind a link, and how to get a connection to it. */
async function echo() {
  const stack = new AsyncDisposableStack()
  const server = createServer(socket => socket.on('error', () => undefined).pipe(socket))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  stack.defer(() => void server.close())
  const link = stack.use(await createLink((server.address() as AddressInfo).port))

  async function open() {
    const socket = connect(link.port, '127.0.0.1').setEncoding('utf8')
    stack.defer(() => void socket.destroy())
    const seen = { text: '', closed: false }
    socket.on('data', text => {
      seen.text += text
    })
    socket.on('error', () => undefined)
    socket.once('close', () => {
      seen.closed = true
    })
    await once(socket, 'connect')
    const came = (text: string) => waitFor(() => seen.text === text, { what: () => `${text}, not ${seen.text}` })
    return { socket, seen, came, say: (text: string) => void socket.write(text) }
  }
  return { link, open, [Symbol.asyncDispose]: () => stack.disposeAsync() }
}

/** Long enough for an echo to have come, were the link good. */
async function roundTrip() {
  await using other = await echo()
  const { say, came } = await other.open()
  for (const text of ['a', 'ab', 'abc']) {
    say(text.at(-1) as string)
    await came(text)
  }
}

describe('a link', () => {
  test('passes bytes both ways, and the end of a connection', async () => {
    await using far = await echo()
    const { socket, seen, say, came } = await far.open()
    say('one')
    await came('one')
    socket.end()
    await waitFor(() => seen.closed, { what: 'the end' })
  })

  test('when cut, ends its connections and every new one; mended, it takes new ones', async () => {
    await using far = await echo()
    const first = await far.open()
    far.link.cut()
    await waitFor(() => first.seen.closed, { what: 'the end of the first' })
    const second = await far.open()
    await waitFor(() => second.seen.closed, { what: 'the end of the second' })
    far.link.mend()
    const third = await far.open()
    third.say('one')
    await third.came('one')
  })

  test('when frozen, takes connections and passes nothing; mended, all of it goes on in order', async () => {
    await using far = await echo()
    const before = await far.open()
    before.say('one ')
    await before.came('one ')
    far.link.freeze()
    const after = await far.open()
    before.say('two')
    after.say('one')
    await roundTrip()
    assert.deepEqual(
      [before.seen, after.seen],
      [
        { text: 'one ', closed: false },
        { text: '', closed: false }
      ]
    )
    far.link.mend()
    await before.came('one two')
    await after.came('one')
  })

  test('when frozen, does not tell an end before it is mended', async () => {
    await using far = await echo()
    const { socket, seen } = await far.open()
    far.link.freeze()
    socket.end()
    await roundTrip()
    assert.equal(seen.closed, false)
    far.link.mend()
    await waitFor(() => seen.closed, { what: 'the end' })
  })

  test('when slow, lets every byte arrive so much later, and later ones no later than that', async () => {
    await using far = await echo()
    const { say, came } = await far.open()
    far.link.slow(200)
    const start = performance.now()
    for (const text of ['1', '2', '3', '4', '5']) say(text)
    await came('12345')
    const tookMs = performance.now() - start
    assert.ok(tookMs >= 390 && tookMs < 1000, `${tookMs} ms`)
  })

  test('when throttled, passes so many bytes a second', async () => {
    await using far = await echo()
    const { say, came } = await far.open()
    far.link.throttle(10_000)
    const start = performance.now()
    say('x'.repeat(5000))
    await came('x'.repeat(5000))
    const tookMs = performance.now() - start
    assert.ok(tookMs > 400 && tookMs < 3000, `${tookMs} ms`)
  })
})
