import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { text } from 'node:stream/consumers'
import { describe, test } from 'node:test'
import { startEdge } from '../bench/edges.ts'
import { loadProgram } from '../bench/load.ts'
import { driven } from '../bench/measure.ts'
import { bodyOf, sentUs } from '../bench/records.ts'
import { openWorld } from '../bench/world.ts'

describe('the load generator of the bench', () => {
  /** What it finds in bytes that it reads in parts of every size. */
  async function scan(bytes: Buffer): Promise<unknown> {
    const child = spawn(await loadProgram(), ['scan'], { stdio: ['pipe', 'pipe', 'inherit'] })
    child.stdin.end(bytes)
    return JSON.parse(await text(child.stdout))
  }

  /** A WebSocket message as a server sends it (RFC 6455 §5.2). */
  function message(payload: string): Buffer {
    const { length } = Buffer.from(payload)
    const head = length < 126 ? [length] : length < 65_536 ? [126, length >> 8, length & 255] : undefined
    const long = Buffer.alloc(9, 127)
    if (!head) long.writeBigUInt64BE(BigInt(length), 1)
    return Buffer.concat([Buffer.of(0x81), head ? Buffer.from(head) : long, Buffer.from(payload)])
  }

  test('finds room, number and time at the end of frames of every length, however they are cut', async () => {
    const bodies = [bodyOf(7, 1), bodyOf(65_000, 123_456)]
    const sum = bodies.reduce((sum, body) => sum + sentUs(JSON.parse(body)), 7 + 1 + 65_000 + 123_456)
    const frames = [
      `MESSAGE\nsubscription:s0\n\n${bodies[0]}\0`,
      '\n',
      'RECEIPT\nreceipt-id:r\n\n\0',
      `MESSAGE\npad:${'x'.repeat(70_000)}\n\n${bodies[1]}\0\n`
    ]
    const found = await scan(Buffer.concat(frames.map(message)))
    assert.deepEqual(found, { frames: 4, bodies: 2, sum, left: 0, valid: true })
  })

  test('waits for the rest of a frame, and takes no masked one from a server', async () => {
    const whole = message('CONNECTED\n\n\0')
    assert.deepEqual(await scan(whole.subarray(0, -1)), {
      frames: 0,
      bodies: 0,
      sum: 0,
      left: whole.length - 1,
      valid: true
    })
    assert.deepEqual(await scan(Buffer.of(0x81, 0x81, 0, 0, 0, 0, 0x61)), {
      frames: 0,
      bodies: 0,
      sum: 0,
      left: 3,
      valid: false
    })
  })

  test('publishes what Baton takes for the messages of a relay, each following the one before', async () => {
    await using world = openWorld(1, true)
    await using edge = await startEdge(world)
    const { messages, orderFaults } = await driven(world, edge, { rooms: 2, members: 3, window: 2 })
    const { host, port } = edge.load
    const metrics = await (await fetch(`http://${host}:${port}/metrics`)).text()
    const value = (name: string) => Number(new RegExp(`^baton_${name} (\\d+)$`, 'm').exec(metrics)?.[1])
    // The four in flight may leave at once.
    assert.ok(value('delivery_latency_seconds_count') >= messages / 4)
    assert.ok(value('deliveries_total') >= 3 * messages)
    assert.equal(value('heals_total'), 0)
    assert.equal(orderFaults, 0)
  })
})
