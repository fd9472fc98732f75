import { randomUUID } from 'node:crypto'
import type { Producer, RecordMetadata, TopicMessages, Transaction } from 'kafkajs'
import type { Logger } from 'pino'
import { BatonError } from '../errors.ts'
import type { KafkaClient } from './client.ts'
import { protocolError, SAY_EVERY_MS } from './link.ts'

// Records of several partitions, all or none: a small pool of transactional producers. Each has an id of its own, and a new
// producer on the same id ends what the one before left open, be it of this process or of one before with the same name.

export interface Transactions {
  /** How many more may run now. */
  readonly free: number
  /**
   * What a process of the same `instanceId` left open is aborted, and if it still runs it can commit no more. Resolves in any case;
   * without a name that was given there is none before.
   */
  takeOver(): Promise<void>
  /**
   * Resolves once the transaction is committed.
   * @throws BatonError when it is not known whether it is; any other error: it is not, and may be tried again.
   */
  send(topicMessages: TopicMessages[]): Promise<RecordMetadata[]>
  close(): Promise<void>
}

export interface TransactionsOptions {
  /** Begins the `transactional.id`s: the same after a restart, unlike that of any other running process. Default: a random one. */
  instanceId?: string | undefined
  produceTimeoutMs: number
}

const SLOTS = 4
/** An open transaction blocks every read_committed reader of its partitions for as long, unless a takeover ends it. */
const TRANSACTION_TIMEOUT_MS = 10_000

/** At first, then twice as long each time: for the markers of the transaction before. */
const RETRY_MS = 5

interface Slot {
  transactionalId: string
  producer?: Promise<Producer> | undefined
}

export function createTransactions(
  { instanceId, produceTimeoutMs }: TransactionsOptions,
  deps: { client: KafkaClient; logger: Logger }
): Transactions {
  const { client, logger } = deps
  const name = instanceId ?? randomUUID()
  const slots: Slot[] = Array.from({ length: SLOTS }, (_, number) => ({ transactionalId: `${name}-${number}` }))
  /** The one that rested longest is next: Kafka refuses a transaction while it still writes the markers of the one before. */
  const idle = [...slots]
  let saidAt = Number.NEGATIVE_INFINITY

  async function connect(transactionalId: string): Promise<Producer> {
    const producer = client.producer({
      transactionalId,
      transactionTimeout: TRANSACTION_TIMEOUT_MS,
      retry: { initialRetryTime: RETRY_MS }
    })
    try {
      await producer.connect()
      // kafkajs sends InitProducerId, which ends and fences what was before, with the first transaction only. An empty one never
      // leaves the process otherwise.
      const empty = await producer.transaction()
      await empty.abort()
      return producer
    } catch (error) {
      await producer.disconnect().catch(() => {})
      throw error
    }
  }

  async function begin(slot: Slot): Promise<Transaction> {
    slot.producer ??= connect(slot.transactionalId)
    return (await slot.producer).transaction()
  }

  async function discard(slot: Slot): Promise<void> {
    const { producer } = slot
    slot.producer = undefined
    await producer?.then(made => made.disconnect()).catch(() => {})
  }

  /** Where it fails, the next transaction of the slot does it, or Kafka itself after the transaction timeout. */
  async function renew(slot: Slot): Promise<void> {
    const discarded = discard(slot)
    slot.producer = connect(slot.transactionalId)
    try {
      await slot.producer
    } catch (error) {
      logger.warn({ err: error }, 'a transaction may stay open until Kafka ends it')
      await discard(slot)
    }
    await discarded
  }

  async function transact(slot: Slot, topicMessages: TopicMessages[]): Promise<RecordMetadata[]> {
    let transaction: Transaction | undefined
    try {
      transaction = await begin(slot)
      const answer = await sendEach(transaction, topicMessages)
      await commit(transaction)
      return answer
    } catch (error) {
      // What kafkajs still knows of the transaction is not to be trusted, and unless Kafka ended it, it may be open.
      await ((await isOver(transaction, error)) ? discard(slot) : renew(slot))
      if (isFenced(error)) sayFenced(slot)
      throw error
    }
  }

  /**
   * Each partition by itself: of one send to several brokers kafkajs repeats whatever is not answered when one of them fails, and
   * the first it hears may be CONCURRENT_TRANSACTIONS. Settled as a whole, so that nothing is under way behind an abort.
   */
  async function sendEach({ sendBatch }: Transaction, topicMessages: TopicMessages[]): Promise<RecordMetadata[]> {
    const sent = await Promise.allSettled(
      topicMessages.flatMap(({ topic, messages }) =>
        [...Map.groupBy(messages, ({ partition }) => partition).values()].map(own =>
          sendBatch({ acks: -1, timeout: produceTimeoutMs, topicMessages: [{ topic, messages: own }] })
        )
      )
    )
    return sent.flatMap(result => {
      if (result.status === 'rejected') throw result.reason
      // kafkajs leaves a partition out when its leader moves in the midst of a send.
      if (result.value.length === 0) throw new Error('Kafka did not acknowledge every partition')
      return result.value
    })
  }

  async function isOver(transaction: Transaction | undefined, error: unknown): Promise<boolean> {
    if (!transaction || isFenced(error)) return true
    return transaction.abort().then(
      () => true,
      () => false
    )
  }

  async function commit(transaction: Transaction): Promise<void> {
    try {
      await transaction.commit()
    } catch (error) {
      if (isFenced(error)) throw error
      logger.warn({ err: error }, 'a transaction may or may not be committed')
      throw new BatonError('KAFKA_UNAVAILABLE', 'it is not known whether the transaction was committed', {
        cause: error
      })
    }
  }

  function sayFenced({ transactionalId }: Slot): void {
    if (performance.now() - saidAt < SAY_EVERY_MS) return
    saidAt = performance.now()
    const why = instanceId
      ? `took longer than ${TRANSACTION_TIMEOUT_MS} ms, or another process runs with kafka.instanceId "${instanceId}": give each replica a name of its own`
      : `took longer than ${TRANSACTION_TIMEOUT_MS} ms`
    logger.warn({ transactionalId }, `Kafka aborted a transaction, which is tried again: it ${why}`)
  }

  return {
    get free() {
      return idle.length
    },
    async takeOver() {
      if (instanceId) await Promise.all(slots.map(renew))
    },
    async send(topicMessages) {
      const slot = idle.shift() as Slot
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

/** Kafka has aborted the transaction, if there was one: another producer has its id, or it was open for too long. */
export function isFenced(error: unknown): boolean {
  return protocolError(error)?.type === 'INVALID_PRODUCER_EPOCH'
}
