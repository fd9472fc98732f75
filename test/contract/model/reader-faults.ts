import { CHANNELS, type Edge } from './edge.ts'
import type { Happenings } from './happening.ts'
import { consume } from './relay-faults.ts'
import type { World } from './world.ts'

const MAX_CLIENTS = 10

const anyEdge = ({ edges, anyOf }: World) => anyOf(edges) as Edge

/** A client comes back, sometimes while records go on, to an edge that is behind or deaf, or to be gone again at once. */
async function comeBack(world: World): Promise<boolean> {
  const { random, kafka } = world
  const client = world.anyOf(world.clients.filter(({ isThere }) => !isThere))
  if (!client) return false
  const edge = anyEdge(world)
  const hears = edge.hears === 'live' || random(8) > 0
  if (hears) edge.hear()
  const gone = new AbortController()
  const meanwhile = hears ? random(4) : 0
  client.slow = meanwhile > 0
  const resuming = client.resume(edge, gone.signal)
  for (let n = 0; n < meanwhile; n++) {
    kafka.produce()
    await consume(world)
  }
  if (random(8) === 0) gone.abort(new Error('gone'))
  await resuming
  return true
}

/** Edges and their links, clients that come and go. */
export const READER_FAULTS = {
  // I6: two edges, each of them deaf or behind by as much as it likes.
  deaf: { weight: 3, happen: world => anyEdge(world).goDeaf() },
  lagged: { weight: 3, happen: world => anyEdge(world).lag() },
  heard: { weight: 4, happen: world => anyEdge(world).hear() },
  // I6: nothing but the next message shows it.
  lostOne: { weight: 3, happen: world => anyEdge(world).loseNext() },
  // I6: messages come between the link's return and what Redis says of positions.
  comparedLate: {
    weight: 2,
    async happen(world) {
      const edge = anyEdge(world)
      const released = Promise.withResolvers<void>()
      edge.delayCompare(released.promise)
      edge.hear()
      for (let n = world.random(4); n >= 0; n--) await consume(world)
      released.resolve()
    }
  },
  // A program that knows nothing of us publishes on a channel.
  plain: {
    weight: 1,
    happen({ edges, anyOf }) {
      const channel = anyOf(CHANNELS) as string
      for (const { take } of edges) take(channel, Buffer.from('plain'))
    }
  },
  // I6: V at the join; what comes later is news, what was before is not.
  joined: {
    weight: 2,
    async happen(world) {
      const { clients, tap, random, anyOf } = world
      if (clients.length === MAX_CLIENTS) return false
      const client = world.newClient(anyOf(CHANNELS) as string)
      const edge = anyEdge(world)
      edge.hear()
      await client.join(edge, tap, random(2) ? {} : { history: 1 + random(5) })
      if (!client.isThere) clients.pop()
      return client.isThere
    }
  },
  // I7
  left: {
    weight: 4,
    happen({ clients, anyOf }) {
      const client = anyOf(clients.filter(({ isThere }) => isThere))
      client?.leave()
      return client !== undefined
    }
  },
  cameBack: { weight: 5, happen: comeBack },
  // I7: both at once, so that a client has been away for long when it comes.
  allLeft: {
    weight: 1,
    happen({ clients }) {
      for (const client of clients) client.leave()
    }
  }
} satisfies Happenings
