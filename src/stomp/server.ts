import { setTimeout as delay } from 'node:timers/promises'
import type { Logger } from 'pino'
import type { Principal } from '../auth.ts'
import type { BatonError } from '../errors.ts'
import { type AdmissionOptions, createAdmission } from './admission.ts'
import type { StompDeps, StompOptions, Upgrade } from './context.ts'
import { createHeart } from './heartbeat.ts'
import { createSendQueues } from './send-queues.ts'
import { createSession, type Session } from './session.ts'
import type { Transport } from './transport.ts'

export interface StompServer {
  /** Asked before a socket is opened. @throws BatonError TOO_MANY_SOCKETS, TOO_MANY_SESSIONS, SEND_QUEUES_FULL */
  admit(remoteAddress: string): void
  /** What waits in all send queues. */
  queuedBytes(): number
  /** Takes over a socket that was just opened. Never throws. */
  accept(transport: Transport, upgrade: Upgrade): void
  /** The connected sessions, in the order of their coming. */
  sessions(): Iterable<{ id: string; principal: string; destinations: readonly string[] }>
  /** Ends every session for whose principal there is a refusal. */
  refuse(refusalOf: (principal: Principal) => BatonError | undefined): void
  /**
   * Ends all sessions with 1001, each at a moment of its own within `windowMs`, so that not all clients come back at once.
   * What was sent before is acknowledged first. Resolves when the sockets are gone; whoever comes meanwhile is sent away.
   */
  drain(options: { windowMs: number }): Promise<void>
  /** `drain` without a window. Idempotent. */
  close(): Promise<void>
}

/** Speaks STOMP with whoever is accepted: PROTOCOL.md says what. */
export function createStompServer(
  options: StompOptions & AdmissionOptions & { sendQueuesBytes: number },
  deps: StompDeps & { logger: Logger }
): StompServer {
  const sessions = new Set<Session>()
  const heart = createHeart(options)
  const admission = createAdmission(options)
  const queues = createSendQueues(options, sessions)
  const sessionDeps = { ...deps, heart, admission, queues }
  let draining = false

  async function drain(windowMs: number): Promise<void> {
    draining = true
    await Promise.all(
      [...sessions].map(async session => {
        if (windowMs > 0) await Promise.race([delay(Math.random() * windowMs), session.gone])
        await session.drain()
      })
    )
  }

  return {
    admit(remoteAddress) {
      admission.check(remoteAddress)
      queues.check()
    },
    queuedBytes: queues.bytes,
    accept(transport, upgrade) {
      const session = createSession(options, sessionDeps, transport, upgrade)
      sessions.add(session)
      admission.opened(upgrade.remoteAddress)
      void session.gone.then(() => {
        sessions.delete(session)
        admission.closed(upgrade.remoteAddress)
      })
      if (draining) void session.drain()
    },
    *sessions() {
      for (const { id, peer, destinations } of sessions) {
        if (peer) yield { id, principal: peer.principal.name, destinations }
      }
    },
    refuse(refusalOf) {
      for (const session of sessions) {
        const refusal = session.peer && refusalOf(session.peer.principal)
        if (refusal) session.refuse(refusal)
      }
    },
    drain: ({ windowMs }) => drain(windowMs),
    async close() {
      await drain(0)
      heart.close()
    }
  }
}
