import { type Delivery, headersOf } from '../message.ts'
import { escapeHeader, translateHeaders, type Version } from './frame.ts'
import { messageHeaderLength, opcodeOf, writeMessageHeader } from './message-header.ts'
import type { Framing } from './transport.ts'

// MESSAGE frames that are the same but for a subscription id of the same length: laid out once, then each id is stamped into them.

/** Subscriptions whose frames differ by the bytes of their ids only. */
export interface Kind {
  framing: Framing
  version: Version
  /** Ids and destination as latin1 strings of their bytes: a length is a number of bytes then. Undefined: a 1.0 subscription without an id. */
  id: string | undefined
  destination: string
  acknowledges: boolean
}

const BACKSLASH = 0x5c
const NOTHING = Buffer.alloc(0)
const START = 'MESSAGE\nsubscription:'

/** The bytes of a header's value, in a string that is as long as they are. */
export function bytesOf(value: string, version: Version): string {
  return Buffer.from(escapeHeader(value, version)).toString('latin1')
}

/** Of some deliveries, in order. */
export interface Frames {
  bytes: Buffer
  /** Where the id stands, in each frame. */
  gaps: number[]
  /** A socket still holds the bytes: they must not change. */
  isKept: boolean
}

/** Lays frames out, with the id of `kind`, until they are taken. */
export class Layout {
  private readonly kind: Kind
  /** What stands before a message-id and behind it. */
  private readonly before: string
  private readonly behind: string
  private bytes: Buffer = NOTHING
  private length = 0
  private gaps: number[] = []

  constructor(kind: Kind, deliveries: Delivery[] = []) {
    this.kind = kind
    this.before = `${kind.id === undefined ? 'MESSAGE\n' : `${START}${kind.id}\n`}message-id:`
    this.behind = `\ndestination:${kind.destination}\n`
    for (const delivery of deliveries) this.add(delivery)
  }

  add({ message, id, gap }: Delivery): void {
    const { framing, version, acknowledges } = this.kind
    const { bytes: source } = message
    let from = message.contentStart
    let head = this.before + id + this.behind
    if (acknowledges) head += `ack:${id}\n`
    if (gap !== undefined) head += `gap:${gap}\n`
    const lines = version === '1.2' ? undefined : headersOf(message)
    if (lines?.includes(BACKSLASH)) {
      const translated = translateHeaders(lines.toString(), version)
      head += `${Buffer.from(translated).toString('latin1')}\n`
      from = message.bodyStart
    }
    const frameLength = head.length + source.length - from + 1
    const end = this.length + frameLength + (framing === 'raw' ? 0 : messageHeaderLength(frameLength))
    if (end > this.bytes.length) this.grow(end)
    const { bytes } = this
    let at = this.length
    // What stands before the content of a message is ASCII.
    if (framing === 'websocket') at = writeMessageHeader(bytes, at, opcodeOf(source), frameLength)
    if (this.kind.id !== undefined) this.gaps.push(at + START.length)
    at += bytes.write(head, at, 'latin1')
    source.copy(bytes, at, from)
    bytes[end - 1] = 0
    this.length = end
  }

  take(): Frames {
    const taken = { bytes: this.bytes.subarray(0, this.length), gaps: this.gaps, isKept: false }
    this.bytes = NOTHING
    this.length = 0
    this.gaps = []
    return taken
  }

  private grow(length: number): void {
    const { bytes } = this
    this.bytes = Buffer.allocUnsafe(Math.max(length, 2 * this.length))
    bytes.copy(this.bytes, 0, 0, this.length)
  }
}

export function layOut(kind: Kind, deliveries: Delivery[]): Frames {
  return new Layout(kind, deliveries).take()
}

/** Ids of one length, side by side. */
export interface Ids {
  bytes: Buffer
  /** Of each. */
  length: number
  /** So many bytes they all begin with. */
  common: number
}

/** @param ids as long as the first of them. */
export function layIds([first = '', ...rest]: (string | undefined)[]): Ids {
  const { length } = first
  const bytes = Buffer.from(first + rest.join(''), 'latin1')
  let common = 0
  while (common < length && rest.every((_, i) => bytes[(i + 1) * length + common] === bytes[common])) common++
  return { bytes, length, common }
}

/**
 * Puts another id in.
 * @param from which one of the ids is there.
 */
export function restamp(frames: Frames, { bytes: ids, length, common }: Ids, from: number, to: number): void {
  // `sub-11` differs from `sub-12` by one byte.
  for (let i = common; i < length; i++) {
    const byte = ids[to * length + i] as number
    if (byte === ids[from * length + i]) continue
    if (frames.isKept) {
      frames.bytes = Buffer.from(frames.bytes)
      frames.isKept = false
    }
    const { bytes, gaps } = frames
    for (let k = 0; k < gaps.length; k++) bytes[(gaps[k] as number) + i] = byte
  }
}

/** A copy of the bytes, with another id. */
export function stamped({ bytes, gaps }: Frames, id = ''): Buffer {
  const copy = Buffer.from(bytes)
  for (const gap of gaps) copy.write(id, gap, 'latin1')
  return copy
}
