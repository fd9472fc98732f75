import { Kafka, logLevel, type Message } from 'kafkajs'
import type { Random } from '../../contract/model/random.ts'
import { waitFor } from '../../support/wait.ts'
import { HOSTILE_NAMES, JSON_WORDS, JSONS, PROTOTYPE_NAMES } from '../corpus.ts'
import { mutate, pick } from '../mutate.ts'
import { endLine, openLine } from '../sockets.ts'
import { hold, type Struck, type Target } from '../target.ts'

// Another program writes to our topics: what can be routed is, what cannot goes to the dead letters, and the record behind them
// comes as if they were none.

const BATCHES = 10
/** Together less than a topic takes in one batch. */
const RECORDS = 20
const NAMES = [
  ...PROTOTYPE_NAMES,
  'subscription',
  'message-id',
  'content-length',
  '\ufeffcontent-length',
  '\rcontent-length',
  'Content-Type',
  'ack',
  'a:b',
  'a\nb',
  '',
  ' '
]
const TIMES = ['-1', '0', '1700000000000']

function hostile(random: Random): Message {
  const bytes = () => Buffer.from(pick(random, HOSTILE_NAMES), random(4) === 0 ? 'latin1' : 'utf8')
  const value = () => (random(4) === 0 ? bytes() : mutate(pick(random, JSONS), random, JSONS, JSON_WORDS))
  const named = Array.from({ length: random(6) }, () => [
    pick(random, NAMES),
    random(5) === 0 ? [bytes(), bytes()] : bytes()
  ])
  return {
    key: random(5) === 0 ? null : bytes(),
    value: random(10) === 0 ? null : value(),
    headers: Object.fromEntries(named),
    ...(random(8) === 0 && { timestamp: pick(random, TIMES) })
  }
}

export const kafka: Target = {
  name: 'kafka',
  about: 'records with hostile keys, headers, values and times, plain and compressed',
  short: 400,
  long: 60_000,
  async open(stage) {
    const replica = await stage.replica()
    const client = new Kafka({ brokers: replica.brokers, logLevel: logLevel.NOTHING })
    const producer = client.producer({ allowAutoTopicCreation: false })
    await producer.connect()
    const line = await openLine(replica.wsUrl)
    hold(line, 'the upgrade was refused')
    line.ws.send('CONNECT\naccept-version:1.2\n\n\0')
    const destinations = ['/topic/behind', '/sub/chat/room/behind', '/topic/1', '/topic/*', '/topic/%7Ba%7D']
    for (const [id, to] of destinations.entries())
      line.ws.send(`SUBSCRIBE\nid:${id}\ndestination:${to}\nreceipt:${id}\n\n\0`)
    await waitFor(() => line.receipts.length === destinations.length, { what: 'to be subscribed' })
    let strikes = 0

    return {
      replica,
      async strike(random): Promise<Struck> {
        const behind = `${++strikes}`
        line.bodies.length = 0
        const refusals: string[] = []
        const refusedByKafka = (error: Error) => void refusals.push(error.name)
        const compression = random(2)
        for (const topic of [replica.topic, `${replica.topic}-chat`]) {
          for (let left = BATCHES; left > 0; left--) {
            const messages = Array.from({ length: RECORDS }, () => hostile(random))
            await producer.send({ topic, messages, compression, acks: -1 }).catch(refusedByKafka)
          }
          const value = JSON.stringify({ roomId: 'behind', type: 'TALK', behind })
          await producer.send({ topic, messages: [{ key: 'behind', value }], acks: -1 })
        }
        // Each in the room of its own; those of the others are as they were written.
        const came = () => line.bodies.filter(body => body.includes(`"behind":"${behind}"`)).length
        await waitFor(() => came() === 2, {
          deadlineMs: 20_000,
          what: 'the records behind the hostile ones'
        })
        hold(!line.bodies.some(body => body.startsWith('B1 ')), 'an envelope came as a message')
        for (const room of [pick(random, HOSTILE_NAMES), '1']) {
          const to = `destination=${encodeURIComponent(`/sub/chat/room/${room.toWellFormed()}`)}`
          const { status } = await fetch(`${replica.url}/history?${to}&limit=200`)
          hold(status < 500, `history is answered with ${status}`)
        }
        return { frames: 2 * BATCHES * RECORDS, refusals }
      },
      async [Symbol.asyncDispose]() {
        await endLine(line)
        await producer.disconnect()
      }
    }
  }
}
