import { type ResumePoint, sourceTag } from '../../../src/message/id.ts'
import { type Coordinate, isBeyond } from '../../../src/message.ts'
import type { Client, Event } from './client.ts'
import type { Write } from './tap.ts'

// Holds what one client saw against what Redis took. Whatever it missed must have been told, where it was missed and as
// many as it was; and what is told must have been missed, but where the log cannot show that it was not.

/** Gaps told, by what became of them. */
export interface Told {
  exact: number
  unknown: number
  overCautious: number
}

interface Missed {
  write: Write
  /** Between the events before and after which it belongs. */
  windows: [after: number, upTo: number][]
}

interface Hole {
  /** Counts SUBSCRIBEs. A resume tells what is missing since the id it came with, so the next one may tell it again. */
  connection: number
  /** Told between these events. */
  from: number
  to: number
  missed: number | 'unknown'
  excused: boolean
  /** May be too many. Of a resume that says unknown: what it lacks may have been seen. */
  vague: boolean
}

const keyOf = ({ source, offset }: Coordinate) => `${source}@${offset}`

/** @returns what is wrong; nothing when the promise was kept. */
export function faultsOf(client: Client, writes: readonly Write[], told: Told): string[] {
  const { events, channel } = client
  const here = [...writes.entries()].filter(([, write]) => write.channel === channel)
  const byKey = Map.groupBy(here, ([, write]) => keyOf(write))
  const times = (coordinate: Coordinate) => byKey.get(keyOf(coordinate))?.length ?? 0
  const all = missing(events, here, client.behindSince, times)
  // What was there when it joined is no news, though Redis lost it and got it again; and where a partition is consumed anew
  // the same record comes from another source.
  const done = new Set(events.map(event => ('body' in event ? event.body : '')))
  const first = new Map<string, string>()
  for (const [index, write] of here) {
    if (index < client.joinedAt) done.add(write.body)
    if (!first.has(write.body)) first.set(write.body, keyOf(write))
  }
  const owed = all.filter(({ write }) => {
    return isBeyond(write, client.startsBefore) && !done.has(write.body) && first.get(write.body) === keyOf(write)
  })
  // Where entries were written again unawares, positions do not count (docs/guarantees.md).
  const counts = !here.some(([, { unawares }]) => unawares)
  return [...received(client, new Map(here.map(([, write]) => [keyOf(write), write.body])), times)].concat(
    untold(events, owed, all, told, counts)
  )
}

/** Every message is one that was written, once, in order (I1, I6). */
function received(
  { events, startsAfter }: Client,
  written: Map<string, string>,
  times: (coordinate: Coordinate) => number
): string[] {
  const faults: string[] = []
  const latest = new Map<string, number>()
  let anew = false
  let point: ResumePoint | undefined
  for (const event of events) {
    if (event.kind === 'subscribe') {
      point = event.point
      // Only a resume that says unknown may bring what was seen, and then what was there before it.
      anew ||= event.unknown
      if (event.unknown) latest.clear()
    } else if ('coordinate' in event && event.coordinate) {
      // So too where it left before its RECEIPT.
      if (event.kind === 'replay' && event.gap === 'unknown') {
        anew = true
        latest.clear()
      }
      const { source, offset } = event.coordinate
      const key = keyOf(event.coordinate)
      if (written.get(key) !== event.body) faults.push(`got ${key} with a body that was never written`)
      // An id that could not name all its sources cannot tell what Redis lost and got again.
      const again = times(event.coordinate) > 1
      const mayKnow = point?.complete === false && again
      if (offset <= (latest.get(source) ?? -1) && !mayKnow) faults.push(`got ${key} after ${latest.get(source)}`)
      const isOld = offset <= (startsAfter.get(source) ?? -1)
      // One with messages names the sources of its room only: what Redis lost and got again of another one may be news.
      const mayBeNews = event.kind === 'replay' && again && !point?.vector.has(sourceTag(source))
      if (isOld && !anew && !mayKnow && !mayBeNews) faults.push(`got ${key}, older than its SUBSCRIBE`)
      latest.set(source, offset)
    }
  }
  return faults
}

/** What was written from a write on and did not come, or only once Redis had lost it and got it again. */
function missing(
  events: Event[],
  here: [number, Write][],
  from: number,
  times: (coordinate: Coordinate) => number
): Missed[] {
  const got = new Set(events.map(event => ('coordinate' in event && event.coordinate ? keyOf(event.coordinate) : '')))
  const all = new Map<string, Missed>()
  for (const [index, write] of here) {
    const came = got.has(keyOf(write))
    if (index >= from && (!came || times(write) > 1))
      all.set(keyOf(write), { write, windows: windowsOf(events, write) })
  }
  return [...all.values()]
}

