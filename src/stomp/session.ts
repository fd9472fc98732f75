import { randomUUID } from 'node:crypto'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Logger } from 'pino'
import { asBatonError, BatonError, type ErrorCode } from '../errors.ts'
import type { Admission } from './admission.ts'
import { greet } from './connect.ts'
import type { Context, Outcome, Peer, StompDeps, StompOptions, Upgrade } from './context.ts'
import { createDecoder } from './decoder.ts'
import { encodeFrame, type Frame } from './frame.ts'
import { handlerOf } from './handlers.ts'
import type { Heart } from './heartbeat.ts'
import type { Queued, SendQueues } from './send-queues.ts'
import type { Transport } from './transport.ts'

// One connected client: connecting → connected → ended. Frames are handled one at a time, in order; RECEIPTs go out in the order
// of their frames, each after everything before it is done. Any fault is an ERROR, then the close. After the end nothing is
// handled, nothing is sent, and everything that was held is let go of.

export interface Session extends Queued {
  readonly id: string
  /** Undefined until CONNECTED. */
  readonly peer: Peer | undefined
  /** Destinations subscribed to. */
  readonly destinations: string[]
  /** Resolves when the socket is gone. */
  readonly gone: Promise<void>
  /** Ends it at once, with ERROR. Does nothing where it has ended. */
  refuse(error: BatonError): void
  /** Takes no more frames, waits for what Kafka has yet to acknowledge, and ends with 1001. Resolves as `gone` does. */
  drain(): Promise<void>
}

interface SessionDeps extends StompDeps {
  heart: Heart
  admission: Admission
  queues: Pick<SendQueues, 'grew'>
  logger: Logger
}

/** A burst of small frames lets others have their turn after so many. */
const FRAMES_PER_TURN = 64

