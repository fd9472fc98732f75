import { Client } from './client.ts'
import { createEdge, type Edge, forever, mark } from './edge.ts'
import { createKafka } from './kafka.ts'
import type { Consumer } from './partition.ts'
import { randomOf, shapeOf, WIDE } from './random.ts'
import type { Server } from './servers.ts'
import { createTap } from './tap.ts'

/** Of consuming all there is, probing, comparing and resuming: more must not be needed after any fault. */
const ROUNDS_TO_HEAL = 6

export type World = Awaited<ReturnType<typeof createWorld>>

/** Kafka, the log, two edges and their clients; every choice is the seed's. */
export async function createWorld(server: Server, seed: number) {
  const random = randomOf(seed)
  const shape = shapeOf(random)
  const clients: Client[] = []
  let markers = 0

  await server.wipe()
  const tap = createTap(server.log, random, () => world.step)
  const kafka = await createKafka({ tap, random, shape })
  const edges: [Edge, Edge] = [await createEdge(server), await createEdge(server)]

  const world = {
    ...{ random, shape, server, tap, kafka, edges, clients },
    step: 0,
    zombies: [] as Consumer[],
    /** A refill brings all of it again: it is not bounded, and Kafka still has all. */
    refillsAll: shape.refill.maxRecords === WIDE,
    /** A failover may go back to a state that was remembered. */
    remembered: false,
    /** A failover has lost what may not be in Redis again. */
    rolledBack: false,

    anyOf: <T>(all: readonly T[]): T | undefined => all[random(Math.max(1, all.length))],

    newClient(channel: string): Client {
      const client = new Client(`client ${clients.length} on ${channel}`, channel, () => world.step)
      clients.push(client)
      return client
    },

    /** All that was published has come to every edge, and what it made them do is done. */
    async settle(): Promise<void> {
      for (let round = 0; round < 2; round++) {
        const marker = `${seed}x${++markers}`
        await mark(server.log, markers, marker)
        for (const edge of edges) {
          await edge.settled(marker)
          if (edge.isThrough) edge.settledAt = tap.writes.length
        }
      }
    },

    /** Lets everything work as it should, and no fault any more, until all is through and every client is there. */
    async heal(): Promise<void> {
      for (let round = 0; round < ROUNDS_TO_HEAL; round++) {
        for (const edge of edges) edge.hear()
        await kafka.consumeAll()
        await world.settle()
        for (const edge of edges) edge.compare()
        await world.settle()
        for (const client of clients) if (!client.isThere) await client.resume(edges[random(2)] as Edge, forever)
        const isWhole = clients.every(({ isThere }) => isThere) && (await kafka.unfinished()).length === 0
        if (isWhole && round > 0) return
      }
      const behind = (await kafka.unfinished()).map(
        ({ topic, number }) => `the fence of ${topic}/${number} stays behind`
      )
      const refused = clients.filter(({ isThere }) => !isThere).map(({ name }) => `${name} is refused`)
      throw new Error(`not healed after ${ROUNDS_TO_HEAL} rounds: ${[...behind, ...refused].join(', ')}`)
    },

    async close(): Promise<void> {
      for (const edge of edges) await edge.close()
    }
  }
  return world
}
