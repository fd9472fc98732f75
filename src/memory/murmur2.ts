const SEED = 0x9747b28c
const M = 0x5bd1e995

/** The hash by which Kafka's Java client, and so every client that agrees with it, spreads keys over partitions. */
export function murmur2(key: Buffer): number {
  const whole = key.length & ~3
  let h = SEED ^ key.length
  for (let i = 0; i < whole; i += 4) {
    let k = Math.imul(key.readInt32LE(i), M)
    k = Math.imul(k ^ (k >>> 24), M)
    h = Math.imul(h, M) ^ k
  }
  if (whole < key.length) h = Math.imul(h ^ key.readUIntLE(whole, key.length - whole), M)
  h = Math.imul(h ^ (h >>> 13), M)
  return h ^ (h >>> 15)
}

/** As `Utils.toPositive(murmur2(key)) % partitions`. */
export function partitionOf(key: Buffer, partitions: number): number {
  return (murmur2(key) & 0x7fffffff) % partitions
}
