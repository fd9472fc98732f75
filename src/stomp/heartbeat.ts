import type { Transport } from './transport.ts'

// One timer for all sessions: heart-beats both ways, the time until CONNECT, the age of send queues. Its clock moves by two
// ticks at most, however long the process was held up: nobody is declared dead for data that we had no time to read.

/** How often data goes out and is expected to come in, as negotiated; 0: never. Milliseconds. */
export interface Rhythm {
  sendEveryMs: number
  expectEveryMs: number
}

export interface PulseEvents {
  /** No CONNECT within `connectTimeoutMs`. */
  late(): void
  /** No data for two and a half intervals: within three the session is closed (C9 asks for a margin). */
  silent(): void
  /** A byte has waited in the send queue for longer than `sendQueueAgeMs`. */
  stuck(): void
  /** Each 250 ms, for what goes by the time of day. */
  ticked(wallMs: number): void
}

/** The time-keeping of one session. */
export interface Pulse {
  /** Data came; any counts (C9). */
  heard(): void
  /** A CONNECT came: there is no more haste. */
  greeted(): void
  begin(rhythm: Rhythm): void
  stop(): void
}

type Watched = Pick<Transport, 'paused' | 'queuedBytes' | 'writtenBytes' | 'write'>

export interface HeartOptions {
  connectTimeoutMs: number
  sendQueueAgeMs: number
}

export type Heart = ReturnType<typeof createHeart>

const TICK_MS = 250
const DEAD_AFTER_INTERVALS = 2.5
const EOL = Buffer.from('\n')

export function createHeart(options: HeartOptions) {
  const ticks = new Set<(nowMs: number, beforeMs: number) => void>()
  let nowMs = 0
  let wallMs = Date.now()
  const timer = setInterval(() => {
    const elapsedMs = Date.now() - wallMs
    wallMs += elapsedMs
    const beforeMs = nowMs
    nowMs += Math.min(Math.max(elapsedMs, 0), 2 * TICK_MS)
    for (const tick of ticks) tick(nowMs, beforeMs)
  }, TICK_MS)
  timer.unref()

  return {
    watch(transport: Watched, events: PulseEvents): Pulse {
      const bornMs = nowMs
      const queueAgeMs = createQueueAge(transport)
      let greeted = false
      let heard = false
      let rhythm: Rhythm = { sendEveryMs: 0, expectEveryMs: 0 }
      let heardMs = nowMs
      let sentMs = nowMs
      let writtenBytes = 0

      function tick(nowMs: number, beforeMs: number): void {
        if (!greeted && nowMs - bornMs >= options.connectTimeoutMs) events.late()
        if (queueAgeMs(nowMs) > options.sendQueueAgeMs) events.stuck()
        events.ticked(wallMs)
        // While we do not read, the client's silence says nothing.
        if (heard || transport.paused) heardMs = nowMs
        heard = false
        const { sendEveryMs, expectEveryMs } = rhythm
        if (expectEveryMs > 0 && nowMs - heardMs > DEAD_AFTER_INTERVALS * expectEveryMs) events.silent()
        if (transport.writtenBytes !== writtenBytes) sentMs = beforeMs
        if (sendEveryMs > 0 && nowMs + TICK_MS - sentMs >= sendEveryMs && transport.queuedBytes === 0) {
          transport.write(EOL)
          sentMs = nowMs
        }
        writtenBytes = transport.writtenBytes
      }

      ticks.add(tick)
      return {
        heard() {
          heard = true
        },
        greeted() {
          greeted = true
        },
        begin(negotiated) {
          rhythm = negotiated
          heardMs = sentMs = nowMs
        },
        stop() {
          ticks.delete(tick)
        }
      }
    },

    close(): void {
      clearInterval(timer)
    }
  }
}

/** The age of the oldest byte in a send queue, for one who asks regularly: as exact as they ask often. */
function createQueueAge(transport: Watched): (nowMs: number) => number {
  /** How far was written when; the first one whose end is not sent yet tells the age. */
  const marks: { atMs: number; writtenBytes: number }[] = []
  return nowMs => {
    const { queuedBytes, writtenBytes } = transport
    const sentBytes = writtenBytes - queuedBytes
    while (marks[0] && marks[0].writtenBytes <= sentBytes) marks.shift()
    if (queuedBytes > 0 && writtenBytes !== marks.at(-1)?.writtenBytes) marks.push({ atMs: nowMs, writtenBytes })
    return marks[0] ? nowMs - marks[0].atMs : 0
  }
}
