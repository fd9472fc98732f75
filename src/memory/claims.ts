import type { Claims } from '../ports.ts'

/** Claims within one process. */
export function createMemoryClaims(): Claims {
  const held = new Map<string, { id: string; timer: NodeJS.Timeout }>()
  return {
    async take(key, id, ttlMs) {
      if (held.has(key)) return false
      held.set(key, { id, timer: setTimeout(() => held.delete(key), ttlMs).unref() })
      return true
    },
    holder: async key => held.get(key)?.id,
    async release(key, id) {
      const claim = held.get(key)
      if (claim?.id !== id) return
      clearTimeout(claim.timer)
      held.delete(key)
    }
  }
}
