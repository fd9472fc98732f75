import { encodeMessageId } from './message/id.ts'
import {
  type Coordinate,
  type Coverage,
  isBeyond,
  type Message,
  type Position,
  raise,
  topicOf,
  type Vector
} from './message.ts'
import type { Head, Snapshot } from './ports.ts'
import { isBelowFloor, unfilled } from './proof.ts'

// What one channel knows, by source: V (I6), which tells news from what was delivered or there before (I1), and the part of it
// that fed this very channel, which its message-ids name (I7).

export function createKnown(topics: ReadonlySet<string>) {
  const vector: Vector = new Map()
  const fed: Vector = new Map()

  function take(source: string, offset: number): void {
    raise(vector, source, offset)
    raise(fed, source, offset)
  }

  /** All that the log holds, or held. */
  function takeAll({ vector: own }: Head): void {
    for (const [source, offset] of own ?? []) take(source, offset)
  }

  function idOf(position: Position | undefined, own: Coordinate | undefined): string {
    return encodeMessageId(position, own, position ? fed : vector)
  }

  function awaitsRefill(coverage: Coverage): boolean {
    const isUnfilled = unfilled(coverage)
    return [...vector.keys()].some(isUnfilled)
  }

  return {
    vector: vector as ReadonlyMap<string, number>,

    isFresh: ({ coordinate }: Message): boolean => coordinate !== undefined && isBeyond(coordinate, vector),
    take: ({ source, offset }: Coordinate): void => take(source, offset),

    takeAll,

    /** At a join V is the fence, or where the refill ends that is under way, so that it never reaches a newcomer as news (I6). */
    join({ fences, ceilings, head }: Snapshot): void {
      for (const offsets of [fences, ceilings])
        for (const [source, offset] of offsets) if (topics.has(topicOf(source))) raise(vector, source, offset)
      // Those of an earlier incarnation have no fence.
      takeAll(head)
    },

    /**
     * V is the fence once all up to it was delivered or told.
     * @param heard true where the bus may still bring what Redis has lost for good (I9): that stays news.
     */
    takeFences({ fences, floors }: Coverage, heard: boolean): void {
      for (const [source, offset] of fences) {
        const floor = heard ? floors.get(source) : undefined
        if (floor !== undefined && isBeyond({ source, offset: floor - 1 }, vector)) continue
        if (isBeyond({ source, offset }, vector) && topics.has(topicOf(source))) vector.set(source, offset)
      }
    },

    /** Redis was wiped, and where the refill of some source begins is not known yet (I9). */
    awaitsRefill,

    /** What came after V may be lost for good (I9). */
    mayLack(coverage: Coverage): boolean {
      return awaitsRefill(coverage) || isBelowFloor(coverage, vector, topics)
    },

    /** A resumed client knows this source: later message-ids name it too. */
    name(source: string): void {
      const offset = vector.get(source)
      if (offset !== undefined) raise(fed, source, offset)
    },

    idOf: ({ position, coordinate }: Message): string => idOf(position, coordinate),

    /** Where Redis lost its end, its last entry is not the last one delivered: then V alone says where to resume. */
    idAt({ position, coordinate }: Head): string {
      return idOf(position, coordinate && fed.get(coordinate.source) === coordinate.offset ? coordinate : undefined)
    }
  }
}
