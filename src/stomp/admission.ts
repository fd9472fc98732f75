import type { Principal } from '../auth.ts'
import { BatonError } from '../errors.ts'
import { networkOf } from '../network.ts'
import { createTally } from './tally.ts'

// Who may still come: sockets of the process, sockets from one address, sessions of one principal. All of this replica only.

export interface AdmissionOptions {
  maxSockets: number
  /** 0: no bound. */
  maxSessionsPerAddress: number
  /** Guests are no principal of their own, and count by address only. 0: no bound. */
  maxSessionsPerPrincipal: number
}

export type Admission = ReturnType<typeof createAdmission>

export function createAdmission({ maxSockets, maxSessionsPerAddress, maxSessionsPerPrincipal }: AdmissionOptions) {
  const byAddress = createTally()
  const byPrincipal = createTally()
  let sockets = 0

  return {
    /** Nothing is counted yet. @throws BatonError TOO_MANY_SOCKETS, TOO_MANY_SESSIONS when one more may not come from there. */
    check(remoteAddress: string): void {
      if (sockets >= maxSockets)
        throw new BatonError(
          'TOO_MANY_SOCKETS',
          `this replica takes ${maxSockets} (stomp.maxSockets): connect again later`
        )
      if (maxSessionsPerAddress > 0 && byAddress.of(networkOf(remoteAddress)) >= maxSessionsPerAddress) {
        throw new BatonError(
          'TOO_MANY_SESSIONS',
          `${maxSessionsPerAddress} may come from one address (stomp.maxSessionsPerAddress); that of a proxy stands for all behind it unless http.trustProxy names it`
        )
      }
    },
    opened(remoteAddress: string): void {
      sockets++
      byAddress.add(networkOf(remoteAddress))
    },
    closed(remoteAddress: string): void {
      sockets--
      byAddress.remove(networkOf(remoteAddress))
    },
    /** @throws BatonError TOO_MANY_SESSIONS; then there is nothing to leave. */
    enter({ name, guest }: Principal): void {
      if (guest) return
      if (maxSessionsPerPrincipal > 0 && byPrincipal.of(name) >= maxSessionsPerPrincipal) {
        throw new BatonError(
          'TOO_MANY_SESSIONS',
          `a principal may have ${maxSessionsPerPrincipal} (stomp.maxSessionsPerPrincipal): close one of them`
        )
      }
      byPrincipal.add(name)
    },
    leave({ name, guest }: Principal): void {
      if (!guest) byPrincipal.remove(name)
    }
  }
}