export function createSession(
  options: StompOptions,
  deps: SessionDeps,
  transport: Transport,
  upgrade: Upgrade
): Session {
  const { metrics } = deps
  const id = randomUUID()
  const logger = deps.logger.child({ session: id })
  const { promise: gone, resolve: setGone } = Promise.withResolvers<void>()
  const ending = new AbortController()
  const decoder = createDecoder(options)
  const context: Context = {
    options,
    deps,
    transport,
    upgrade,
    signal: ending.signal,
    subscriptions: new Map(),
    acks: [],
    transactions: new Map(),
    allowance: undefined,
    acknowledgedAtMs: Number.NEGATIVE_INFINITY,
    slow
  }
  let peer: Peer | undefined
  let handling = false
  let draining = false
  /** Resolves when all that came is done and its RECEIPTs are sent. Never rejects. */
  let settled = Promise.resolve()

  const pulse = deps.heart.watch(transport, {
    late: () => refuse('CONNECT_TIMEOUT', `CONNECT must come within ${options.connectTimeoutMs} ms`),
    silent: () => refuse('HEARTBEAT_TIMEOUT', 'neither data nor heart-beats came as agreed at CONNECT'),
    stuck: () => slow('age'),
    ticked(wallMs) {
      const expiresAtMs = peer?.principal.expiresAtMs
      if (expiresAtMs !== undefined && wallMs >= expiresAtMs) refuse('TOKEN_EXPIRED', EXPIRED)
    }
  })

  transport.start({
    data(bytes) {
      if (ending.signal.aborted) return
      pulse.heard()
      decoder.push(bytes)
      if (!handling) void handleAll()
      const { waiting } = decoder
      if (waiting.chunks > options.maxPendingFrames || waiting.bytes > options.maxBodyBytes) transport.pause()
    },
    closed() {
      end()
      setGone()
    },
    overflow: () => slow('bytes'),
    queued: deps.queues.grew
  })

  async function handleAll(): Promise<void> {
    handling = true
    let frame: Frame | undefined
    try {
      for (let count = 1; ; count++) {
        frame = undefined
        if (ending.signal.aborted || draining) return
        frame = decoder.next()
        if (!frame) break
        await handle(frame)
        if (count % FRAMES_PER_TURN === 0) await nextTurn()
      }
      if (transport.paused) transport.resume()
    } catch (error) {
      // An ERROR keeps the order of frames, as RECEIPTs do.
      await settled
      fail(error, frame)
    } finally {
      handling = false
    }
  }

  async function handle(frame: Frame): Promise<void> {
    const { command, body } = frame
    const connects = command === 'CONNECT' || command === 'STOMP'
    if (!peer && !connects) throw new BatonError('NOT_CONNECTED', 'the first frame must be CONNECT or STOMP')
    if (peer && connects) throw new BatonError('ALREADY_CONNECTED', 'CONNECT may come once')
    const handler = peer && handlerOf(command)
    if (body.length > 0 && command !== 'SEND') throw new BatonError('BODY_NOT_ALLOWED', 'only SEND may have a body')
    if (!peer || !handler) return connect(frame)
    const outcome = await handler(context, peer, frame)
    finish(frame, outcome)
    if (!outcome.leave) return
    await settled
    end(1000, 'DISCONNECT')
  }

  async function connect(frame: Frame): Promise<void> {
    pulse.greeted()
    const { headers, rhythm, ...greeting } = await greet(context, id, frame)
    if (ending.signal.aborted) return
    deps.admission.enter(greeting.peer.principal)
    peer = greeting.peer
    decoder.version = peer.version
    metrics.sessions.inc()
    transport.write(frameOf('CONNECTED', headers))
    pulse.begin(rhythm)
    logger.debug(
      { principal: peer.principal.name, version: peer.version, remoteAddress: upgrade.remoteAddress },
      'connected'
    )
  }

  /** 1.2, "RECEIPT": all earlier frames were received; here, they are done as well. */
  function finish(frame: Frame, { receipt = [], done, owed }: Outcome): void {
    owed?.catch(async error => {
      await settled
      fail(error, frame)
    })
    const receiptId = frame.headers.get('receipt')
    if (receiptId === undefined && !done) return
    settled = Promise.all([settled, done])
      .then(() => {
        if (receiptId !== undefined) transport.write(frameOf('RECEIPT', [['receipt-id', receiptId], ...receipt]))
      })
      .catch(error => fail(error, frame))
  }

  function frameOf(command: string, headers: [name: string, value: string][], body?: Buffer): Buffer {
    return encodeFrame(peer?.version ?? '1.2', command, headers, body)
  }

  function refuse(code: ErrorCode, detail: string): void {
    fail(new BatonError(code, detail))
  }

  function slow(cause: keyof typeof SLOW): void {
    if (ending.signal.aborted) return
    metrics.slowCloses.inc({ cause })
    refuse('SLOW_CONSUMER', SLOW[cause])
  }

  /** 1.2, "ERROR": then the connection is closed, always. */
  function fail(cause: unknown, frame?: Frame): void {
    if (ending.signal.aborted) return
    const error = asBatonError(cause)
    const { code, row, detail, extra, retryAfterS } = error
    // What is no command could be anything: a token, too.
    const command = /^[A-Z]{1,11}$/.exec(frame?.command ?? '')?.[0]
    metrics.refused.inc({ code })
    if (code === 'INTERNAL') logger.error({ err: error.cause, command }, 'session failed')
    else logger.info({ code, detail, command }, 'session refused')
    const receiptId = frame?.headers.get('receipt')
    const headers = {
      message: row.title,
      code,
      'content-type': 'text/plain;charset=utf-8',
      ...(receiptId !== undefined && { 'receipt-id': receiptId }),
      ...(retryAfterS !== undefined && { 'retry-after': `${retryAfterS}` }),
      ...extra
    }
    end(row.close, row.title, frameOf('ERROR', Object.entries(headers), Buffer.from(detail)))
  }

  /** @param code absent: the socket is gone already. */
  function end(code?: number, reason = '', last?: Buffer): void {
    if (ending.signal.aborted) return
    ending.abort(new Error('the session has ended'))
    // First of all: to unsubscribe flushes a room, and nothing may follow an ERROR, nor a write that was lost.
    if (code !== undefined) transport.close(code, reason, last)
    pulse.stop()
    for (const subscription of [...context.subscriptions.values()]) subscription.unsubscribe()
    context.transactions.clear()
    if (peer) {
      metrics.sessions.dec()
      deps.admission.leave(peer.principal)
    }
  }

  return {
    id,
    transport,
    slow,
    get peer() {
      return peer
    },
    get destinations() {
      return [...context.subscriptions.values()].map(({ destination }) => destination)
    },
    gone,
    refuse: fail,
    async drain() {
      draining = true
      await settled
      end(1001, 'going away')
      await gone
    }
  }
}

const EXPIRED = 'the credential of this session has expired: SEND a fresh one before, or connect with it'

const SLOW = {
  bytes: 'more waits to be read by this client than the send queue holds; resume with last-message-id',
  age: 'data has waited too long to be read by this client; resume with last-message-id',
  acks: 'more messages of a subscription are unacknowledged than the ack window allows; resume with last-message-id',
  memory: 'all clients together read too slowly, and this one has the most to read; resume with last-message-id'
} as const
