import type { Producer, RecordMetadata, TopicMessages, Transaction } from 'kafkajs'
import type { Logger } from 'pino'
import { BatonError } from '../errors.ts'
import type { KafkaClient } from './client.ts'

// Records of several partitions, all or none: a small pool of transactional producers. Each has an id of its own that lives as
// long as this process, so a new producer on the same id ends what the one before left open.

export interface Transactions {
  /** How many more may run now. */
  readonly free: number
  /**
   * Resolves once the transaction is committed.
   * @throws BatonError when it is not known whether it is; any other error: it is not, and may be tried again.
   */
  send(topicMessages: TopicMessages[]): Promise<RecordMetadata[]>
  close(): Promise<void>
}

export interface TransactionsOptions {
  /** Unlike that of any other running process: begins the `transactional.id`. */
  instanceId: string
  produceTimeoutMs: number
}

const MAX_SLOTS = 4
/** An open transaction blocks every read_committed reader of its partitions for as long. */
const TRANSACTION_TIMEOUT_MS = 10_000

interface Slot {
  transactionalId: string
  producer?: Producer | undefined
}

export function createTransactions(
  options: TransactionsOptions,
  deps: { client: KafkaClient; logger: Logger }
): Transactions {
  const { client, logger } = deps
  const slots: Slot[] = []
  const idle: Slot[] = []

  /** The one that rested longest: Kafka refuses a transaction while it still writes the markers of the one before. */
  function take(): Slot {
    if (slots.length === MAX_SLOTS) return idle.shift() as Slot
    const added: Slot = { transactionalId: `${options.instanceId}-${slots.length}` }
    slots.push(added)
    return added
  }

  async function begin(slot: Slot): Promise<Transaction> {
    if (!slot.producer) {
      const { transactionalId } = slot
      slot.producer = client.producer({ transactionalId, transactionTimeout: TRANSACTION_TIMEOUT_MS })
      await slot.producer.connect()
    }
    return slot.producer.transaction()
  }

  /** After any error: what kafkajs still knows of the transaction is not to be trusted. */
  async function discard(slot: Slot): Promise<void> {
    const { producer } = slot
    slot.producer = undefined
    await producer?.disconnect().catch(() => {})
  }

  async function transact(slot: Slot, topicMessages: TopicMessages[]): Promise<RecordMetadata[]> {
    let transaction: Transaction | undefined
    try {
      transaction = await begin(slot)
      const answer = await transaction.sendBatch({ acks: -1, timeout: options.produceTimeoutMs, topicMessages })
      // kafkajs leaves partitions out when their leader moves in the midst of a send.
      if (!coversAll(answer, topicMessages)) throw new Error('Kafka did not acknowledge every partition')
      await commit(transaction)
      return answer
    } catch (error) {
      if (!(error instanceof BatonError)) await transaction?.abort().catch(() => {})
      await discard(slot)
      throw error
    }
  }

  async function commit(transaction: Transaction): Promise<void> {
    try {
      await transaction.commit()
    } catch (error) {
      logger.warn({ err: error }, 'a transaction may or may not be committed')
      throw new BatonError('KAFKA_UNAVAILABLE', 'it is not known whether the transaction was committed', {
        cause: error
      })
    }
  }

  return {
    get free() {
      return MAX_SLOTS - slots.length + idle.length
    },
    async send(topicMessages) {
      const slot = take()
      try {
        return await transact(slot, topicMessages)
      } finally {
        idle.push(slot)
      }
    },
    async close() {
      await Promise.all(slots.map(discard))
    }
  }
}

function coversAll(answer: RecordMetadata[], topicMessages: TopicMessages[]): boolean {
  return topicMessages.every(({ topic, messages }) =>
    messages.every(({ partition }) => answer.some(part => part.topicName === topic && part.partition === partition))
  )
}
