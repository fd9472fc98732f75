import { type Follower, type FollowOptions, follow } from '../support/stomp-follower.ts'
import { followPlainly, type PlainFollower } from '../support/stomp-plain.ts'

/** What one message was to its reader. */
export interface Seen {
  n: number
  atMs: number
}

export type Resuming = Follower<Seen>
export type Plain = PlainFollower<Seen>

/** Where a client sits: the edges it goes round, and what it reads. */
export interface Seat {
  urls: string[]
  rooms: string[]
}

/** A client with, by room, the highest number that came. */
export interface Seated<Client> {
  client: Client
  highest: ReadonlyMap<string, number>
}

type Sit<Client> = (urls: string[], destinations: string[], options: Required<FollowOptions<Seen>>) => Promise<Client>

const ROOMS_OF_CLIENT = 3

/** Every client reads several rooms, and begins at another edge than the one before it. */
export function seatsOf(count: number, urls: string[], rooms: string[]): Seat[] {
  return Array.from({ length: count }, (_, index) => ({
    urls: rotated(urls, index),
    rooms: rotated(rooms, ROOMS_OF_CLIENT * index).slice(0, ROOMS_OF_CLIENT)
  }))
}

export function seatResuming(seats: Seat[], heartBeatMs: number): Promise<Seated<Resuming>[]> {
  return seatEach(seats, heartBeatMs, follow)
}

export function seatPlain(seats: Seat[], heartBeatMs: number): Promise<Seated<Plain>[]> {
  return seatEach(seats, heartBeatMs, followPlainly)
}

/** Resolves once all have joined; where one cannot, all end. */
async function seatEach<Client extends AsyncDisposable>(
  seats: Seat[],
  heartBeatMs: number,
  sit: Sit<Client>
): Promise<Seated<Client>[]> {
  await using opening = new AsyncDisposableStack()
  const seated = await all(
    seats.map(async ({ urls, rooms }) => {
      const highest = new Map<string, number>()
      const read = ({ body }: { body: Buffer }): Seen => {
        const { room, n } = JSON.parse(`${body}`) as { room: string; n: number }
        highest.set(room, Math.max(n, highest.get(room) ?? 0))
        return { n, atMs: Date.now() }
      }
      return { client: opening.use(await sit(urls, rooms.map(destinationOf), { read, heartBeatMs })), highest }
    })
  )
  opening.move()
  return seated
}

/** Waits for each, so that what fails leaves nothing behind that is still under way. */
export async function all<T>(promises: Promise<T>[]): Promise<T[]> {
  await Promise.allSettled(promises)
  return Promise.all(promises)
}

export function rotated<T>(list: T[], by: number): T[] {
  return list.map((_, index) => list[(index + by) % list.length] as T)
}

function destinationOf(room: string): string {
  return `/room/${room}`
}

export function roomOf(destination: string): string {
  return destination.slice('/room/'.length)
}
