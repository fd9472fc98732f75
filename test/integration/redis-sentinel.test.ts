import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Redis } from 'ioredis'
import { createRedisLog } from '../../src/redis/log.ts'
import { createLink } from '../faults/proxy.ts'
import { silent } from '../support/flows.ts'
import { startRedisPair } from '../support/redis-pair.ts'
import { waitFor } from '../support/wait.ts'

test('a failover that Sentinel announces while it is asked for the primary: the link comes up again', async () => {
  await using pair = await startRedisPair()
  const [node = ''] = pair.sentinel.nodes
  const port = Number(node.split(':')[1])
  // The same Sentinel twice: one way for the question, frozen while the announcement comes by the other.
  await using asked = await createLink(port)
  const sentinel = { name: pair.sentinel.name, nodes: [`127.0.0.1:${asked.port}`, node] }
  const log = createRedisLog({ sentinel, prefix: '', readTimeoutMs: 5000 }, { logger: silent })
  await log.start()
  const witness = new Redis(port)
  try {
    let announced = false
    witness.on('message', () => {
      announced = true
    })
    await witness.subscribe('+switch-master')
    asked.freeze()
    await pair.primary.kill()
    await waitFor(() => announced, { deadlineMs: 20_000, what: 'the failover' })
    asked.mend()
    assert.equal(log.ready, false)
    await waitFor(() => log.ready, { what: 'the link to be up again' })
    assert.equal((await log.fences()).size, 0)
  } finally {
    witness.disconnect()
    await log.close()
  }
})
