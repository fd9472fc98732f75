// Who was sent away, for all replicas of a prefix. `memory/` and `redis/` keep the promise, `revocations.ts` acts on it.

/** Begins the channels by which replicas speak of themselves. No route may have one of them. */
export const OWN_CHANNELS = 'baton:'

/** The bus channel on which a change is told: what the message says does not matter, the store is read again. */
export const REVOCATIONS_CHANNEL = `${OWN_CHANNELS}revocations`

/** By name of the principal, when it lapses, milliseconds since 1970. Negative: it was lifted, which is remembered as long. */
export type Revoked = ReadonlyMap<string, number>

export interface RevocationStore {
  /** All of them. Those that lapsed before `lapsedMs` are forgotten. @throws BatonError REDIS_UNAVAILABLE */
  read(lapsedMs: number): Promise<Revoked>
  /**
   * Sets all of them and publishes on REVOCATIONS_CHANNEL, or does nothing.
   * @param absentOnly leaves alone who is there already.
   * @throws BatonError REDIS_UNAVAILABLE: where the connection was lost on the way, it may have been done.
   */
  put(revoked: Revoked, absentOnly?: boolean): Promise<void>
}
