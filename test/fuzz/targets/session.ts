import { once } from 'node:events'
import { duplexPair } from 'node:stream'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { loadConfig } from '../../../src/config.ts'
import { ERRORS } from '../../../src/errors.ts'
import { createDuplexTransport } from '../../../src/stomp/socket-transport.ts'
import type { Random } from '../../contract/model/random.ts'
import { stompPair } from '../../support/stomp-pair.ts'
import { deadline } from '../../support/wait.ts'
import { strikeWithBytes } from '../bytes.ts'
import { EVIL_FRAMES, FRAME_WORDS, FRAMES } from '../corpus.ts'
import { cut, pick } from '../mutate.ts'
import { readFrames } from '../read.ts'
import { hold, type Struck, type Target } from '../target.ts'
import { openInside } from './inside.ts'

// Whatever a session is told, it answers whole frames; an ERROR has a code of the table, is the last, and is none of ours to
// answer for. Another session goes on as ever.

const TURNS = 6
const CONTROL_EVERY = 50
const CONTROL_MS = 1000
const CONNECTS = ['', ...['1.0', '1.1', '1.2', '1.2'].map(version => `CONNECT\naccept-version:${version}\n\n\0`)]
const LIMITS = {
  ...{ maxHeaders: 64, maxHeaderBytes: 8192, maxBodyBytes: 4096, maxPendingFrames: 8 },
  ...{ maxTransactions: 2, transactionBytes: 2000, maxSubscriptions: 4, ackWindow: 4 }
}

async function open() {
  const { routes, ...config } = loadConfig({ env: {} })
  // What the broker and the log in memory keep would hide what sessions do.
  const small = Object.entries(routes).map(([name, { topic, ...route }]) => [
    name,
    { ...route, topic: { ...topic, partitions: 1 }, log: { ...route.log, size: 3 } }
  ])
  const stomp = { ...config.stomp, ...LIMITS }
  const inside = await openInside({ ...config, stomp, routes: Object.fromEntries(small) })
  const upgrade = { path: '/ws', remoteAddress: '192.0.2.1' }
  const control = stompPair()
  inside.stomp.accept(control.transport, upgrade)
  control.client.send('CONNECT\naccept-version:1.2\n\n^@SUBSCRIBE\nid:c\ndestination:/topic/control\nreceipt:c\n\n^@')
  await control.client.expect('CONNECTED')
  await control.client.expect('RECEIPT')
  let strikes = 0

  async function answers(): Promise<void> {
    control.client.send(`SEND\ndestination:/topic/control\n\n${strikes}^@`)
    const { body } = await deadline(control.client.expect('MESSAGE'), CONTROL_MS, 'the message of the control session')
    hold(String(body) === `${strikes}`, 'the control session got another message than its own')
  }

  async function check(input: Buffer, chance: Random): Promise<Struck> {
    const [near, far] = duplexPair()
    const out: Buffer[] = []
    far.on('data', chunk => out.push(chunk)).on('error', () => undefined)
    inside.stomp.accept(createDuplexTransport(near, { sendQueueBytes: 1e6 }), upgrade)
    for (const chunk of [Buffer.from(pick(chance, CONNECTS)), ...cut(input, chance)]) far.write(chunk)
    for (let turn = 0; turn < TURNS; turn++) await nextTurn()
    const gone = once(near, 'close')
    far.destroy()
    near.destroy()
    await gone
    if (++strikes % CONTROL_EVERY === 0) await answers()
    const frames = readFrames(Buffer.concat(out))
    const refusals = frames.filter(({ command }) => command === 'ERROR').map(({ headers }) => `${headers['code']}`)
    hold(
      refusals.length <= 1 && (refusals.length === 0 || frames.at(-1)?.command === 'ERROR'),
      'an ERROR was not the last'
    )
    hold(
      refusals.every(code => code in ERRORS && code !== 'INTERNAL'),
      `refused with ${refusals}`
    )
    hold(inside.errors.length === 0, `logged: ${inside.errors.splice(0)}`)
    return { frames: 1 + input.toString('latin1').split('\0').length, refusals }
  }

  return {
    ...strikeWithBytes({ corpus: FRAMES, evil: EVIL_FRAMES, words: FRAME_WORDS, most: 8, check }),
    async [Symbol.asyncDispose]() {
      await answers()
      control.client.drop()
      await inside[Symbol.asyncDispose]()
    }
  }
}

export const session: Target = {
  name: 'session',
  about: 'bytes to sessions of a whole replica in process, beside a control session',
  short: 1000,
  long: 1_000_000,
  open
}
