import type { Random } from '../../contract/model/random.ts'
import { unique } from '../../support/ids.ts'
import { waitFor } from '../../support/wait.ts'
import { HOSTILE_NAMES, MESSAGE_IDS, PROTOTYPE_NAMES } from '../corpus.ts'
import { pick } from '../mutate.ts'
import { endLine, type Line, openLine } from '../sockets.ts'
import type { Struck, Target } from '../target.ts'

// Good frames, far too many of them: each a storm on one connection, several at a time.

const AT_ONCE = 8
const RESUMES = ['0.0', '0.0.x', 'n1.1.x']
const WINDOWS = 200
const MESSAGES = 50
const frame = (command: string, headers: string[], body = '') => `${command}\n${headers.join('\n')}\n\n${body}\0`
const times = <T>(count: number, make: (i: number) => T): T[] => Array.from({ length: count }, (_, i) => make(i))
const ESCAPES: Record<string, string> = { '\\': '\\\\', '\r': '\\r', '\n': '\\n', ':': '\\c', '\0': '' }
const escaped = (name: string) => name.replace(/[\\\r\n:\0]/g, character => ESCAPES[character] as string)
/** As a destination holds it. */
const percent = (name: string) => {
  const hex = (character: string) => `%${character.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`
  return escaped(name.toWellFormed().replace(/[/:{}%\x00-\x1f\x7f]/g, hex))
}

type Storm = (random: Random) => string[]

/** Each gives the WebSocket messages of one connection. */
const STORMS: Record<string, Storm> = {
  /** To rooms of hostile names, now and then of none; half a thousand, of which fewer stay than there may be. */
  subscribes: random => {
    // No more than one: it may be waited for, in case Redis is only being filled again, and a session's frames wait for each other.
    const wild = random(40) === 0 ? random(500) : -1
    return times(500, i => {
      const name = pick(random, HOSTILE_NAMES).slice(0, 50)
      const room = random(400) === 0 ? escaped(name) : percent(name)
      const to = pick(random, [`/topic/${room}`, `/sub/chat/room/${room}`, `/topic/storm-${i}`])
      const more = pick(random, [
        [],
        ['history:50'],
        [`last-message-id:${i === wild ? pick(random, MESSAGE_IDS) : pick(random, RESUMES)}`]
      ])
      const begin = frame('SUBSCRIBE', [`id:${i}`, `destination:${to}`, ...more])
      return i < 150 ? begin : begin + frame('UNSUBSCRIBE', [`id:${i}`])
    })
  },
  /** Within each other, left open, of one name, of names of prototypes; bodies and headers up to what they may hold. */
  transactions: random => {
    const names = times(12, i => PROTOTYPE_NAMES[i] ?? `t${i}`)
    const sends = times(300, () =>
      frame(
        'SEND',
        ['destination:/topic/tx', `transaction:${pick(random, names)}`, `x:${'h'.repeat(random(2000))}`],
        'x'.repeat(random(500))
      )
    )
    const ends = names.map(name => frame(pick(random, ['COMMIT', 'ABORT', 'BEGIN']), [`transaction:${name}`]))
    return [...names.map(name => frame('BEGIN', [`transaction:${name}`])), ...sends, ...ends]
  },
  /** Small bodies, each in a large message of heart-beats. */
  padding: () => [
    frame('BEGIN', ['transaction:t']),
    ...times(40, () => '\n'.repeat(100_000) + frame('SEND', ['destination:/topic/tx', 'transaction:t'], 'x'))
  ],
  headers: random => [
    frame('SEND', [
      'destination:/topic/h',
      ...times(60, i => `${pick(random, PROTOTYPE_NAMES)}${i}:${'v'.repeat(200)}`)
    ]),
    frame('SEND', ['destination:/topic/h', ...times(1 + random(100_000), i => `h${i}:1`)])
  ],
  /** One byte in each message. */
  bytes: random => [
    ...frame('SEND', ['destination:/topic/b', `x:${'y'.repeat(random(3000))}`], 'z'.repeat(random(3000)))
  ]
}

export const storms: Target = {
  name: 'storms',
  about: 'storms of ACKs, SUBSCRIBEs, transactions, headers, heart-beats and single bytes',
  short: 1500,
  long: 400_000,
  async open(stage) {
    const replica = await stage.replica()

    async function storm(random: Random): Promise<Struck> {
      const line = await openLine(replica.wsUrl)
      if (!line) return { frames: 1, refusals: ['HTTP'] }
      line.ws.send(frame('CONNECT', ['accept-version:1.2']))
      const storms = Object.values(STORMS)
      const which = storms[random(storms.length + 1)]
      const all = which ? which(random) : await acks(line, random)
      for (const message of all) line.ws.send(message)
      return { frames: all.length, refusals: await endLine(line) }
    }

    /** Hundreds of windows full of messages: acknowledged from the last one on, all of them twice. */
    async function acks(line: Line, random: Random): Promise<string[]> {
      const room = unique('/topic/acks')
      const of = (id: string) => frame(pick(random, ['ACK', 'NACK']), [`id:${id}`])
      for (let id = 0; id < WINDOWS; id++)
        line.ws.send(frame('SUBSCRIBE', [`id:${id}`, `destination:${room}`, 'ack:client-individual']))
      for (let i = 0; i < MESSAGES; i++) line.ws.send(frame('SEND', [`destination:${room}`], `${i}`))
      const all = WINDOWS * MESSAGES
      await waitFor(() => line.acks.length === all || line.refusals.length > 0, { what: `${all} messages` })
      const ids = line.acks.toReversed()
      return [...ids.map(of), ...ids.map(of)]
    }

    return {
      replica,
      async strike(random): Promise<Struck> {
        const all = await Promise.all(times(AT_ONCE, () => storm(random)))
        return {
          frames: all.reduce((sum, { frames }) => sum + frames, 0),
          refusals: all.flatMap(({ refusals }) => refusals)
        }
      }
    }
  }
}
