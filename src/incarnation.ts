import { randomBytes } from 'node:crypto'
import type { AFTER_LOSS } from './message.ts'

// The incarnation of a source (I8): what the metadata of the group's commit names, and what tells topics of one name apart.

const METADATA = /^baton:([A-Za-z0-9]{1,24})$/
/** An incarnation that says its topic. */
const MARKED = /[a-z][0-9a-f]{12}([0-9a-f]{8})$/
const MARK_CHARS = 8

/** An epoch or incarnation that was never used before. */
export function token(kind: 'i' | typeof AFTER_LOSS | 'n' | 'r'): string {
  return kind + randomBytes(6).toString('hex')
}

/** The end of every incarnation minted for this topic. Empty: Kafka does not say its id. */
export function markOf(topicId: string | undefined): string {
  return topicId?.slice(-MARK_CHARS) ?? ''
}

/** Minted for another topic by the same name, as far as that can be told. */
export function isOfAnother(incarnation: string, mark: string): boolean {
  const own = MARKED.exec(incarnation)?.[1]
  return own !== undefined && mark !== '' && own !== mark
}

export function toMetadata(incarnation: string): string {
  return `baton:${incarnation}`
}

/** Undefined: the commit is not one of ours. */
export function fromMetadata(metadata: string): string | undefined {
  return METADATA.exec(metadata)?.[1]
}
