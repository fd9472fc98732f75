import { areHeaders } from './message/headers.ts'

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
  /** Kafka's timestamp, milliseconds since 1970, up to `LATEST_MS`. */
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
  /** From `contentStart` on: header lines, a blank line, the body. The tail of a STOMP 1.2 frame without its closing NUL. */
  bytes: Buffer
  contentStart: number
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

/** What becomes of those who read too slowly: they are closed, or get less for as long as more than `bytes` wait for their client. */
export type Slow = { policy: 'close' } | { policy: 'conflate' | 'drop'; bytes: number }

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
  return !known.has(source) && source[source.lastIndexOf('~') + 1] === AFTER_LOSS
}

/** The topic that a source consumes. */
export function topicOf(source: string): string {
  return source.split('/')[1] as string
}

const VERSION = 'B1'
/** The latest time there is (ECMA-262, "Time Values"). */
export const LATEST_MS = 8.64e15
/** A field of the envelope's line that is read as text. */
interface TextField {
  /** By byte: 1 where it may stand. */
  allowed: Uint8Array
  most: number
  /** What came last: mostly it comes again, and no string has to be made. */
  last: string
}

const EPOCH = textField(/[A-Za-z0-9]/, 24)
const SOURCE = textField(/[!-~]/, 600)
const FLAGS = textField(/[-ho]/, 2)
const LF = 10
const SPACE = 32

function textField(pattern: RegExp, most: number): TextField {
  const allowed = Uint8Array.from({ length: 256 }, (_, byte) => Number(pattern.test(String.fromCharCode(byte))))
  return { allowed, most, last: '' }
}

/**
 * Encodes an entry up to where the log writes the position: the whole envelope is
 * `envelopeHead(position)` followed by these bytes.
 * @param omitBody keeps coordinate and headers only (a body over `log.maxBodyBytes`).
 */
export function encodeEntry(entry: Entry, omitBody = false): Buffer {
  const { coordinate, timestampMs, hidden, headers, body } = entry
  const flags = `${hidden ? 'h' : ''}${omitBody ? 'o' : ''}` || '-'
  const headersLength = Buffer.byteLength(headers)
  const line = `${coordinate.source} ${coordinate.offset} ${timestampMs} ${flags} ${headersLength}\n`
  const headLength = line.length + headersLength + 1
  const out = Buffer.allocUnsafe(headLength + (omitBody ? 0 : body.length))
  // The line is ASCII, and mostly all of it.
  out.write(`${line}${headers}\n`, headersLength === headers.length ? 'latin1' : 'utf8')
  if (!omitBody) out.set(body, headLength)
  return out
}

/** The first bytes of an envelope. `append.lua` writes the same; the contract suite holds them equal. */
export function envelopeHead({ epoch, seq }: Position): string {
  return `${VERSION} ${epoch} ${seq} `
}

/** Reads an envelope. Anything that is not exactly one becomes a plain message: its bytes are the body. */
export function decodeMessage(payload: Buffer, now: () => number = Date.now): Message {
  const message = readEnvelope(payload)
  if (message) return message
  const headers = Buffer.from(`content-length:${payload.length}\n\n`)
  return {
    timestampMs: now(),
    hidden: false,
    omitted: false,
    bytes: Buffer.concat([headers, payload]),
    contentStart: 0,
    bodyStart: headers.length
  }
}

/** Where the next field of the envelope begins that is being read. */
let at = 0

/** The next field; empty where there is none of these bytes and of this length. */
function text(payload: Buffer, field: TextField): string {
  const { allowed, most, last } = field
  const from = at
  let isLast = true
  let to = from
  for (let byte = payload[to] as number; allowed[byte] === 1; byte = payload[++to] as number) {
    if (byte !== last.charCodeAt(to - from)) isLast = false
  }
  at = to + 1
  if (payload[to] !== SPACE || to - from > most) return ''
  if (!isLast || to - from !== last.length) field.last = payload.toString('latin1', from, to)
  return field.last
}

/** The next field; NaN where there is none of digits and of this length. */
function digits(payload: Buffer, most: number, closedBy = SPACE): number {
  const from = at
  let to = from
  let value = 0
  for (let digit = payload[to] as number; digit >= 48 && digit <= 57; digit = payload[++to] as number) {
    value = value * 10 + (digit - 48)
  }
  at = to + 1
  return payload[to] === closedBy && to > from && to - from <= most ? value : Number.NaN
}

/** By hand: a regular expression takes four times as long, a tenth of all that an edge does for a message to ten. */
function readEnvelope(payload: Buffer): Message | undefined {
  if (payload[0] !== 0x42 /* B */ || payload[1] !== 0x31 /* 1 */ || payload[2] !== SPACE) return undefined
  at = 3
  const epoch = text(payload, EPOCH)
  const seq = digits(payload, 15)
  const source = text(payload, SOURCE)
  const offset = digits(payload, 16)
  const timestampMs = digits(payload, 16)
  const flags = text(payload, FLAGS)
  const headersLength = digits(payload, 9, LF)
  const isHead = epoch && source && flags && seq >= 0 && timestampMs <= LATEST_MS && Number.isSafeInteger(offset)
  const contentStart = at
  const blankLine = at + headersLength
  if (!isHead || payload[blankLine] !== LF || payload[blankLine - 1] !== LF) return undefined
  const omitted = flags.at(-1) === 'o'
  if (!areHeaders(payload, contentStart, blankLine, omitted)) return undefined
  return {
    position: { epoch, seq },
    coordinate: { source, offset },
    timestampMs,
    hidden: flags[0] === 'h',
    omitted,
    bytes: payload,
    contentStart,
    bodyStart: blankLine + 1
  }
}

/** The header lines of a message as STOMP 1.2 encodes them, each closed by LF. */
export function headersOf({ bytes, contentStart, bodyStart }: Message): Buffer {
  return bytes.subarray(contentStart, bodyStart - 1)
}

export function bodyOf(message: Message): Buffer {
  return message.bytes.subarray(message.bodyStart)
}
