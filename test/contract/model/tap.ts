import { bodyOf, decodeMessage, envelopeHead, type Vector } from '../../../src/message.ts'
import type { Append, Appended, ChannelLog, Chunk } from '../../../src/ports.ts'
import type { Random } from './random.ts'

/** An append that Redis took: the truth that every client is held to. */
export interface Write {
  step: number
  channel: string
  source: string
  offset: number
  body: string
  /** Redis had lost it, and the owner that wrote it again could not know: no new epoch says so (I5). */
  unawares: boolean
}

/**
 * What becomes of one append (I2, I3): Redis takes it and the answer is lost; it fails and reaches Redis later, when the owner
 * has long gone on; it never arrives.
 */
export type Fate = 'answer lost' | 'late' | 'refused'

export const TIMED_OUT = new Error('no answer')

export type Tap = ReturnType<typeof createTap>

/** The log as owners see it, with calls that fail as they fail over a network, and the record of what was written. */
export function createTap(log: ChannelLog, random: Random, stepNow: () => number) {
  const writes: Write[] = []
  /** Every body and every coordinate that was ever written, with its channel. */
  const reached = new Set<string>()
  let late: (() => Promise<unknown>)[] = []
  let fate: Fate | undefined

  /** @param acknowledged the last offset that this owner had been told of. */
  async function write(chunk: Chunk, acknowledged: number): Promise<Appended> {
    const appended = await log.append(chunk)
    if (!appended.behind)
      for (const each of chunk.appends.slice(appended.skipped)) note(chunk.source, each, acknowledged)
    return appended
  }

  function note(source: string, { channel, offset, published }: Append, acknowledged: number): void {
    const message = decodeMessage(Buffer.concat([Buffer.from(envelopeHead({ epoch: 'x', seq: 1 })), published]))
    const body = bodyOf(message).toString()
    const key = `${channel} ${source} ${offset}`
    const unawares = reached.has(key) && offset > acknowledged
    writes.push({ step: stepNow(), channel, source, offset, body, unawares })
    reached.add(key).add(`${channel} ${body}`)
  }

  return {
    /** For one owner. */
    createLog(): ChannelLog {
      let acknowledged = -1
      return {
        ...log,
        async append(chunk) {
          const now = fate
          fate = undefined
          if (now === 'refused') throw TIMED_OUT
          // A new source's first chunk expects nothing: held back over a wipe it would be taken for one of a new group.
          if (now === 'late' && chunk.expect >= 0) {
            const known = acknowledged
            late.push(() => write(chunk, known))
            throw TIMED_OUT
          }
          const appended = await write(chunk, acknowledged)
          if (now === 'answer lost') throw TIMED_OUT
          if (!appended.behind) acknowledged = Math.max(acknowledged, chunk.upTo)
          return appended
        }
      }
    },
    writes: writes as readonly Write[],
    hasReached: (channel: string, body: string): boolean => reached.has(`${channel} ${body}`),
    /** Of the next append. */
    meet(next: Fate | undefined): void {
      fate = next
    },
    /** One of the late chunks arrives. @returns false when none is on its way. */
    async arrive(): Promise<boolean> {
      const [chunk] = late.splice(random(Math.max(1, late.length)), 1)
      await chunk?.()
      return chunk !== undefined
    },
    /** An operator's work outlives every connection: nothing is on its way any more. */
    forgetLate(): void {
      late = []
    },
    fences: (): Promise<Vector> => log.fences()
  }
}
