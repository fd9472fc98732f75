import type { Delivery } from '../message.ts'
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

/** All frames of some deliveries, in order. */
export interface Layout {
  bytes: Buffer
  /** Where the id stands, in each frame. */
  gaps: number[]
}

const BACKSLASH = 0x5c
const START = 'MESSAGE\nsubscription:'

/** The bytes of a header's value, in a string that is as long as they are. */
export function bytesOf(value: string, version: Version): string {
  return Buffer.from(escapeHeader(value, version)).toString('latin1')
}

/** Lays frames out with the id of `kind`. */
export function layOut(kind: Kind, deliveries: Delivery[]): Layout {
  const { id, destination, framing } = kind
  const start = id === undefined ? 'MESSAGE\n' : `${START}${id}\n`
  const parts = deliveries.map(delivery => partsOf(delivery, kind, start, destination))
  let length = 0
  for (const { frameLength } of parts)
    length += frameLength + (framing === 'raw' ? 0 : messageHeaderLength(frameLength))
  const bytes = Buffer.allocUnsafe(length)
  const gaps: number[] = []
  let at = 0
  for (const { head, content, frameLength } of parts) {
    if (framing === 'websocket') at = writeMessageHeader(bytes, at, opcodeOf(content), frameLength)
    if (id !== undefined) gaps.push(at + START.length)
    at += bytes.write(head, at, 'latin1')
    bytes.set(content, at)
    at += content.length
    bytes[at++] = 0
  }
  return { bytes, gaps }
}

/** Puts another id in, as long as the one before. */
export function stamp({ bytes, gaps }: Layout, id = ''): void {
  const { length } = id
  // A loop over a dozen bytes takes a fifth of the time of `write`.
  for (const gap of gaps) for (let i = 0; i < length; i++) bytes[gap + i] = id.charCodeAt(i)
}

/** A copy with another id. */
export function stamped({ bytes, gaps }: Layout, id: string | undefined): Buffer {
  const copy = Buffer.from(bytes)
  stamp({ bytes: copy, gaps }, id)
  return copy
}

function partsOf({ message, id, gap }: Delivery, { version, acknowledges }: Kind, start: string, destination: string) {
  let head = `${start}message-id:${id}\ndestination:${destination}\n`
  if (acknowledges) head += `ack:${id}\n`
  if (gap !== undefined) head += `gap:${gap}\n`
  let { content } = message
  if (version !== '1.2' && content.subarray(0, message.bodyStart).includes(BACKSLASH)) {
    const translated = translateHeaders(content.toString('utf8', 0, message.bodyStart - 1), version)
    head += `${Buffer.from(translated).toString('latin1')}\n`
    content = content.subarray(message.bodyStart)
  }
  return { head, content, frameLength: head.length + content.length + 1 }
}
