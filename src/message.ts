import { createHash } from 'node:crypto'

// A message is its coordinate (I1). Its position only finds holes and ranges.
// The envelope is what rides the bus and rests in the log: one header line, then the bytes of a
// STOMP 1.2 frame from its first user header to the end of its body, so an edge copies, never re-encodes.

/** Where a message stands in its channel. `seq` counts from 1, the first message of all, and has no holes within an epoch. */
export interface Position {
  /** Names one unbroken history of the channel; `[A-Za-z0-9]{1,24}`. Begins with `n` where nothing of it was written twice (I5). */
  epoch: string
  seq: number
}

/** Where a record stood in Kafka: the identity of a message. */
export interface Coordinate {
  /** `group/topic/partition~inc`, group percent-encoded: no spaces, no control characters. */
  source: string
  offset: number
}

/** V of protocol.md: per source, the highest offset delivered (or known to be older than the join). */
export type Vector = Map<string, number>

/** How much of every source of the prefix Redis holds. */
export interface Coverage {
  /** source → last offset appended. */
  fences: Vector
  /** source → where it was begun again (I8) (I9): after another loss, what lay before it is not brought again. Absent: all is. */
  floors: Vector
  /** source → the last offset that was there before Redis lost everything (I9): no news to who joins while it is filled again. */
  ceilings: Vector
}

/** What the relay hands to the log; the log adds the position. */
export interface Entry {
  coordinate: Coordinate
  /** Kafka's timestamp, milliseconds since 1970. */
  timestampMs: number
  /** In the log for healing and resuming, but left out of what people may read as history. */
  hidden: boolean
  /** STOMP 1.2 encoded header lines, each closed by LF, with content-length and content-type where known; never message-id, subscription, destination or ack. */
  headers: string
  body: Buffer
}

/** What an edge reads off the bus or out of the log. */
export interface Message {
  /** Absent on a payload that was no envelope: another program published it. */
  position?: Position
  /** Absent exactly where `position` is. */
  coordinate?: Coordinate
  timestampMs: number
  hidden: boolean
  /** The body was over the log's limit: this log item holds the position and headers only. Never set on the bus. */
  omitted: boolean
  /** Header lines, a blank line, the body: the tail of a STOMP 1.2 frame without its closing NUL. */
  content: Buffer
  /** Where the body begins in `content`. */
  bodyStart: number
}

/** A message with everything that is the same for all its receivers. */
export interface Delivery {
  message: Message
  /** The MESSAGE's message-id (and its `ack` header). */
  id: string
  /** Set on the first message after a hole that could not be healed: how many were missed, or that it is not known. */
  gap?: Gap
}

/** `unknown` where the number cannot be proved. */
export type Gap = number | 'unknown'

/** Fresh is what lies beyond the highest offset known of its source (I1). */
export function isBeyond({ source, offset }: Coordinate, known: ReadonlyMap<string, number>): boolean {
  return offset > (known.get(source) ?? Number.NEGATIVE_INFINITY)
}

/** Equal for the same coordinate only. */
export function keyOf({ coordinate }: Message): string {
  return `${coordinate?.source} ${coordinate?.offset}`
}

export function raise(vector: Vector, source: string, offset: number): void {
  if (isBeyond({ source, offset }, vector)) vector.set(source, offset)
}

/** The initial of an incarnation that begins after records which Kafka deleted before they were consumed. */
export const AFTER_LOSS = 'l'

/** True of the first message of such an incarnation: what came before it is not known. */
export function followsLoss({ source }: Coordinate, known: ReadonlyMap<string, number>): boolean {
  return source[source.lastIndexOf('~') + 1] === AFTER_LOSS && !known.has(source)
}

/** The topic that a source consumes. */
export function topicOf(source: string): string {
  return source.split('/')[1] as string
}

const VERSION = 'B1'
const HEADER_LINE = /^B1 ([A-Za-z0-9]{1,24}) (\d{1,15}) (\S{1,600}) (\d{1,16}) (\d{1,16}) ([-ho]{1,2}) (\d{1,9})$/
const LF = 10

/**
 * Encodes an entry up to where the log writes the position: the whole envelope is
 * `envelopeHead(position)` followed by these bytes.
 * @param omitBody keeps coordinate and headers only (a body over `log.maxBodyBytes`).
 */
export function encodeEntry(entry: Entry, omitBody = false): Buffer {
  const { coordinate, timestampMs, hidden, headers, body } = entry
  const flags = `${hidden ? 'h' : ''}${omitBody ? 'o' : ''}` || '-'
  const headersLength = Buffer.byteLength(headers)
  const head = `${coordinate.source} ${coordinate.offset} ${timestampMs} ${flags} ${headersLength}\n${headers}\n`
  const headLength = Buffer.byteLength(head)
  const out = Buffer.allocUnsafe(headLength + (omitBody ? 0 : body.length))
  out.write(head)
  if (!omitBody) out.set(body, headLength)
  return out
}

/** The first bytes of an envelope. `append.lua` writes the same; the contract suite holds them equal. */
export function envelopeHead({ epoch, seq }: Position): string {
  return `${VERSION} ${epoch} ${seq} `
}

/** Reads an envelope. Anything that is not exactly one becomes a plain message: its bytes are the body. */
export function decodeMessage(payload: Buffer, now: () => number = Date.now): Message {
  const end = payload[0] === 0x42 /* B */ ? payload.indexOf(LF) : -1
  const match = end > 0 && end < 1024 ? HEADER_LINE.exec(payload.toString('latin1', 0, end)) : null
  if (match) {
    const content = payload.subarray(end + 1)
    const headersLength = Number(match[7])
    const blankLine = content[headersLength] === LF && (headersLength === 0 || content[headersLength - 1] === LF)
    if (blankLine && Number.isSafeInteger(Number(match[4]))) {
      const flags = match[6] as string
      return {
        position: { epoch: match[1] as string, seq: Number(match[2]) },
        coordinate: { source: match[3] as string, offset: Number(match[4]) },
        timestampMs: Number(match[5]),
        hidden: flags.includes('h'),
        omitted: flags.includes('o'),
        content,
        bodyStart: headersLength + 1
      }
    }
  }
  const headers = Buffer.from(`content-length:${payload.length}\n\n`)
  return {
    timestampMs: now(),
    hidden: false,
    omitted: false,
    content: Buffer.concat([headers, payload]),
    bodyStart: headers.length
  }
}

export function bodyOf(message: Message): Buffer {
  return message.content.subarray(message.bodyStart)
}

// --- message-id (I7): epoch, seq, then V, the entry's own coordinate first -------------------------

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
  for (const [source, offset] of vector) {
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
