import { Redis } from 'ioredis'
import { keysOf } from '../../../src/redis/append.ts'
import { waitFor } from '../../support/wait.ts'
import { ENVELOPE_WORDS, ENVELOPES } from '../corpus.ts'
import { forge } from '../forge.ts'
import { mutate, pick } from '../mutate.ts'
import { endLine, type Line, openLine } from '../sockets.ts'
import { hold, type Struck, type Target } from '../target.ts'

// Another program writes to our Redis: what it publishes is delivered or left out, what it puts into a log is shown or left out,
// and a subscriber of the room it was done to hears what comes after.

const PUBLISHES = 60
const ENTRIES = 10
const FROM_NOWHERE = 'n1.5.oAAAAAAAA5'

export const bus: Target = {
  name: 'bus',
  about: 'forged envelopes on the bus and in the logs, real ones sent again and out of order',
  short: 150,
  long: 10_000,
  async open(stage) {
    const replica = await stage.replica()
    const redis = new Redis(replica.redisUrl)
    const keys = keysOf(replica.prefix)
    let rooms = 0

    async function follow(destination: string, more: string): Promise<Line> {
      const line = await openLine(replica.wsUrl)
      hold(line, 'the upgrade was refused')
      line.ws.send('CONNECT\naccept-version:1.2\n\n\0')
      line.ws.send(`SUBSCRIBE\nid:0\ndestination:${destination}\nreceipt:live\nack:client\n${more}\n\0`)
      await waitFor(() => line.receipts.includes('live') || line.refusals.length > 0, {
        deadlineMs: 15_000,
        what: 'a RECEIPT'
      })
      return line
    }

    return {
      replica,
      async strike(random): Promise<Struck> {
        const room = `bus-${++rooms}`
        const [destination, channel] = [`/topic/${room}`, `topic:${room}`]
        const line = await follow(destination, '')
        line.ws.send(`SEND\ndestination:${destination}\n\nreal\0`)
        await waitFor(() => line.bodies.includes('real'), { what: 'a real message' })
        const real = await redis.lrangeBuffer(keys.log(channel), 0, -1)
        const changed = () => mutate(pick(random, [...real, ...ENVELOPES]), random, ENVELOPES, ENVELOPE_WORDS)
        const isNew = random(2) === 0
        const forged = () => (isNew ? forge(random) : changed())
        for (let i = 0; i < PUBLISHES; i++) {
          await redis.publish(keys.bus(channel), random(10) === 0 ? pick(random, real) : forged())
        }
        await redis.rpush(keys.log(channel), ...Array.from({ length: ENTRIES }, forged))
        await redis.publish(keys.bus(channel), 'plain text')
        await waitFor(() => line.bodies.includes('plain text'), { what: 'what comes after the forged messages' })
        const id = random(20) === 0 ? FROM_NOWHERE : pick(random, line.acks)
        // What came of a source that Redis does not hold is waited for.
        const starts = isNew && random(20) > 0 ? [] : ['history:50\n', `last-message-id:${id}\n`]
        const readers = await Promise.all(starts.map(more => follow(destination, more)))
        const { status } = await fetch(`${replica.url}/history?destination=${destination}&limit=200`)
        hold(status === 200, `history is answered with ${status}`)
        const refusals = await Promise.all([line, ...readers].map(endLine))
        return { frames: PUBLISHES + ENTRIES, refusals: refusals.flat() }
      },
      async [Symbol.asyncDispose]() {
        redis.disconnect()
      }
    }
  }
}
