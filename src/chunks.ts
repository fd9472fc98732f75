import type { Append, KafkaRecord } from './ports.ts'

// A batch is appended in chunks, one after the other (I2). While Redis takes one the next is routed, so a single hot partition
// keeps both busy.

/** Records of one append (I2). */
const CHUNK_RECORDS = 100

export interface ChunkSteps {
  /** True: nothing more is begun. */
  isOver(): boolean
  /** What one record adds to which channels; undefined: the batch is over. */
  route(record: KafkaRecord): Append[] | Promise<Append[] | undefined>
  /** @returns false when the batch is over. */
  write(records: KafkaRecord[], appends: Append[]): Promise<boolean>
}

/** Resolves when all is written or the batch is over; no write is under way any more. @throws what a step throws. */
export async function takeInChunks(records: KafkaRecord[], steps: ChunkSteps): Promise<void> {
  let writing = Promise.resolve(true)
  try {
    for (let from = 0; from < records.length; from += CHUNK_RECORDS) {
      if (steps.isOver()) return
      const chunk = records.slice(from, from + CHUNK_RECORDS)
      const appends = await routeAll(chunk, steps)
      if (!(await writing) || !appends) return
      writing = steps.write(chunk, appends)
      // Heard of where it is waited for.
      writing.catch(() => undefined)
    }
  } finally {
    await writing
  }
}

async function routeAll(records: KafkaRecord[], { route }: ChunkSteps): Promise<Append[] | undefined> {
  const appends: Append[] = []
  for (const record of records) {
    const routed = route(record)
    const settled = Array.isArray(routed) ? routed : await routed
    if (!settled) return undefined
    for (const each of settled) appends.push(each)
  }
  return appends
}
