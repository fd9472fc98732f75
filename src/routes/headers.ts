import { isUtf8 } from 'node:buffer'
import { plainName } from '../message/headers.ts'

/** Header names that are the protocol's own or carry credentials: never copied from a SEND to Kafka, nor from Kafka to a MESSAGE. */
const RESERVED = new Set([
  ...[
    'destination',
    'message-id',
    'subscription',
    'ack',
    'content-length',
    'receipt',
    'receipt-id',
    'transaction',
    'id'
  ],
  ...['session', 'heart-beat', 'version', 'accept-version', 'host', 'server', 'user-name', 'selector'],
  ...['gap', 'history', 'last-message-id', 'resumed', 'code'],
  ...['login', 'passcode', 'password', 'authorization', 'proxy-authorization', 'cookie'],
  ...['token', 'access-token', 'access_token', 'x-auth-token', 'x-access-token', 'x-api-key']
])

export function isReservedHeader(name: string): boolean {
  return RESERVED.has(plainName(name))
}

/**
 * The header lines of a MESSAGE, as `Entry.headers` wants them. Dropped: reserved names, and what no STOMP header can hold
 * (not UTF-8, NUL, no name). Of a repeated name the first counts (STOMP 1.2, "Repeated Header Entries").
 */
export function messageHeaders(
  headers: Iterable<readonly [name: string, value: string | Buffer]>,
  contentType: string | undefined,
  contentLength: number
): string {
  let lines = ''
  let type = contentType
  let seen: Set<string> | undefined
  for (const [name, bytes] of headers) {
    if (name === '' || name.includes('\0') || isReservedHeader(name) || seen?.has(name)) continue
    const value = typeof bytes === 'string' ? bytes : isUtf8(bytes) ? bytes.toString() : '\0'
    if (value.includes('\0')) continue
    seen ??= new Set()
    seen.add(name)
    if (name.toLowerCase() === 'content-type') type = value
    else lines += `${escapeHeader(name)}:${escapeHeader(value)}\n`
  }
  if (type !== undefined) lines += `content-type:${escapeHeader(type)}\n`
  return `${lines}content-length:${contentLength}\n`
}

const ESCAPES: Record<string, string> = { '\\': '\\\\', '\r': '\\r', '\n': '\\n', ':': '\\c' }

/** STOMP 1.2, "Value Encoding". */
function escapeHeader(text: string): string {
  return text.replace(/[\\\r\n:]/g, character => ESCAPES[character] as string)
}
