import type { Json } from '../config/route.ts'
import { namesOf, type Part, parseTemplate } from '../template.ts'
import { scalarText } from './record.ts'

export type Lookup = (name: string) => unknown

/** A compiled `Json`. */
export interface Projection {
  readonly names: readonly string[]
  /**
   * A string that is one name alone takes the value as it is, of whatever type; within other text only a scalar fits.
   * Undefined, in an object a member left out, where a name gives nothing that fits.
   */
  apply(lookup: Lookup): unknown
}

/** @throws SyntaxError that says what is wrong with which template. */
export function compileProjection(json: Json): Projection {
  if (typeof json === 'string') return compileString(parseTemplate(json))
  if (typeof json !== 'object' || json === null) return { names: [], apply: () => json }
  const members = Object.entries(json).map(([name, value]) => [name, compileProjection(value)] as const)
  const names = [...new Set(members.flatMap(([, member]) => member.names))]
  if (Array.isArray(json)) return { names, apply: lookup => members.map(([, item]) => item.apply(lookup) ?? null) }
  return {
    names,
    apply(lookup) {
      const entries = members.map(([name, member]) => [name, member.apply(lookup)] as const)
      return Object.fromEntries(entries.filter(([, value]) => value !== undefined))
    }
  }
}

/** A template that gives text. */
export interface Text {
  readonly names: readonly string[]
  /** Undefined where a name gives no scalar. */
  render(lookup: Lookup): string | undefined
}

/** @throws SyntaxError that says what is wrong with the template. */
export function compileText(text: string): Text {
  const parts = parseTemplate(text)
  return { names: namesOf(parts), render: lookup => render(parts, lookup) }
}

/** Named texts, such as headers; those that give none are left out. @throws SyntaxError as `compileText`. */
export function compileTexts(texts: Readonly<Record<string, string>>) {
  const members = Object.entries(texts).map(([name, text]) => [name, compileText(text)] as const)
  return {
    names: [...new Set(members.flatMap(([, text]) => text.names))],
    apply(lookup: Lookup): [name: string, text: string][] {
      const entries = members.map(([name, text]) => [name, text.render(lookup)] as const)
      return entries.filter((entry): entry is [string, string] => entry[1] !== undefined)
    }
  }
}

function compileString(parts: Part[]): Projection {
  const [only] = parts
  const apply =
    parts.length === 1 && typeof only === 'object'
      ? (lookup: Lookup) => lookup(only.name)
      : (lookup: Lookup) => render(parts, lookup)
  return { names: namesOf(parts), apply }
}

function render(parts: readonly Part[], lookup: Lookup): string | undefined {
  let out = ''
  for (const part of parts) {
    const value = typeof part === 'string' ? part : scalarText(lookup(part.name))
    if (value === undefined) return undefined
    out += value
  }
  return out
}
