import type { Logger } from 'pino'
import { createEndpoint, type Shown } from './auth/endpoint.ts'
import { createTokens } from './auth/jwt.ts'
import { createUsers } from './auth/users.ts'
import type { Config } from './config/normalize.ts'
import type { Scalar } from './config/route.ts'
import { BatonError } from './errors.ts'
import { compileText } from './routes/projection.ts'
import { field, scalarText } from './routes/record.ts'
import type { Condition, Names, Route, Verb } from './routes.ts'

/** Who a session or request is. */
export interface Principal {
  /** `sub`, or `name`, of the claims (or the claim that `auth.jwt.nameClaim` says; '' where there is none); the login of `auth: users`; `guest` for a guest, or the login it gave where `auth.mode` is `none`; what the endpoint of `auth.http` said. */
  name: string
  claims: Readonly<Record<string, unknown>>
  guest: boolean
  /** Its session ends then, unless it shows a fresh credential before. Absent: never. */
  expiresAtMs?: number
}

/** What a client showed, from the CONNECT frame or the HTTP request. Never logged. */
export interface Credentials {
  login?: string
  passcode?: string
  /** `Authorization: Bearer …` or `Basic …`, as it came. */
  authorization?: string
  /** Query `access_token` of the upgrade or the request. */
  accessToken?: string
  /** All of CONNECT's; absent for an HTTP request. */
  headers?: ReadonlyMap<string, string>
  remoteAddress?: string
  path?: string
}

export interface Auth {
  /**
   * @throws BatonError UNAUTHENTICATED, with a detail that says which credential is missing or why it was refused, never its value;
   *   AUTH_UNAVAILABLE where that cannot be known now.
   */
  authenticate(credentials: Credentials): Promise<Principal>
  /** A bare JWT, for a route whose SENDs carry their own (`send.token`). @throws as `authenticate`. */
  verifyToken(token: string): Promise<Principal>
  /** @throws BatonError FORBIDDEN, naming the verb and the destination's route. */
  authorize(verb: Verb, route: Route, principal: Principal, names: Names): void
}

const GUEST: Principal = Object.freeze({ name: 'guest', claims: Object.freeze({}), guest: true })

/** A fault of the issuer or the endpoint, which thousands of clients may meet at once, is logged again only then. */
const SAY_EVERY_MS = 10_000

export function createAuth(options: Config['auth'], { logger }: { logger: Logger }): Auth {
  const users = options.mode === 'users' ? createUsers(options.users) : undefined
  const tokens = options.mode === 'jwt' ? createTokens(options.jwt) : undefined
  const endpoint = options.mode === 'http' && options.http ? createEndpoint(options.http) : undefined
  let saidAtMs = Number.NEGATIVE_INFINITY

  function said(error: unknown): never {
    const isAway = error instanceof BatonError && error.code === 'AUTH_UNAVAILABLE'
    if (isAway && performance.now() - saidAtMs > SAY_EVERY_MS) {
      saidAtMs = performance.now()
      logger.warn({ err: error }, 'credentials cannot be checked')
    }
    throw error
  }

  function guest(missing: string): Principal {
    if (options.guests) return GUEST
    throw new BatonError('UNAUTHENTICATED', `${missing} is missing`)
  }

  async function verifyToken(token: string): Promise<Principal> {
    if (!tokens) throw new BatonError('UNAUTHENTICATED', 'no tokens are taken here')
    return tokens.verify(token).catch(said)
  }

  return {
    async authenticate(credentials) {
      const { accessToken, login, passcode } = credentials
      // Without guests everyone is asked about: the endpoint may know people by headers of its own.
      const isBare = !login && !passcode && !credentials.authorization && !accessToken
      if (endpoint) return options.guests && isBare ? GUEST : endpoint.verify(shownBy(credentials)).catch(said)
      // With nothing to check it against, the login is only what people call themselves.
      if (!users && !tokens) return login ? { ...GUEST, name: login } : GUEST
      const { scheme, value } = authorizationOf(credentials.authorization)
      if (users) {
        if (scheme === 'bearer') throw new BatonError('UNAUTHENTICATED', 'a login and passcode are asked for')
        const pair = scheme === 'basic' ? basic(value) : { login, passcode }
        return pair.login ? users.verify(pair.login, pair.passcode ?? '') : guest('login and passcode')
      }
      if (scheme === 'basic') throw new BatonError('UNAUTHENTICATED', 'a Bearer token is asked for, not Basic')
      const token = value || accessToken || passcode
      return token ? verifyToken(token) : guest('a token (Authorization: Bearer, passcode or access_token)')
    },

    verifyToken,

    authorize(verb, route, principal, names) {
      if (isAllowed(route.allow[verb], principal, names)) return
      const hint = principal.guest ? '; a guest may not, or not here: show a credential' : ''
      throw new BatonError('FORBIDDEN', `${verb} on route ${route.name} is not allowed to this principal${hint}`)
    }
  }
}

/** As the endpoint of `auth.http` is told; `login` and `passcode` are among the headers. */
function shownBy({ authorization, accessToken, headers = new Map(), remoteAddress, path }: Credentials): Shown {
  return {
    headers: { ...(authorization && { Authorization: authorization }), ...Object.fromEntries(headers) },
    ...(accessToken && { accessToken }),
    ...(remoteAddress && { remoteAddress }),
    ...(path && { path })
  }
}

function isAllowed(condition: Condition, { claims, guest }: Principal, names: Names): boolean {
  if (condition === 'anyone') return true
  if (condition === 'authenticated') return !guest
  if (condition === 'nobody' || guest) return false
  return Object.entries(condition).every(([name, wanted]) => {
    // The name of a claim may be a URL, dots and all (OpenID Connect Core §5.1.2).
    const held = [Object.hasOwn(claims, name) ? claims[name] : field(claims, name)].flat().map(scalarText)
    return [wanted].flat().some(value => {
      const text = valueText(value, names)
      return text !== undefined && held.includes(text)
    })
  })
}

/** Undefined where a name of the template is not known: then nothing equals it. */
function valueText(value: Scalar, names: Names): string | undefined {
  if (typeof value !== 'string' || !value.includes('{')) return String(value)
  return compileText(value).render(name => (Object.hasOwn(names, name) ? names[name] : undefined))
}

/** RFC 9110 §11.4: the scheme is case-insensitive. */
function authorizationOf(header: string | undefined): { scheme?: 'bearer' | 'basic'; value?: string } {
  if (!header) return {}
  const [scheme, value] = header.trim().split(/ +/)
  const known = scheme?.toLowerCase()
  if ((known === 'bearer' || known === 'basic') && value) return { scheme: known, value }
  throw new BatonError('UNAUTHENTICATED', 'Authorization must be "Bearer <token>" or "Basic <login:passcode>"')
}

/** RFC 7617 §2. */
function basic(value: string | undefined): { login?: string; passcode?: string } {
  const text = Buffer.from(value ?? '', 'base64').toString()
  const colon = text.indexOf(':')
  if (colon < 0) throw new BatonError('UNAUTHENTICATED', 'Basic must hold login:passcode in base64')
  return { login: text.slice(0, colon), passcode: text.slice(colon + 1) }
}
