import { createRequire } from 'node:module'

// kafkajs 2.2.4 lets aborted records through where aborted transactions overlap: it takes Kafka's list of them as sorted by first
// offset (it is by their ends), enters at most one with each record, and takes any key of four zero bytes for an abort marker.
// So they are found here, as the Java client does, and marked as control records are: kafkajs counts those as read and drops them.

export interface FetchedPartition {
  /** Those that overlap what was fetched; none where read_uncommitted is asked. */
  abortedTransactions: { producerId: string; firstOffset: string }[]
  messages: FetchedMessage[]
}

export interface FetchedMessage {
  offset: string
  isControlRecord: boolean
  batchContext: { producerId: string; inTransaction: boolean }
}

interface Broker {
  fetch(request: unknown): Promise<{ responses: { partitions: FetchedPartition[] }[] }>
}

/** Mends the fetch of every consumer in this process. */
export function mendAborted(): void {
  const require = createRequire(import.meta.url)
  const { prototype } = require('kafkajs/src/broker/index.js') as { prototype: Broker }
  const { fetch } = prototype
  if (fetch.name === 'fetchWithoutAborted') return
  prototype.fetch = async function fetchWithoutAborted(this: Broker, request) {
    const fetched = await fetch.call(this, request)
    for (const partition of fetched.responses.flatMap(({ partitions }) => partitions)) hideAborted(partition)
    return fetched
  }
}

/** Leaves kafkajs's own filter nothing to do. */
export function hideAborted(partition: FetchedPartition): void {
  const ahead = partition.abortedTransactions.toSorted((a, b) => Number(b.firstOffset) - Number(a.firstOffset))
  partition.abortedTransactions = []
  if (ahead.length === 0) return
  const aborted = new Set<string>()
  for (const message of partition.messages) {
    while (Number(ahead.at(-1)?.firstOffset) <= Number(message.offset)) aborted.add(ahead.pop()?.producerId as string)
    const { producerId, inTransaction } = message.batchContext
    if (message.isControlRecord) aborted.delete(producerId)
    else if (inTransaction && aborted.has(producerId)) message.isControlRecord = true
  }
}
