import { areHeaders } from './message/headers.ts'

// A reply on its way from the relay that consumed it to the replica that asked: published on that replica's channel, never
// kept. The envelope is one line, then the bytes of a STOMP 1.2 frame from its first user header to the end of its body.

/** Kafka headers of a request. By Spring's names, so that a listener with `@SendTo` echoes the first to the second by itself. */
export const CORRELATION_ID = 'kafka_correlationId'
export const REPLY_TOPIC = 'kafka_replyTopic'

/** Begins the channels of replies, one for each replica. No route may have one of them. */
export const REPLY_CHANNELS = 'reply:'

/** Begins the destinations of replies, which are each session's own. No route may have one of them. */
export const TEMPORARY_DESTINATIONS = '/temp-queue/'

export interface Reply {
  /** Correlation id of the request: the replica that asked, a dot, and a UUID. */
  id: string
  /** STOMP 1.2 encoded header lines, as `Entry.headers` has them. Content-type is always there. */
  headers: string
  body: Buffer
}

const ID = /^([0-9a-f-]{36})\.[0-9a-f-]{36}$/
const HEAD = /^R1 (\S{73}) (\d{1,9})$/
const LF = 10

/** The channel on which the replica waits that asked; undefined: no correlation id of a replica. */
export function replyChannelOf(id: string): string | undefined {
  const replica = ID.exec(id)?.[1]
  return replica && `${REPLY_CHANNELS}${replica}`
}

export function encodeReply({ id, headers, body }: Reply): Buffer {
  const head = Buffer.from(`R1 ${id} ${Buffer.byteLength(headers)}\n${headers}\n`)
  return Buffer.concat([head, body])
}

/** @returns undefined for anything that `encodeReply` could not have made. */
export function decodeReply(payload: Buffer): Reply | undefined {
  const end = payload.indexOf(LF)
  const [, id, length] = HEAD.exec(payload.toString('latin1', 0, Math.max(0, Math.min(end, 128)))) ?? []
  if (id === undefined || !ID.test(id)) return undefined
  const blankLine = end + 1 + Number(length)
  if (payload[blankLine] !== LF || payload[blankLine - 1] !== LF) return undefined
  if (!areHeaders(payload, end + 1, blankLine, false)) return undefined
  return { id, headers: payload.toString('utf8', end + 1, blankLine), body: payload.subarray(blankLine + 1) }
}

/** The content type of a reply as HTTP can say it. */
export function contentTypeOf({ headers }: Reply): string {
  const type = /^content-type:(.*)$/m.exec(headers)?.[1]?.replaceAll('\\c', ':') ?? ''
  return /^[!-[\]-~][ -[\]-~]*$/.test(type) ? type : 'application/octet-stream'
}
