/** Highest first. */
export const VERSIONS = ['1.2', '1.1', '1.0'] as const
export type Version = (typeof VERSIONS)[number]

/** One STOMP frame as it came, unescaped. */
export interface Frame {
  command: string
  /** First of a repeated name (1.2, "Repeated Header Entries"). */
  headers: ReadonlyMap<string, string>
  body: Buffer
}

/** These frames are never escaped, so that a 1.0 peer can read them (1.2, "Value Encoding"). */
const UNESCAPED_COMMANDS = new Set(['CONNECT', 'CONNECTED', 'STOMP'])
const EMPTY = Buffer.alloc(0)
const ESCAPES: Readonly<Record<string, string>> = { '\\': '\\\\', '\r': '\\r', '\n': '\\n', ':': '\\c' }
const UNESCAPES: Readonly<Record<string, string>> = { '\\\\': '\\', '\\r': '\r', '\\n': '\n', '\\c': ':' }

/** Which escapes a frame uses: 1.1 knows no `\r`, 1.0 none at all. */
export function escapingOf(version: Version | undefined, command: string): Version {
  return version === undefined || UNESCAPED_COMMANDS.has(command) ? '1.0' : version
}

/** Where nothing can be escaped a line break becomes a space: no value may open a header line of its own. */
export function escapeHeader(text: string, version: Version): string {
  if (version === '1.2') return text.replace(/[\\\r\n:]/g, character => ESCAPES[character] as string)
  if (version === '1.1') return text.replace(/[\\\n:]/g, character => ESCAPES[character] as string)
  return text.replace(/[\r\n\0]/g, ' ')
}

/** @returns undefined when `text` holds an escape that the version does not define. */
export function unescapeHeader(text: string, version: Version): string | undefined {
  if (version === '1.0' || !text.includes('\\')) return text
  let valid = true
  const plain = text.replace(/\\.?/gs, escaped => {
    const character = version === '1.1' && escaped === '\\r' ? undefined : UNESCAPES[escaped]
    valid &&= character !== undefined
    return character ?? ''
  })
  return valid ? plain : undefined
}

/** One line, closed by LF. Empty where 1.0 has no way to write the name. */
function headerLine(name: string, value: string, version: Version): string {
  if (version === '1.0' && /[:\n]/.test(name)) return ''
  return `${escapeHeader(name, version)}:${escapeHeader(value, version)}\n`
}

/** A frame with its closing NUL; a body gets a `content-length`. */
export function encodeFrame(
  version: Version,
  command: string,
  headers: Iterable<readonly [name: string, value: string]>,
  body: Buffer = EMPTY
): Buffer {
  const escaping = escapingOf(version, command)
  let head = `${command}\n`
  for (const [name, value] of headers) head += headerLine(name, value, escaping)
  if (body.length > 0) head += `content-length:${body.length}\n`
  return Buffer.concat([Buffer.from(`${head}\n`), body, Buffer.of(0)])
}

/** Header lines in 1.2's encoding, each closed by LF, as an earlier version writes them. */
export function translateHeaders(lines: string, version: Version): string {
  let translated = ''
  for (const line of lines.split('\n').slice(0, -1)) {
    const colon = line.indexOf(':')
    const name = unescapeHeader(line.slice(0, colon), '1.2')
    const value = unescapeHeader(line.slice(colon + 1), '1.2')
    if (name !== undefined && value !== undefined) translated += headerLine(name, value, version)
  }
  return translated
}
