import type { Names, Route, Verb } from './routes.ts'

/** Who a session or request is. */
export interface Principal {
  /** `sub`, or `name`, of the claims; the login of `auth: users`; `guest` for a guest. */
  name: string
  claims: Readonly<Record<string, unknown>>
  guest: boolean
}

/** What a client showed, from the CONNECT frame or the HTTP request. Never logged. */
export interface Credentials {
  login?: string
  passcode?: string
  /** `Authorization: Bearer …` or `Basic …`, as it came. */
  authorization?: string
  /** Query `access_token` of the upgrade or the request. */
  accessToken?: string
}

export interface Auth {
  /** @throws BatonError UNAUTHENTICATED, with a detail that says which credential is missing or why it was refused, never its value. */
  authenticate(credentials: Credentials): Promise<Principal>
  /** A bare JWT, for a route whose SENDs carry their own (`send.token`). @throws as `authenticate`. */
  verifyToken(token: string): Promise<Principal>
  /** @throws BatonError FORBIDDEN, naming the verb and the destination's route. */
  authorize(verb: Verb, route: Route, principal: Principal, names: Names): void
}
