import type { KafkaClient } from '../support/kafka-client.ts'
import { waitFor } from '../support/wait.ts'

/** What Kafka holds and held of a topic, as another program reads it, by room and in the order in which it must be delivered. */
export interface Witness {
  /** Reads what was written since, while nobody writes. Call it before anything is deleted, too. */
  read(): Promise<void>
  /** The topic was deleted and made anew, or the group will consume again from these offsets: what is read next comes once more. */
  again(fromOffsets?: Map<number, number>): void
  /** Numbers of the ledger. */
  readonly rooms: Map<string, number[]>
}

export function createWitness(kafka: KafkaClient, topic: string): Witness {
  const rooms = new Map<string, number[]>()
  /** Of each partition the first offset not read yet. */
  let next = new Map<number, number>()

  return {
    rooms,
    async read() {
      const offsets = await waitFor(() => kafka.admin.fetchTopicOffsets(topic), { what: `the offsets of ${topic}` })
      const count = offsets.reduce((sum, { low, high }) => sum + Number(high) - Number(low), 0)
      for (const { partition, offset, value } of await kafka.consumeAll(topic, count)) {
        if (Number(offset) < (next.get(partition) ?? 0)) continue
        next.set(partition, Number(offset) + 1)
        const record = numbered(value)
        if (record) rooms.set(record.room, [...(rooms.get(record.room) ?? []), record.n])
      }
    },
    again(fromOffsets = new Map()) {
      next = fromOffsets
    }
  }
}

/** Undefined: no route takes it. */
function numbered(value: Buffer | null): { room: string; n: number } | undefined {
  try {
    const { room, n } = JSON.parse(`${value}`)
    return typeof room === 'string' && Number.isInteger(n) ? { room, n } : undefined
  } catch {
    return undefined
  }
}
