import { type Follower, follow } from '../support/stomp-follower.ts'

/** What one message was to its reader. */
export interface Seen {
  n: number
  atMs: number
}

/** Where a client sits: the edges it goes round, and what it reads. */
export interface Seat {
  urls: string[]
  rooms: string[]
}

export interface Seated {
  clients: Follower<Seen>[]
  /** Of each client, by room, the highest number that came. */
  highest: Map<string, number>[]
}

const CLIENTS = 50
const ROOMS_OF_CLIENT = 3

/** Every client reads several rooms, and begins at another edge than the one before it. */
export function seatsOf(urls: string[], rooms: string[]): Seat[] {
  return Array.from({ length: CLIENTS }, (_, index) => ({
    urls: rotated(urls, index),
    rooms: rotated(rooms, ROOMS_OF_CLIENT * index).slice(0, ROOMS_OF_CLIENT)
  }))
}

/** Resolves once all have joined. */
export async function seat(seats: Seat[], heartBeatMs: number): Promise<Seated> {
  const highest = seats.map(() => new Map<string, number>())
  const clients = await Promise.all(
    seats.map(({ urls, rooms }, index) => {
      const read = ({ body }: { body: Buffer }): Seen => {
        const { room, n } = JSON.parse(`${body}`) as { room: string; n: number }
        highest[index]?.set(room, Math.max(n, highest[index]?.get(room) ?? 0))
        return { n, atMs: Date.now() }
      }
      const destinations = rooms.map(room => `/room/${room}`)
      return follow(urls, destinations, { read, heartBeatMs })
    })
  )
  return { clients, highest }
}

export function rotated<T>(list: T[], by: number): T[] {
  return list.map((_, index) => list[(index + by) % list.length] as T)
}
