import { randomBytes } from 'node:crypto'

/** A name that no other test, process or run uses: letters, digits and dashes, fit for topics, groups, keys and channels. */
export function unique(prefix: string): string {
  return `${prefix}-${randomBytes(5).toString('hex')}`
}
