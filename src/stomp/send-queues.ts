import { totalmem } from 'node:os'
import { BatonError } from '../errors.ts'
import type { Transport } from './transport.ts'

// All send queues of the process together. What sockets take at once costs nothing here. What does not fit is taken off the
// room that was left when the queues were last measured, so they never hold more than the bound and one write, however much
// comes between two looks; measured anew they are only when that room is used up. A buffer that many queues share is
// counted for each of them: the memory is less than the sum, never more.

/** One client's part in it. */
export interface Queued {
  readonly transport: Pick<Transport, 'queuedBytes' | 'cut'>
  /** Ends its session. */
  slow(cause: 'memory'): void
}

export interface SendQueues {
  /** So many bytes were written and wait for a client to read. May end sessions, that of the writer too. */
  grew(bytes: number): void
  /** @throws BatonError SEND_QUEUES_FULL while more is queued than is left after the longest were ended. */
  check(): void
  /** What is queued now. */
  bytes(): number
}

/** The longest queues are ended until so much of the bound is left: that many bytes later they are measured again. */
const LEFT = 0.75
/** Who is refused for what was measured is not measured for again so soon. Milliseconds. */
const REMEASURE_MS = 250
/** Of the memory that the process may use. */
const DEFAULT_SHARE = 0.25

/** @param sendQueuesBytes 0: a quarter of the memory that the process may use. */
export function createSendQueues({ sendQueuesBytes }: { sendQueuesBytes: number }, all: Iterable<Queued>): SendQueues {
  const boundBytes = sendQueuesBytes || DEFAULT_SHARE * Math.min(process.constrainedMemory() || totalmem(), totalmem())
  const leftBytes = LEFT * boundBytes
  let roomBytes = boundBytes
  let measuredMs = Number.NEGATIVE_INFINITY
  let relieving = false

  function bytes(): number {
    let sum = 0
    for (const { transport } of all) sum += transport.queuedBytes
    return sum
  }

  function measure(): void {
    roomBytes = boundBytes - bytes()
    measuredMs = performance.now()
  }

  /** Ends the longest first: what they hold is lost to them, and they resume. */
  function relieve(): void {
    relieving = true
    const waiting = [...all].filter(({ transport }) => transport.queuedBytes > 0)
    waiting.sort((a, b) => b.transport.queuedBytes - a.transport.queuedBytes)
    let sum = waiting.reduce((total, { transport }) => total + transport.queuedBytes, 0)
    for (const { transport, slow } of waiting) {
      if (sum <= leftBytes) break
      sum -= transport.queuedBytes
      slow('memory')
      // Its closing handshake would wait for a client that does not read.
      transport.cut()
    }
    relieving = false
    measure()
  }

  return {
    grew(more) {
      roomBytes -= more
      if (roomBytes < 0 && !relieving) relieve()
    },
    check() {
      const isOver = () => boundBytes - roomBytes > leftBytes
      if (isOver() && performance.now() - measuredMs > REMEASURE_MS) measure()
      if (!isOver()) return
      const detail =
        'clients that read too slowly hold nearly stomp.sendQueuesBytes on this replica: connect again later'
      throw new BatonError('SEND_QUEUES_FULL', detail)
    },
    bytes
  }
}
