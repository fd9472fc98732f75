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
const SILENCE: Rhythm = { sendEveryMs: 0, expectEveryMs: 0 }

interface Clock {
  /** Moves by two ticks at most. Milliseconds. */
  nowMs: number
  /** `nowMs` one tick ago. */
  beforeMs: number
  /** The time of day. */
  wallMs: number
}

export function createHeart(options: HeartOptions) {
  const pulses = new Set<SessionPulse>()
  const clock: Clock = { nowMs: 0, beforeMs: 0, wallMs: Date.now() }
  const timer = setInterval(() => {
    const elapsedMs = Date.now() - clock.wallMs
    clock.wallMs += elapsedMs
    clock.beforeMs = clock.nowMs
    clock.nowMs += Math.min(Math.max(elapsedMs, 0), 2 * TICK_MS)
    for (const pulse of pulses) pulse.tick(clock, options)
  }, TICK_MS)
  timer.unref()

  return {
    watch(transport: Watched, events: PulseEvents): Pulse {
      const pulse = new SessionPulse(transport, events, clock, pulses)
      pulses.add(pulse)
      return pulse
    },

    close(): void {
      clearInterval(timer)
    }
  }
}

/** A class, since an idle session has little else: the same through closures takes 400 bytes more. */
class SessionPulse implements Pulse {
  private readonly transport: Watched
  private readonly events: PulseEvents
  private readonly clock: Clock
  private readonly pulses: Set<SessionPulse>
  private readonly bornMs: number
  private isGreeted = false
  private wasHeard = false
  private rhythm = SILENCE
  private heardMs: number
  private sentMs: number
  private writtenBytes = 0
  /** How far was written when; the first one whose end is not sent yet tells the age of the send queue. */
  private readonly marks: { atMs: number; writtenBytes: number }[] = []

  constructor(transport: Watched, events: PulseEvents, clock: Clock, pulses: Set<SessionPulse>) {
    this.transport = transport
    this.events = events
    this.clock = clock
    this.pulses = pulses
    this.bornMs = this.heardMs = this.sentMs = clock.nowMs
  }

  tick({ nowMs, beforeMs, wallMs }: Clock, { connectTimeoutMs, sendQueueAgeMs }: HeartOptions): void {
    const { transport, events } = this
    if (!this.isGreeted && nowMs - this.bornMs >= connectTimeoutMs) events.late()
    if (this.queueAgeMs(nowMs) > sendQueueAgeMs) events.stuck()
    events.ticked(wallMs)
    // While we do not read, the client's silence says nothing.
    if (this.wasHeard || transport.paused) this.heardMs = nowMs
    this.wasHeard = false
    const { sendEveryMs, expectEveryMs } = this.rhythm
    if (expectEveryMs > 0 && nowMs - this.heardMs > DEAD_AFTER_INTERVALS * expectEveryMs) events.silent()
    if (transport.writtenBytes !== this.writtenBytes) this.sentMs = beforeMs
    if (sendEveryMs > 0 && nowMs + TICK_MS - this.sentMs >= sendEveryMs && transport.queuedBytes === 0) {
      transport.write(EOL)
      this.sentMs = nowMs
    }
    this.writtenBytes = transport.writtenBytes
  }

  heard(): void {
    this.wasHeard = true
  }

  greeted(): void {
    this.isGreeted = true
  }

  begin(rhythm: Rhythm): void {
    this.rhythm = rhythm
    this.heardMs = this.sentMs = this.clock.nowMs
  }

  stop(): void {
    this.pulses.delete(this)
  }

  /** Of the oldest byte; as exact as this is asked often. */
  private queueAgeMs(nowMs: number): number {
    const { marks } = this
    const { queuedBytes, writtenBytes } = this.transport
    const sentBytes = writtenBytes - queuedBytes
    while (marks[0] && marks[0].writtenBytes <= sentBytes) marks.shift()
    if (queuedBytes > 0 && writtenBytes !== marks.at(-1)?.writtenBytes) marks.push({ atMs: nowMs, writtenBytes })
    return marks[0] ? nowMs - marks[0].atMs : 0
  }
}
