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

interface Head {
  command: string
  headers: Map<string, string>
  contentLength: number | undefined
}

const NUL = 0
const LF = 10
const CR = 13
const EMPTY = Buffer.alloc(0)
/** A body that comes in more parts than this is put together on the way: a million one-byte buffers would weigh 100 MB. */
const MAX_PARTS = 1024

export function createDecoder(limits: DecoderLimits): Decoder {
  return new FrameDecoder(limits)
}

/** A class, since an idle session has little else: the same through closures takes 1,400 bytes more. */
class FrameDecoder implements Decoder {
  version: Version | undefined
  private readonly limits: DecoderLimits
  private readonly chunks: Buffer[] = []
  private waitingBytes = 0
  /** What is left of the chunk in hand. */
  private rest: Buffer = EMPTY
  /** The beginning of a head whose end has not come. */
  private headPart: Buffer = EMPTY
  private open: Head | undefined
  private parts: Buffer[] = []
  private bodyBytes = 0

  constructor(limits: DecoderLimits) {
    this.limits = limits
  }

  get waiting(): Decoder['waiting'] {
    return { chunks: this.chunks.length, bytes: this.waitingBytes }
  }

  push(bytes: Buffer): void {
    this.chunks.push(bytes)
    this.waitingBytes += bytes.length
  }

  next(): Frame | undefined {
    for (;;) {
      if (this.rest.length === 0) {
        const chunk = this.chunks.shift()
        if (!chunk) return undefined
        this.waitingBytes -= chunk.length
        this.rest = chunk
      }
      if (!this.open) this.readHead()
      const frame = this.open && this.rest.length > 0 ? this.readBody(this.open) : undefined
      if (frame) return frame
    }
  }

  /** Reads command and headers into `open`, if they are there to the end. */
  private readHead(): void {
    const { headPart, rest, limits } = this
    const bytes = headPart.length > 0 ? Buffer.concat([headPart, rest]) : rest
    const start = skipEols(bytes)
    const last = this.findBlankLine(bytes, Math.max(start, headPart.length - 2))
    const end = last < 0 ? bytes.length : last + (bytes[last + 1] === LF ? 2 : 3)
    const head = bytes.subarray(start, end)
    if (head.includes(NUL)) throw malformed('a NUL came before the blank line that ends the headers')
    if (head.length > limits.maxHeaderBytes) {
      throw new BatonError('FRAME_TOO_LARGE', `command and headers may have ${limits.maxHeaderBytes} bytes`)
    }
    this.rest = bytes.subarray(end)
    this.headPart = last < 0 ? head : EMPTY
    if (last >= 0) this.open = this.parseHead(bytes.subarray(start, last))
  }

  /** Index of the LF that ends the last line before the blank one; −1: not there yet. */
  private findBlankLine(bytes: Buffer, from: number): number {
    for (let at = bytes.indexOf(LF, from); at >= 0; at = bytes.indexOf(LF, at + 1)) {
      if (bytes[at + 1] === LF || (this.takesCrlf && bytes[at + 1] === CR && bytes[at + 2] === LF)) return at
    }
    return -1
  }

  private parseHead(bytes: Buffer): Head {
    if (!isUtf8(bytes)) throw malformed('command and headers must be UTF-8')
    const text = bytes.toString().split('\n')
    const [command = '', ...lines] = this.takesCrlf ? text.map(withoutCr) : text
    const { maxHeaders } = this.limits
    if (lines.length > maxHeaders) {
      throw new BatonError('TOO_MANY_HEADERS', `a frame may have ${maxHeaders} headers, this one has ${lines.length}`)
    }
    const escaping = escapingOf(this.version, command)
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
    return { command, headers, contentLength: this.contentLengthOf(headers.get('content-length')) }
  }

  /** Only 1.2 ends lines in CRLF. */
  private get takesCrlf(): boolean {
    return this.version === undefined || this.version === '1.2'
  }

  private contentLengthOf(value: string | undefined): number | undefined {
    if (value === undefined) return undefined
    if (!/^\d{1,15}$/.test(value)) throw malformed('content-length must be a number of octets')
    if (Number(value) > this.limits.maxBodyBytes) throw this.bodyTooLarge()
    return Number(value)
  }

  /** Reads on in the body; the frame, once its closing NUL came. */
  private readBody({ command, headers, contentLength }: Head): Frame | undefined {
    const { rest } = this
    const end = contentLength === undefined ? rest.indexOf(NUL) : contentLength - this.bodyBytes
    const part = end < 0 ? rest : rest.subarray(0, end)
    this.bodyBytes += part.length
    if (this.bodyBytes > this.limits.maxBodyBytes) throw this.bodyTooLarge()
    if (part.length > 0) this.parts.push(part)
    if (this.parts.length > MAX_PARTS) this.parts = [Buffer.concat(this.parts)]
    const left = rest.subarray(part.length)
    this.rest = left
    if (left.length === 0) return undefined
    if (left[0] !== NUL) throw malformed('the octet after content-length octets of body must be NUL')
    // Even an empty part of a chunk would keep all of it.
    this.rest = left.length > 1 ? left.subarray(1) : EMPTY
    const { parts } = this
    const body = parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts)
    this.open = undefined
    this.parts = []
    this.bodyBytes = 0
    return { command, headers, body }
  }

  private bodyTooLarge(): BatonError {
    return new BatonError('FRAME_TOO_LARGE', `a body may have ${this.limits.maxBodyBytes} bytes`)
  }
}

/** T7: a LF or CRLF between frames says only that the client is there. */
function skipEols(bytes: Buffer): number {
  let at = 0
  while (bytes[at] === LF || (bytes[at] === CR && bytes[at + 1] === LF)) at++
  if (bytes[at] === CR && at + 1 < bytes.length) throw malformed('a CR between frames must be followed by LF')
  return at
}

/** Where lines end in CRLF, a CR within a line is not allowed. */
function withoutCr(line: string): string {
  if (!line.includes('\r')) return line
  if (line.indexOf('\r') < line.length - 1) throw malformed('a CR must be followed by LF')
  return line.slice(0, -1)
}

function malformed(detail: string): BatonError {
  return new BatonError('MALFORMED_FRAME', detail)
}
