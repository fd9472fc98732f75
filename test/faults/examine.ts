import { waitFor } from '../support/wait.ts'
import { judge, type Reader, type Verdict } from './oracle.ts'
import { type Plain, type Resuming, roomOf, type Seen } from './seats.ts'
import type { Stage } from './stage.ts'

export interface Findings extends Verdict {
  /** Held by Kafka. */
  records: number
  acknowledged: number
  /** Acknowledged, and not held by Kafka. */
  unwritten: number
}

/** One room of one client. */
interface Place<Client> {
  name: string
  client: Client
  destination: string
  room: string
  seen: Seen[]
}

const SETTLE_MS = 60_000

/** Pauses the production, waits until every client has the last record of each of its rooms, and compares. */
export async function examine(stage: Stage, mayBeTold: (client: number) => boolean): Promise<Findings> {
  await stage.settle()
  const { clients, plain, ledger, witness } = stage
  const { rooms } = witness
  const resuming = clients.flatMap((client, index) => placesOf(client, `client ${index}`))
  const beginning = plain.flatMap((client, index) => placesOf(client, `plain client ${index}`))
  const lastOf = (room: string) => rooms.get(room)?.at(-1) ?? 0
  const isThere = ({ room, seen }: Place<unknown>) => seen.findLast(({ n }) => n === lastOf(room)) !== undefined
  const complete = () =>
    resuming.every(place => lastOf(place.room) === 0 || isThere(place)) &&
    beginning.every(place => (staysOf(stage, place).at(-1)?.plain.after ?? 0) >= lastOf(place.room) || isThere(place))
  await waitFor(complete, { deadlineMs: SETTLE_MS, what: 'the last record of each room' }).catch(() => undefined)
  const readers: Reader[] = [
    ...resuming.map(({ name, client, destination, room, seen }) => ({
      ...{ name, room, where: whereOf(stage, client, room, seen), mayBeTold: mayBeTold(clients.indexOf(client)) },
      ...{ numbers: numbersOf(seen), gaps: client.gaps.filter(gap => gap.destination === destination) }
    })),
    ...beginning.flatMap(place => {
      const { name, client, room, seen } = place
      const where = whereOf(stage, client, room, seen)
      return staysOf(stage, place).map(stay => ({ name, room, where, mayBeTold: mayBeTold(-1), ...stay }))
    })
  ]
  const unwritten = ledger.rooms.reduce((sum, room) => {
    const held = new Set(rooms.get(room))
    return sum + [...ledger.acknowledged(room).keys()].filter(n => !held.has(n)).length
  }, 0)
  const records = [...rooms.values()].reduce((sum, numbers) => sum + numbers.length, 0)
  return { ...judge(rooms, readers), records, acknowledged: ledger.count, unwritten }
}

function placesOf<Client extends Resuming | Plain>(client: Client, name: string): Place<Client>[] {
  return client.destinations.map(destination => {
    return { name, client, destination, room: roomOf(destination), seen: client.messages(destination) }
  })
}

function numbersOf(seen: Seen[]): number[] {
  return seen.map(({ n }) => n)
}

/** What a plain client got by each of its connections. */
function staysOf({ ledger }: Stage, { client, destination, room, seen }: Place<Plain>) {
  const joins = client.joins.filter(join => join.destination === destination)
  return joins.map(({ from, liveMs }, index) => {
    const to = joins[index + 1]?.from
    const after = liveMs === undefined ? Number.POSITIVE_INFINITY : ledger.takenBy(room, liveMs)
    const within = ({ from: at }: { from: number }) => at >= from && (to === undefined || at < to)
    return {
      numbers: numbersOf(seen.slice(from, to)),
      gaps: client.gaps
        .filter(gap => gap.destination === destination && within(gap))
        .map(gap => ({ ...gap, from: gap.from - from, to: gap.to - from })),
      plain: { after, left: to !== undefined }
    }
  })
}

/** When a number was acknowledged, and when and whence a message came. */
function whereOf({ ledger }: Stage, client: Resuming | Plain, room: string, seen: Seen[]) {
  const since = (ms: number | undefined) =>
    ms === undefined ? 'never' : `+${((ms - ledger.startMs) / 1000).toFixed(2)} s`
  return (at: number, number: number) => {
    const cameMs = seen[at]?.atMs
    const { url } = client.turns.findLast(({ atMs }) => atMs <= (cameMs ?? Date.now())) ?? {}
    const acknowledged = since(ledger.acknowledged(room).get(number))
    return ` (${number} acknowledged ${acknowledged}; message ${at} came ${since(cameMs)} from ${url})`
  }
}
