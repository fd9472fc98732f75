// Templates of RFC 6570, levels 1 and 2. An address (channel, destination, path) percent-encodes its values, so what one name
// holds can never reach into the next: `match` is the exact inverse of `expand`, and takes canonical texts only.
// A text (key, header, stamp) takes its values as they are and is never matched. Both are linear: no regex, no backtracking.

/** The most bytes of UTF-8 that a value may have in an address. */
export const VALUE_BYTES = 256

/** A literal, or a name; `rest` marks `{+name}`, which keeps `/` and `:` and stands last. */
export type Part = string | { name: string; rest: boolean }

export interface Template {
  readonly text: string
  readonly parts: readonly Part[]
  /** In the order of the text, each once. */
  readonly names: readonly string[]
  /** @param lookup gives a routable value: a non-empty, well-formed string of at most `VALUE_BYTES`. */
  expand(lookup: (name: string) => string): string
  /** Undefined where no values expand to `text`. */
  match(text: string): Record<string, string> | undefined
}

/** The most characters of an address. */
const ADDRESS_CHARS = 1024
const NAME = /^[^\s.{}+]+(?:\.[^\s.{}+]+)*$/u
const ENCODED = /[/:{}%\x00-\x1f\x7f]/g
const ENCODED_REST = /[{}%\x00-\x1f\x7f]/g
/** What the value of a `{name}` never holds in an address. */
export const BOUNDARY = /[/:]/

/** Compiles an address. @throws SyntaxError that says what is wrong with the template. */
export function compileTemplate(text: string): Template {
  if (text.length > ADDRESS_CHARS) throw new SyntaxError(`it is longer than ${ADDRESS_CHARS} characters`)
  const parts = parseTemplate(text)
  checkAddress(parts)
  const names = namesOf(parts)

  function match(candidate: string): Record<string, string> | undefined {
    const values: [string, string][] = []
    let at = 0
    for (const [index, part] of parts.entries()) {
      if (typeof part === 'string') {
        if (!candidate.startsWith(part, at)) return undefined
        at += part.length
        continue
      }
      const end = valueEnd(candidate, at, part.rest, parts[index + 1])
      const value = decode(candidate.slice(at, end), part.rest)
      if (!isRoutable(value)) return undefined
      values.push([part.name, value])
      at = end
    }
    return at === candidate.length ? Object.fromEntries(values) : undefined
  }

  return {
    text,
    parts,
    names,
    expand(lookup) {
      let out = ''
      for (const part of parts) out += typeof part === 'string' ? part : encode(lookup(part.name), part.rest)
      return out
    },
    match
  }
}

/** True for what an address can hold: it comes back from `match` as it went into `expand`. */
export function isRoutable(value: string | undefined): value is string {
  return value !== undefined && value !== '' && Buffer.byteLength(value) <= VALUE_BYTES && value.isWellFormed()
}

/** What a template holds. @throws SyntaxError on braces that do not pair, or a name that is none. */
export function parseTemplate(text: string): Part[] {
  const parts: Part[] = []
  let at = 0
  while (at < text.length) {
    const open = text.indexOf('{', at)
    const literal = text.slice(at, open < 0 ? text.length : open)
    if (literal.includes('}')) throw new SyntaxError('a } closes nothing: names are written {name}')
    if (literal !== '') parts.push(literal)
    if (open < 0) break
    const close = text.indexOf('}', open)
    if (close < 0) throw new SyntaxError('a { is never closed: names are written {name}')
    const inner = text.slice(open + 1, close)
    const rest = inner.startsWith('+')
    const name = rest ? inner.slice(1) : inner
    if (!NAME.test(name)) throw new SyntaxError(`{${inner}} is not a name: write {field}, {a.b} or {+name}`)
    parts.push({ name, rest })
    at = close + 1
  }
  return parts
}

export function namesOf(parts: readonly Part[]): string[] {
  return [...new Set(parts.flatMap(part => (typeof part === 'string' ? [] : [part.name])))]
}

/** Text that no expansion can hold: braces, control characters, escapes that are not canonical. */
export function isMalformed(text: string): boolean {
  if (text === '' || !text.isWellFormed() || /[{}\x00-\x1f\x7f]/.test(text)) return true
  return text.replace(/%(?:[01][0-9A-F]|2[5F]|3A|7[BDF])/g, '').includes('%')
}

/** What makes `match` the inverse of `expand`: each value ends where a character begins that no value can hold. */
function checkAddress(parts: readonly Part[]): void {
  if (parts.length === 0) throw new SyntaxError('it is empty')
  const seen = new Set<string>()
  for (const [index, part] of parts.entries()) {
    if (typeof part === 'string') {
      if (/[%\x00-\x1f\x7f]/.test(part)) throw new SyntaxError('a literal may hold no % and no control character')
      const between = index > 0 && index < parts.length - 1
      if (between && !BOUNDARY.test(part))
        throw new SyntaxError(`it is ambiguous: "${part}" between two names must hold a / or a :`)
      continue
    }
    if (seen.has(part.name)) throw new SyntaxError(`it holds {${part.name}} twice`)
    if (part.rest && index < parts.length - 1) throw new SyntaxError(`{+${part.name}} must stand at its end`)
    if (typeof parts[index + 1] === 'object')
      throw new SyntaxError('it is ambiguous: two names need a / or : between them')
    seen.add(part.name)
  }
}

function valueEnd(text: string, at: number, rest: boolean, next: Part | undefined): number {
  if (rest || next === undefined) return text.length
  const literal = next as string
  const inLiteral = literal.search(BOUNDARY)
  // A literal without a boundary is the last part.
  if (inLiteral < 0) return Math.max(at, text.length - literal.length)
  const boundary = literal[inLiteral] as string
  const found = text.indexOf(boundary, at)
  return Math.max(at, found - inLiteral)
}

function encode(value: string, rest: boolean): string {
  const percent = (character: string) => `%${character.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`
  return value.replace(rest ? ENCODED_REST : ENCODED, percent)
}

/** Undefined when `text` is not what `encode` makes of any value. */
function decode(text: string, rest: boolean): string | undefined {
  const value = text.replace(/%([0-9A-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
  return encode(value, rest) === text ? value : undefined
}
