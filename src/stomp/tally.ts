/** How many there are of each key. Nothing is kept of a key that all have left. */
export function createTally() {
  const counts = new Map<string, number>()
  const of = (key: string) => counts.get(key) ?? 0
  return {
    of,
    add: (key: string) => void counts.set(key, of(key) + 1),
    remove(key: string): void {
      const left = of(key) - 1
      if (left > 0) counts.set(key, left)
      else counts.delete(key)
    },
    /** Keys of which there are any. */
    get size() {
      return counts.size
    }
  }
}
