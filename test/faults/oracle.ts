import type { Told } from '../support/stomp-follower.ts'

// What each reader of a room got, held against what Kafka holds of it. A record is known by its number and by how many of
// that number came before it, so one that is consumed again on purpose counts as one more.

export interface Reader {
  name: string
  room: string
  /** Numbers, as they came. */
  numbers: number[]
  gaps: Told[]
  /** One connection of a plain client. Absent: a client that resumes, to which everything is due. */
  plain?: Stay
  /** True: it may be told that something is missing. */
  mayBeTold?: boolean
  /** More of a fault: of the message with this index, and of a number. */
  where?: (index: number, number: number) => string
}

/** What is due to a plain client: what follows its first message, and whatever was produced after it went live. */
export interface Stay {
  /** The highest number that was taken when its RECEIPT came. */
  after: number
  /** The connection has ended: nothing is due beyond its last message. */
  left: boolean
}

export interface Verdict {
  deliveries: number
  /** Missing, told or not. */
  lost: number
  doubled: number
  /** Came after one that follows it. */
  reordered: number
  /** Missing, and nothing said so, or said fewer. */
  silent: number
  /** Times a reader was told that something is missing. */
  told: number
  /** What was lost or told where nothing may be missing. */
  undue: number
  /** Came although Kafka never held it. */
  strange: number
  /** What was wrong, where. */
  details: string[]
}

/** The order in which readers of a room must get its numbers, by room. */
export type Truth = ReadonlyMap<string, readonly number[]>

export function judge(truth: Truth, readers: Reader[]): Verdict {
  const verdict = { deliveries: 0, lost: 0, doubled: 0, reordered: 0, silent: 0, told: 0, undue: 0, strange: 0 }
  const details: string[] = []
  const places = new Map([...truth].map(([room, numbers]) => [room, placesOf(numbers)]))
  for (const reader of readers) {
    const { room, numbers, gaps, plain, mayBeTold = false, where = () => '' } = reader
    const say = (index: number, number: number, text: string) =>
      void details.push(`${reader.name} in ${room}: ${text}${where(index, number)}`)
    const all = truth.get(room) ?? []
    const expected = plain ? dueTo(plain, numbers, all) : all
    const placesHere = (plain ? placesOf(expected) : places.get(room)) ?? new Map()
    const { holes, ...counts } = walk(numbers, plain?.left ? 0 : expected.length, placesHere, say)
    verdict.deliveries += numbers.length
    verdict.told += gaps.length
    if (!mayBeTold) verdict.undue += gaps.length
    verdict.doubled += counts.doubled
    verdict.reordered += counts.reordered
    verdict.strange += counts.strange
    for (const { before, missing } of holes) {
      const told = gaps.find(({ from, to }) => from <= before && before <= to)
      const isTold = told && (told.gap === 'unknown' || Number(told.gap) >= missing.length)
      verdict.lost += missing.length
      if (!mayBeTold) verdict.undue += missing.length
      if (!isTold) verdict.silent += missing.length
      const [first, last] = [missing[0], missing.at(-1)].map(place => expected[place as number] as number)
      const what = `${missing.length} missing (${first}…${last}) before message ${before}`
      say(before, first as number, `${what}, told: ${told?.gap ?? 'nothing'}`)
    }
  }
  return { ...verdict, details }
}

/** From its first message on, or from the first that was due to it. Where that message may be one of several, the one that fits best. */
function dueTo({ after, left }: Stay, numbers: number[], all: readonly number[]): readonly number[] {
  const due = all.findIndex(number => number > after)
  const firsts = [...all.keys()].filter(place => all[place] === numbers[0])
  const fitting = firsts.find(place => numbers.every((number, index) => number === all[place + index]))
  const first = fitting ?? firsts[0] ?? all.length
  return all.slice(
    due < 0 ? first : Math.min(first, due),
    left && fitting !== undefined ? fitting + numbers.length : undefined
  )
}

/** Number and how many of it came before → its place. */
function placesOf(numbers: readonly number[]): Map<string, number> {
  const named = createNames()
  return new Map(numbers.map((number, place) => [named(number), place]))
}

function createNames() {
  const counts = new Map<number, number>()
  return (number: number): string => {
    const count = (counts.get(number) ?? 0) + 1
    counts.set(number, count)
    return `${number}#${count}`
  }
}

function walk(
  numbers: number[],
  length: number,
  places: Map<string, number>,
  say: (index: number, number: number, text: string) => void
) {
  const named = createNames()
  const came = new Set<number>()
  const jumps: { before: number; from: number; to: number }[] = []
  let next = 0
  const counts = { doubled: 0, reordered: 0, strange: 0 }
  for (const [index, number] of numbers.entries()) {
    const place = places.get(named(number))
    if (place === undefined) {
      const kind = places.has(`${number}#1`) ? 'doubled' : 'strange'
      counts[kind]++
      say(index, number, `${number} as message ${index} is ${kind}`)
      continue
    }
    came.add(place)
    if (place < next) {
      counts.reordered++
      say(index, number, `${number} as message ${index} comes too late`)
      continue
    }
    if (place > next) jumps.push({ before: index, from: next, to: place })
    next = place + 1
  }
  if (next < length) jumps.push({ before: numbers.length, from: next, to: length })
  const holes = jumps.map(({ before, from, to }) => ({
    before,
    missing: Array.from({ length: to - from }, (_, i) => from + i).filter(place => !came.has(place))
  }))
  return { ...counts, holes: holes.filter(({ missing }) => missing.length > 0) }
}
