import { createHash } from 'node:crypto'
import type { Coordinate, Position, Vector } from '../message.ts'

// What a client resumes after (I7): epoch, seq, then V, the entry's own coordinate first.

/** The most sources a message-id names; with more, what lies before it can no longer be proved (I7). */
export const MESSAGE_ID_SOURCES = 8

/** A parsed message-id: a start point. Forging one only moves the start within a channel already authorized. */
export interface ResumePoint {
  /** Absent: the channel had no message yet. */
  position?: Position
  /** Offset of the entry at `position`, by source tag. Absent when the channel's last entry was not known. */
  own?: { tag: string; offset: number }
  /** Offsets by source tag (`sourceTag`), `own` included. */
  vector: Map<string, number>
  /** False when there were more sources than an id can name. */
  complete: boolean
}

const tags = new Map<string, string>()

/** Eight base64url characters that stand for a source in a message-id: 48 bits of its SHA-256. */
export function sourceTag(source: string): string {
  let tag = tags.get(source)
  if (tag === undefined) {
    tag = createHash('sha256').update(source).digest('base64url').slice(0, 8)
    tags.set(source, tag)
  }
  return tag
}

/**
 * @param vector V at this message, its own coordinate included.
 * @param complete false: other sources feed the channel of which `vector` knows nothing.
 * @returns at most 256 bytes of `[A-Za-z0-9._-]`, so it needs no STOMP escaping: `epoch.seq` or `0.0`, then `.` + `o` (own) or `v` + tag + offset for each source, then `.x` if sources were left out.
 *   A channel adds `.p` + a counter for a message without a position: it resumes where the message before it does.
 */
export function encodeMessageId(
  position: Position | undefined,
  own: Coordinate | undefined,
  vector: Vector,
  complete = true
): string {
  let id = position ? `${position.epoch}.${position.seq}` : '0.0'
  let room = MESSAGE_ID_SOURCES
  if (own) {
    id += `.o${sourceTag(own.source)}${own.offset}`
    room--
  }
  let left = vector.size - (own && vector.has(own.source) ? 1 : 0)
  // Mostly there is one source.
  for (const [source, offset] of left > 0 ? vector : []) {
    if (room === 0) break
    if (source === own?.source) continue
    id += `.v${sourceTag(source)}${offset}`
    room--
    left--
  }
  return left > 0 || !complete ? `${id}.x` : id
}

const ID = /^(?:0\.0|([A-Za-z0-9]{1,24})\.([1-9]\d{0,14}|0))((?:\.[ov][\w-]{8}-?\d{1,16})*)(\.x)?(?:\.p\d{1,12})?$/

/** @returns undefined when `id` is not one that `encodeMessageId` could have made. */
export function parseMessageId(id: string): ResumePoint | undefined {
  const match = id.length <= 256 ? ID.exec(id) : null
  if (!match) return undefined
  const vector = new Map<string, number>()
  let own: ResumePoint['own']
  for (const part of (match[3] as string).split('.').slice(1)) {
    const tag = part.slice(1, 9)
    const offset = Number(part.slice(9))
    if (!Number.isSafeInteger(offset) || offset < -1 || vector.has(tag)) return undefined
    if (part[0] === 'o') {
      if (vector.size > 0) return undefined
      own = { tag, offset }
    }
    vector.set(tag, offset)
  }
  if (vector.size > MESSAGE_ID_SOURCES) return undefined
  const position = match[1] === undefined ? {} : { position: { epoch: match[1], seq: Number(match[2]) } }
  return { ...position, ...(own && { own }), vector, complete: match[4] === undefined }
}
