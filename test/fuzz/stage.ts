import { join } from 'node:path'
import { type Baton, startBaton } from '../support/baton.ts'
import { unique } from '../support/ids.ts'
import { sharedKafka } from '../support/kafka.ts'
import { type Exit, launch, type Running } from '../support/processes.ts'
import { sharedRedis } from '../support/redis.ts'
import { waitFor } from '../support/wait.ts'
import { residentBytes } from './memory.ts'
import { hold, type Replica, type Stage } from './target.ts'

// One replica in a process of its own, on real Kafka and Redis, for all targets over sockets; and the control client beside it.

/** A message of the control client's comes back within this. */
const ANSWER_MS = 1000
/** It is given up. */
const ANSWERED_MS = 10_000
/** What the replica may keep of a target, once all is quiet. */
const GROWTH_MIB = 200
const SETTLE_MS = 20_000
const HEADERS_TIMEOUT_MS = 5000
/** One partition for the control client and all who are hostile: who holds it up holds up everyone. */
const ONE = { partitions: 1, replicationFactor: 1 }

/**
 * @param isLong every round of the control client must be in time; else the first after the harm of each target: where others have
 * the processors, a late round says nothing of Baton.
 */
export async function openStage(isLong: boolean): Promise<Stage & AsyncDisposable> {
  let opened: ReturnType<typeof open> | undefined
  return {
    isLong,
    async replica() {
      opened ??= open(isLong)
      return (await opened).replica
    },
    async [Symbol.asyncDispose]() {
      await (await opened)?.close()
    }
  }
}

async function open(isLong: boolean): Promise<{ replica: Replica; close(): Promise<void> }> {
  const [{ url: redisUrl }, { brokers }] = await Promise.all([sharedRedis(), sharedKafka()])
  const [topic, prefix] = [unique('fuzz'), `${unique('fuzz')}:`]
  const severe: string[] = []
  const heard = (text: string) => severe.push(...text.split('\n').filter(line => /"level":[56]0/.test(line)))
  const baton = await startBaton({ heard, config: configOf({ brokers, redisUrl, topic, prefix }) })
  let ended: Exit | undefined
  void baton.exited.then(exit => {
    ended = exit
  })
  const control = startControl(baton)
  await control.answered(1)

  async function settled(beforeMib: number): Promise<void> {
    const grown = () => residentBytes(baton.pid) / 2 ** 20 - beforeMib
    const what = () => `the memory of the replica to settle: ${Math.round(grown())} MiB more than before`
    const isSettled = () => ended !== undefined || grown() < GROWTH_MIB
    await waitFor(isSettled, { deadlineMs: SETTLE_MS, everyMs: 100, what })
    hold(ended === undefined, `the replica ended: ${JSON.stringify(ended)}; its log:\n${baton.logs.slice(-2000)}`)
    // One round may be under way.
    await control.answered(control.rounds() + 2)
    const { lastMs, worstMs } = control.told()
    const ms = isLong ? worstMs : lastMs
    hold(ms <= ANSWER_MS, `the control client waited ${ms} ms for its own message`)
    hold(severe.length === 0, `logged: ${severe.splice(0).join('\n').slice(0, 2000)}`)
  }

  return {
    replica: {
      ...{ url: baton.url, wsUrl: baton.wsUrl, pid: baton.pid, redisUrl, brokers, prefix, topic, settled },
      headersTimeoutMs: HEADERS_TIMEOUT_MS
    },
    async close() {
      await control.stop()
      await baton.stop()
    }
  }
}

/** The bounds are such that each is met by some target and none hides all the others. */
function configOf({ brokers, redisUrl, topic, prefix }: Pick<Replica, 'brokers' | 'redisUrl' | 'topic' | 'prefix'>) {
  const name = { name: topic, ...ONE }
  return {
    http: { headersTimeoutMs: HEADERS_TIMEOUT_MS },
    stomp: { connectTimeoutMs: 1500, maxSubscriptions: 200, maxBodyBytes: 65_536, transactionBytes: 262_144 },
    lifecycle: { drainTimeoutMs: 0 },
    kafka: { brokers, groupId: unique('fuzz'), deadLetter: { topic: unique('fuzz-dead'), ...ONE } },
    redis: { url: redisUrl, prefix },
    routes: {
      topic: {
        topic: name,
        channel: 'topic:{+key}',
        destination: '/topic/{+key}',
        send: { http: 'POST /topic/{key}' }
      },
      chat: {
        topic: { name: `${topic}-chat`, ...ONE },
        channel: 'chat:{roomId}',
        destination: '/sub/chat/room/{roomId}',
        history: { except: { type: 'ENTER' } },
        message: { headers: { kind: '{type}' } },
        send: { destination: '/pub/chat/message', http: 'POST /pub/chat', key: '{roomId}', set: { sendDate: '{now}' } }
      }
    }
  }
}

function startControl({ wsUrl }: Baton) {
  let rounds = 0
  let lastMs = 0
  let worstMs = 0
  let gone = ''
  let rest = ''
  const heard = (text: string) => {
    const lines = (rest + text).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) {
      if (!/^\d+$/.test(line)) {
        gone += line
        continue
      }
      rounds++
      lastMs = Number(line)
      worstMs = Math.max(worstMs, lastMs)
    }
  }
  const args = [join(import.meta.dirname, 'control.ts'), wsUrl, `/topic/${unique('control')}`]
  const running: Running = launch({ command: process.execPath, args, heard })
  return {
    rounds: () => rounds,
    /** The longest round since this was last asked. */
    told() {
      const told = { lastMs, worstMs }
      worstMs = 0
      return told
    },
    answered: (count: number) =>
      waitFor(() => rounds >= count, {
        deadlineMs: ANSWERED_MS,
        what: () => `an answer to the control client: ${gone}`
      }),
    stop: () => running.stop()
  }
}
