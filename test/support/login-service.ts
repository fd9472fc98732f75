import type { Consumer, Kafka, KafkaMessage } from 'kafkajs'
import { waitFor } from './wait.ts'

export interface LoginServiceOptions {
  topic: string
  /** Where it answers; absent: where each request says, with its correlation id, as a Spring listener with `@SendTo` does. */
  answers?: string
  groupId: string
}

export interface LoginService extends AsyncDisposable {
  /** Every request, in the order of their coming. */
  readonly handled: { userId: string; partition: number; member: number }[]
  /** Each request waits for it before it is answered. */
  gate: Promise<void>
}

const MEMBERS = 2
const START_DEADLINE_MS = 30_000

/** A password that the login service accepts for this user, and no other user's. */
export const passwordOf = (userId: string, secret: string) => `${secret} of ${userId}`

/** The service behind the gateway: a program of two members in a group of its own, each with a partition when this resolves. */
export async function startLoginService(
  kafka: Kafka,
  secret: string,
  { topic, answers, groupId }: LoginServiceOptions
): Promise<LoginService> {
  const handled: LoginService['handled'] = []
  const producer = kafka.producer({ allowAutoTopicCreation: false })
  const consumers = Array.from({ length: MEMBERS }, () =>
    kafka.consumer({ groupId, maxWaitTimeInMs: 50, sessionTimeout: 6000, heartbeatInterval: 300 })
  )
  const service: LoginService = {
    handled,
    gate: Promise.resolve(),
    async [Symbol.asyncDispose]() {
      await Promise.all(consumers.map(consumer => consumer.disconnect()))
      await producer.disconnect()
    }
  }
  await producer.connect()
  const assigned = consumers.map(() => 0)
  await Promise.all(consumers.map(run))
  await waitFor(() => assigned.every(count => count === 1), {
    deadlineMs: START_DEADLINE_MS,
    what: 'a partition for each member of the service'
  })
  return service

  async function run(consumer: Consumer, member: number): Promise<void> {
    consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
      assigned[member] = payload.memberAssignment[topic]?.length ?? 0
    })
    await consumer.connect()
    await consumer.subscribe({ topic, fromBeginning: true })
    await consumer.run({
      partitionsConsumedConcurrently: MEMBERS,
      async eachBatch({ batch: { partition, messages } }) {
        const topicMessages = await Promise.all(messages.map(message => answerOf(message, partition, member)))
        await producer.sendBatch({ topicMessages, acks: -1 })
      }
    })
  }

  async function answerOf({ value, headers = {} }: KafkaMessage, partition: number, member: number) {
    const { userId, userPw } = JSON.parse(`${value}`)
    handled.push({ userId, partition, member })
    await service.gate
    const isAccept = userPw === passwordOf(userId, secret)
    const text = JSON.stringify({ requestUserID: userId, isAccept, ...(isAccept && { user: { name: userId } }) })
    const echoed = answers === undefined ? { kafka_correlationId: `${headers['kafka_correlationId']}` } : {}
    return { topic: answers ?? `${headers['kafka_replyTopic']}`, messages: [{ value: text, headers: echoed }] }
  }
}
