import type { Random } from '../contract/model/random.ts'

/** What came of one strike. */
export interface Struck {
  /** Frames, or what stands for them: records, envelopes, configurations, requests. */
  frames: number
  /** With which codes it was refused; nothing at all of what was taken. */
  refusals: string[]
}

/** One way to harm Baton. */
export interface Target {
  name: string
  about: string
  /** Frames of the short run, and of the long one. */
  short: number
  long: number
  /** Where it is in process: here. Else against a replica in a process of its own. */
  open(stage: Stage): Promise<Attack>
}

/** What is made anew for each target of a run. `strike` does one piece of harm, which chance alone decides. */
export interface Attack extends Partial<AsyncDisposable> {
  /** Whose memory counts; absent: that of this process. */
  replica?: Replica
  /** @throws what does not hold; a `Fault` where the input is known. */
  strike(random: Random): Struck | Promise<Struck>
}

/** What targets over sockets strike at. */
export interface Stage {
  /** Of `npm run fuzz`: what takes long or much is done. */
  isLong: boolean
  /** A replica on real Kafka and Redis, that a control client watches. Made when the first target asks. */
  replica(): Promise<Replica>
}

export interface Replica {
  url: string
  wsUrl: string
  pid: number
  /** `http.headersTimeoutMs` */
  headersTimeoutMs: number
  redisUrl: string
  brokers: string[]
  /** Put before every key and channel. */
  prefix: string
  /** Of the route `topic`; that of the route `chat` has `-chat` behind it. */
  topic: string
  /**
   * Resolves when its memory is again about what it was.
   * @throws where it ended, logged an error, or the control client was not answered in time, ever since this was last called.
   */
  settled(beforeMib: number): Promise<void>
}

/** An input that something does not hold for, as small as it was found. */
export interface Fault extends Error {
  input: Buffer
}

export function faultOf(input: Buffer, cause: unknown): Fault {
  return Object.assign(new Error((cause as Error).message, { cause }), { input })
}

/** @throws where a promise is broken. */
export function hold(condition: unknown, promise: string): asserts condition {
  if (!condition) throw new Error(promise)
}