/** Between which events of a client a message belongs that it did not get, or not yet. */
function windowsOf(events: Event[], { source, offset }: Coordinate): Missed['windows'] {
  const windows: Missed['windows'] = []
  let after = -1
  let below = true
  for (const [index, event] of events.entries()) {
    if (!('coordinate' in event) || event.coordinate?.source !== source) continue
    const { offset: next } = event.coordinate
    // One that came after all, for Redis got it again, was missing ever since.
    if (below && next >= offset) windows.push(next === offset ? [-1, index - 1] : [after, index])
    below = next < offset
    after = index
  }
  return below ? [...windows, [after, events.length]] : windows
}

/** The gaps told. What a RECEIPT says beyond the messages replayed before it lies somewhere among them. */
function holesOf(events: Event[]): Hole[] {
  const holes: Hole[] = []
  let connection = 0
  let resume = { unknown: false, told: false }
  for (const [index, event] of events.entries()) {
    if (event.kind === 'subscribe') {
      connection++
      resume = { unknown: event.unknown, told: false }
    }
    if (!('gap' in event) || event.gap === undefined) continue
    // Once a resume said unknown, what it replays may have been seen, and so may what it lacks; and where it did not say so, the
    // channel found a hole while this client was being replayed.
    const excused = event.excused || (event.kind === 'replay' && resume.unknown === resume.told)
    resume.told ||= event.gap === 'unknown'
    if (event.kind !== 'receipt') {
      holes.push({
        connection,
        from: index,
        to: index,
        missed: event.gap,
        excused,
        vague: event.kind === 'replay' && resume.unknown
      })
      continue
    }
    const within = holes.filter(({ from }) => from > event.from)
    const unknown = within.find(hole => hole.missed === 'unknown')
    if (unknown) {
      unknown.to = index
      continue
    }
    const rest = event.gap === 'unknown' ? event.gap : within.reduce((n, { missed }) => n - Number(missed), event.gap)
    // What a message tells that came meanwhile may be what the log had shown already.
    const vague = resume.unknown || within.length > 0
    if (rest !== 0) holes.push({ connection, from: event.from, to: index, missed: rest, excused, vague })
  }
  return holes
}

const covers =
  ({ from, to }: Hole) =>
  ({ windows }: Missed): boolean =>
    windows.some(([after, upTo]) => to > after && from <= upTo)

/**
 * Each number is matched with as many misses as it says, and each miss with a number or an `unknown`.
 * @param all with those that may be told and need not: its edge had not got them when it joined, or they came later.
 * @param counts false: numbers may be wrong.
 */
function untold(events: Event[], owed: Missed[], all: Missed[], told: Told, counts: boolean): string[] {
  const faults: string[] = []
  const holes = holesOf(events)
  const unknown = holes.filter(hole => hole.missed === 'unknown')
  for (const hole of unknown) {
    if (all.some(covers(hole))) told.unknown++
    else if (hole.excused) told.overCautious++
    else faults.push(`was told gap:unknown at step ${events[hole.to]?.step} although nothing was missed`)
  }
  const slots: Hole[] = []
  for (const hole of holes) {
    if (hole.missed === 'unknown') continue
    if (hole.missed < 0) faults.push(`the RECEIPT says fewer than its messages at step ${events[hole.to]?.step}`)
    for (let n = 0; n < hole.missed; n++) slots.push(hole)
  }
  const open = counts ? unknown : holes
  const silent = owed.filter(miss => !open.some(hole => covers(hole)(miss)))
  for (const miss of unmatched(silent, slots, (miss, slot) => covers(slot)(miss)))
    faults.push(`missed ${keyOf(miss.write)} of step ${miss.write.step} and was told nothing`)
  const connections = [...Map.groupBy(slots, ({ connection }) => connection).values()]
  const wrong = connections.flatMap(each => unmatched(each, all, (slot, miss) => covers(slot)(miss)))
  if (counts)
    for (const hole of new Set(wrong.filter(({ vague }) => !vague)))
      faults.push(`was told gap:${hole.missed} at step ${events[hole.to]?.step}, which is too many`)
  told.exact += new Set(slots).size - new Set(wrong).size
  return faults
}

/** Those that find no partner in a largest matching (Kuhn). */
function unmatched<A, B>(all: A[], others: B[], fits: (one: A, other: B) => boolean): A[] {
  const taken = new Map<number, A>()
  const find = (one: A, tried: Set<number>): boolean =>
    others.some((other, index) => {
      if (tried.has(index) || !fits(one, other)) return false
      tried.add(index)
      const rival = taken.get(index)
      if (rival !== undefined && !find(rival, tried)) return false
      taken.set(index, one)
      return true
    })
  return all.filter(one => !find(one, new Set()))
}
