import { REVOCATIONS_CHANNEL, type RevocationStore } from '../ports/revocations.ts'

/** Revocations within one process. */
export function createMemoryRevocations(publish: (channel: string, payload: Buffer) => void): RevocationStore {
  const stored = new Map<string, number>()
  return {
    async read(lapsedMs) {
      for (const [name, lapsesMs] of stored) if (Math.abs(lapsesMs) < lapsedMs) stored.delete(name)
      return new Map(stored)
    },
    async put(revoked, absentOnly) {
      for (const [name, lapsesMs] of revoked) if (!absentOnly || !stored.has(name)) stored.set(name, lapsesMs)
      publish(REVOCATIONS_CHANNEL, Buffer.alloc(0))
    }
  }
}
