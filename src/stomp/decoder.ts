import { isUtf8 } from 'node:buffer'
import { BatonError } from '../errors.ts'
import { escapingOf, type Frame, unescapeHeader, type Version } from './frame.ts'

// Frames are pulled, one by one: the version that a CONNECT brings must hold for the frame behind it in the same chunk, and
// a frame's fault is told after the frames before it were handled. Between frames nothing is held.

export interface DecoderLimits {
  maxHeaders: number
  /** Command and headers of one frame together. */
  maxHeaderBytes: number
  maxBodyBytes: number
}

export interface Decoder {
  /** Undefined until CONNECT is answered: then nothing is unescaped, and lines may end in CRLF. */
  version: Version | undefined
  push(bytes: Buffer): void
  /**
   * The next whole frame; undefined: more bytes are needed. EOLs between frames are heart-beats and leave no trace.
   * @throws BatonError MALFORMED_FRAME, TOO_MANY_HEADERS, FRAME_TOO_LARGE (as soon as it shows). The decoder is of no use after.
   */
  next(): Frame | undefined
  /** Pushed and not looked at yet. */
  readonly waiting: { chunks: number; bytes: number }
}

const NUL = 0
const LF = 10
const CR = 13
const EMPTY = Buffer.alloc(0)
/** A body that comes in more parts than this is put together on the way: a million one-byte buffers would weigh 100 MB. */
const MAX_PARTS = 1024

export function createDecoder(limits: DecoderLimits): Decoder {
  const chunks: Buffer[] = []
  let waitingBytes = 0
  let version: Version | undefined
  /** What is left of the chunk in hand. */
  let rest: Buffer = EMPTY
  /** The beginning of a head whose end has not come. */
  let headPart: Buffer = EMPTY
  let open: { command: string; headers: Map<string, string>; contentLength: number | undefined } | undefined
  let parts: Buffer[] = []
  let bodyBytes = 0

  const crlf = () => version === undefined || version === '1.2'

  /** Reads command and headers into `open`, if they are there to the end. */
  function readHead(): void {
    const bytes = headPart.length > 0 ? Buffer.concat([headPart, rest]) : rest
    const start = skipEols(bytes)
    const last = findBlankLine(bytes, Math.max(start, headPart.length - 2))
    const end = last < 0 ? bytes.length : last + (bytes[last + 1] === LF ? 2 : 3)
    const head = bytes.subarray(start, end)
    if (head.includes(NUL)) throw malformed('a NUL came before the blank line that ends the headers')
    if (head.length > limits.maxHeaderBytes) {
      throw new BatonError('FRAME_TOO_LARGE', `command and headers may have ${limits.maxHeaderBytes} bytes`)
    }
    rest = bytes.subarray(end)
    headPart = last < 0 ? head : EMPTY
    if (last >= 0) open = parseHead(bytes.subarray(start, last))
  }

  /** T7: a LF or CRLF between frames says only that the client is there. */
  function skipEols(bytes: Buffer): number {
    let at = 0
    while (bytes[at] === LF || (bytes[at] === CR && bytes[at + 1] === LF)) at++
    if (bytes[at] === CR && at + 1 < bytes.length) throw malformed('a CR between frames must be followed by LF')
    return at
  }

  /** Index of the LF that ends the last line before the blank one; −1: not there yet. */
  function findBlankLine(bytes: Buffer, from: number): number {
    for (let at = bytes.indexOf(LF, from); at >= 0; at = bytes.indexOf(LF, at + 1)) {
      if (bytes[at + 1] === LF || (crlf() && bytes[at + 1] === CR && bytes[at + 2] === LF)) return at
    }
    return -1
  }

  function parseHead(bytes: Buffer): NonNullable<typeof open> {
    if (!isUtf8(bytes)) throw malformed('command and headers must be UTF-8')
    const [command = '', ...lines] = bytes.toString().split('\n').map(withoutCr)
    if (lines.length > limits.maxHeaders) {
      throw new BatonError(
        'TOO_MANY_HEADERS',
        `a frame may have ${limits.maxHeaders} headers, this one has ${lines.length}`
      )
    }
    const escaping = escapingOf(version, command)
    const headers = new Map<string, string>()
    for (const [index, line] of lines.entries()) {
      const colon = line.indexOf(':')
      if (colon < 1) throw malformed(`header line ${index + 1} must be a name, a colon and a value`)
      const name = unescapeHeader(line.slice(0, colon), escaping)
      const value = unescapeHeader(line.slice(colon + 1), escaping)
      if (name === undefined || value === undefined) {
        throw malformed(`header line ${index + 1} has an escape that STOMP ${escaping} does not define`)
      }
      if (!headers.has(name)) headers.set(name, value)
    }
    return { command, headers, contentLength: contentLengthOf(headers.get('content-length')) }
  }

  /** Only 1.2 ends lines in CRLF; there a CR within a line is not allowed. */
  function withoutCr(line: string): string {
    if (!crlf() || !line.includes('\r')) return line
    if (line.indexOf('\r') < line.length - 1) throw malformed('a CR must be followed by LF')
    return line.slice(0, -1)
  }

  function contentLengthOf(value: string | undefined): number | undefined {
    if (value === undefined) return undefined
    if (!/^\d{1,15}$/.test(value)) throw malformed('content-length must be a number of octets')
    if (Number(value) > limits.maxBodyBytes) throw bodyTooLarge()
    return Number(value)
  }

  /** Reads on in the body; the frame, once its closing NUL came. */
  function readBody({ command, headers, contentLength }: NonNullable<typeof open>): Frame | undefined {
    const end = contentLength === undefined ? rest.indexOf(NUL) : contentLength - bodyBytes
    const part = end < 0 ? rest : rest.subarray(0, end)
    bodyBytes += part.length
    if (bodyBytes > limits.maxBodyBytes) throw bodyTooLarge()
    if (part.length > 0) parts.push(part)
    if (parts.length > MAX_PARTS) parts = [Buffer.concat(parts)]
    rest = rest.subarray(part.length)
    if (rest.length === 0) return undefined
    if (rest[0] !== NUL) throw malformed('the octet after content-length octets of body must be NUL')
    // Even an empty part of a chunk would keep all of it.
    rest = rest.length > 1 ? rest.subarray(1) : EMPTY
    const body = parts.length === 1 ? whole(parts[0] as Buffer) : Buffer.concat(parts)
    open = undefined
    parts = []
    bodyBytes = 0
    return { command, headers, body }
  }

  const bodyTooLarge = () => new BatonError('FRAME_TOO_LARGE', `a body may have ${limits.maxBodyBytes} bytes`)

  return {
    get version() {
      return version
    },
    set version(negotiated) {
      version = negotiated
    },
    get waiting() {
      return { chunks: chunks.length, bytes: waitingBytes }
    },
    push(bytes) {
      chunks.push(bytes)
      waitingBytes += bytes.length
    },
    next() {
      for (;;) {
        if (rest.length === 0) {
          const chunk = chunks.shift()
          if (!chunk) return undefined
          waitingBytes -= chunk.length
          rest = chunk
        }
        if (!open) readHead()
        const frame = open && rest.length > 0 ? readBody(open) : undefined
        if (frame) return frame
      }
    }
  }
}

/** Whoever keeps a small part of a chunk must not keep all of it. */
function whole(part: Buffer): Buffer {
  return 2 * part.length < part.buffer.byteLength ? Buffer.from(part) : part
}

function malformed(detail: string): BatonError {
  return new BatonError('MALFORMED_FRAME', detail)
}
