import { setTimeout as delay } from 'node:timers/promises'
import type { Message, Producer, TopicMessages } from 'kafkajs'
import type { Logger } from 'pino'
import { BatonError } from '../errors.ts'
import type { RecordSink } from '../ports.ts'
import type { KafkaClient } from './client.ts'
import { createLanes, type Lane } from './lanes.ts'
import { createAdminLink, createLinkLog, protocolError } from './link.ts'
import { type Call, createQueue, offsetsIn } from './produce-queue.ts'
import type { Topics } from './topics.ts'
import { createTransactions, isFenced } from './transactions.ts'

// One producer, one send in flight: with several, one lost answer loses, doubles and swaps records. What arrives meanwhile is
// the next batch. The producer is idempotent, so kafkajs's own retries of a send write nothing twice; after a failed send it is
// discarded, and calls that still have time are sent again by a new one.

export interface KafkaSinkOptions {
  /** The name of this replica: the same after a restart, unlike that of any other running process. Default: a random one. */
  instanceId?: string | undefined
  /** From `produce` to its rejection. */
  produceTimeoutMs: number
  /** Bytes that may wait. */
  produceQueueBytes: number
}

export interface KafkaSinkDeps {
  client: KafkaClient
  logger: Logger
  /** Nothing is sent before they are there. */
  topics: Topics
}

const RETRY_MS = 200
const LATE_MS = 3000
/** Of the errors Kafka calls not retriable, those that a new producer cannot mend either. */
const PERMANENT = /AUTHORIZATION_FAILED|INVALID_RECORD|INVALID_TIMESTAMP|POLICY_VIOLATION/

export function createKafkaSink(options: KafkaSinkOptions, { client, logger, topics }: KafkaSinkDeps): RecordSink {
  const { produceTimeoutMs } = options
  const admin = createAdminLink(client)
  const lanes = createLanes(admin)
  const link = createLinkLog(logger, 'producer')
  const transactions = createTransactions(options, { client, logger })
  const queue = createQueue(options)
  /** Transactions under way. */
  const running = new Map<Call, Promise<void>>()
  let prepared = false
  let producer: Producer | undefined
  /** A send is without an answer for so long that Kafka counts as away; kafkajs still tries. */
  let late = false
  let takingOver: Promise<void> | undefined
  let takenOver = false
  let working: Promise<void> | undefined
  let closed: Promise<void> | undefined
  let arrived = Promise.withResolvers<void>()

  function work(): void {
    working ??= loop().finally(() => {
      working = undefined
      if (queue.length > 0) work()
    })
  }

  async function loop(): Promise<void> {
    while (queue.length > 0 || (!producer && !closed)) {
      try {
        if (!prepared) await topics.ensure(admin)
        prepared = true
        producer ??= await connect()
        takingOver ??= transactions.takeOver().then(() => {
          takenOver = true
        })
        await lanes.learn(queue.topics())
        link.found()
      } catch (error) {
        // The other kind ends the process, and `topics` said so.
        if (!(error instanceof BatonError)) link.lost(error)
        await delay(RETRY_MS)
        continue
      }
      queue.place(lanes.of)
      const { batch, transaction } = queue.take([...running.keys()], transactions.free > 0)
      if (transaction) running.set(transaction, transact(transaction))
      else if (batch.length > 0) await send(producer, batch)
      else if (running.size > 0) await Promise.race([...running.values(), arrived.promise])
    }
  }

  async function connect(): Promise<Producer> {
    const made = client.producer({ idempotent: true })
    try {
      await made.connect()
      return made
    } catch (error) {
      await made.disconnect().catch(() => {})
      throw error
    }
  }

  async function send(sender: Producer, batch: Call[]): Promise<void> {
    let left = batch
    const overdue = setTimeout(() => {
      late = true
      link.lost(new Error(`no acknowledgement for ${LATE_MS} ms`))
    }, LATE_MS)
    try {
      // kafkajs leaves partitions out of its answer when their leader moves in the midst of a send. The very same records go
      // again at once, so that they carry the same sequence numbers and are not written twice.
      while (left.length > 0) {
        const topicMessages = toMessages(left)
        const offsets = offsetsIn(await sender.sendBatch({ acks: -1, timeout: produceTimeoutMs, topicMessages }))
        const still = left.filter(call => !call.acknowledge(offsets))
        if (still.length === left.length) throw new Error('Kafka did not answer for any partition of the batch')
        left = still
      }
    } catch (error) {
      producer = undefined
      void sender.disconnect().catch(() => {})
      await failed(left, error)
    } finally {
      clearTimeout(overdue)
      late = false
    }
  }

  async function transact(call: Call): Promise<void> {
    try {
      call.acknowledge(offsetsIn(await transactions.send(toMessages([call]))))
    } catch (error) {
      if (error instanceof BatonError) call.reject(error)
      else await failed([call], error)
    } finally {
      running.delete(call)
      if (queue.length > 0) work()
    }
  }

  /** What Kafka refuses for good ends its call; with others in the batch, each goes alone first to find out which it is. */
  async function failed(calls: Call[], error: unknown): Promise<void> {
    lanes.forget()
    const refusal = refusalOf(error)
    if (refusal && calls.length === 1) return calls[0]?.reject(refusal)
    if (refusal) for (const call of calls) call.alone = true
    else {
      if (!isFenced(error)) link.lost(error)
      await delay(RETRY_MS)
    }
    queue.putBack(calls)
  }

  async function drain(): Promise<void> {
    while (working || running.size > 0) await Promise.all([working, ...running.values()])
    await takingOver
    await Promise.all([producer?.disconnect(), transactions.close(), admin.close()])
  }

  return {
    /** Resolves at once: until Kafka is there it is tried again, and calls wait. */
    async start() {
      work()
    },
    produce(records) {
      if (closed) return Promise.reject(new BatonError('SHUTTING_DOWN', 'the producer is closing'))
      if (records.length === 0) return Promise.resolve([])
      const done = queue.add(records)
      arrived.resolve()
      arrived = Promise.withResolvers()
      work()
      return done
    },
    get ready() {
      return producer !== undefined && takenOver && !late && !closed
    },
    close() {
      closed ??= drain()
      return closed
    }
  }
}

/** The answer to a call that no retry can help; undefined: try again. */
function refusalOf(error: unknown): BatonError | undefined {
  const cause = protocolError(error)
  if (cause?.type === 'MESSAGE_TOO_LARGE' || cause?.type === 'RECORD_LIST_TOO_LARGE')
    return new BatonError('BODY_TOO_LARGE', 'over max.message.bytes of its topic', { cause: error })
  if (!cause || cause.retriable || !PERMANENT.test(cause.type)) return undefined
  return new BatonError('KAFKA_UNAVAILABLE', `Kafka refuses the record: ${cause.type}`, { cause: error })
}

function toMessages(calls: Call[]): TopicMessages[] {
  const byTopic = new Map<string, Message[]>()
  for (const call of calls)
    for (const [index, { topic, key, value, headers }] of call.records.entries()) {
      const messages = byTopic.get(topic) ?? []
      byTopic.set(topic, messages)
      messages.push({ key, value, headers, partition: (call.lanes[index] as Lane).partition })
    }
  return [...byTopic].map(([topic, messages]) => ({ topic, messages }))
}
