import assert from 'node:assert/strict'
import { setTimeout as delay } from 'node:timers/promises'
import { raises } from '../effects.ts'
import type { Scenario } from '../scenario.ts'
import { FLOODED } from '../stage.ts'

// Clients that read too slowly, or do not stay.

const ALL = 'Every client has every record, once and in order, and is told of no gap.'

/** How one that reads too slowly is closed. */
const TRY_AGAIN_LATER = 1013

export const clientScenarios: Scenario[] = [
  {
    name: 'slow-client',
    about: 'A client of every room reads 1 KiB/s while one of them is flooded; later it reads as it should.',
    expects: `${ALL} The slow one is closed for it, and no other.`,
    stage: { over: 'client', config: { stomp: { sendQueueBytes: 1_000_000, sendQueueAgeMs: 3000 } } },
    async run(stage) {
      for (const link of stage.links) link.throttle(1024)
      await raises(stage, 'baton_slow_closes_total', async () => {
        stage.production.burst(stage.pick(2000, 600), { textBytes: 20_000, room: FLOODED })
      })
      for (const link of stage.links) link.mend()
      const wasSlow = ({ closes }: { closes: number[] }) => closes.includes(TRY_AGAIN_LATER)
      assert.deepEqual([...stage.clients.slice(0, -1), ...stage.plain].filter(wasSlow), [])
    }
  },
  {
    name: 'restless-clients',
    about:
      'Every client drops its connection each second and goes on on another replica, those who resume and plain ones.',
    expects: `${ALL} A plain client gets, of each connection, all that comes while it lasts.`,
    async run(stage) {
      const clients = [...stage.clients, ...stage.plain]
      const rounds = stage.pick(30, 5)
      const turns = clients.map(client => client.turns.length)
      await raises(stage, 'baton_resumes_total', async () => {
        for (let round = 0; round < rounds; round++) {
          for (const client of clients) {
            client.leave()
            await delay(1000 / clients.length)
          }
        }
      })
      for (const [index, client] of clients.entries())
        assert.ok(client.turns.length - (turns[index] ?? 0) >= rounds / 2)
    }
  }
]
