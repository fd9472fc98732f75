import type { IncomingMessage } from 'node:http'
import type { FastifyRequest } from 'fastify'
import type { Auth, Credentials, Principal } from '../auth.ts'

/** What `access_token` said in the query of a request; repeated, it is no token. */
const tokens = new WeakMap<IncomingMessage, string>()

/** Parts of a query, also of one that is not written as such: the rest of a URL is still logged. */
const PART = /([?&;#]|%3[bf]|%2[36])(.*?)(?=[?&;#]|%3[bf]|%2[36]|$)/gi

/** The URL without `access_token`, before anything sees it that could log or quote it. */
export function withoutToken(raw: IncomingMessage): string {
  return (raw.url as string).replace(PART, (part, begin: string, pair: string) => {
    const [[name, token] = ['', '']] = new URLSearchParams(pair)
    if (!/^access_token(?:=|$)/i.test(name)) return part
    tokens.set(raw, tokens.has(raw) ? `${tokens.get(raw)},${token}` : token)
    return begin === '?' ? begin : ''
  })
}

/** What a request showed of who it is: `Authorization`, else the query's `access_token`. */
export function credentialsOf({ raw, headers: { authorization } }: FastifyRequest): Credentials {
  const accessToken = tokens.get(raw)
  return {
    ...(authorization !== undefined && { authorization }),
    ...(accessToken !== undefined && { accessToken })
  }
}

/** @throws BatonError UNAUTHENTICATED, AUTH_UNAVAILABLE */
export function principalOf(request: FastifyRequest, auth: Auth): Promise<Principal> {
  return auth.authenticate({ ...credentialsOf(request), remoteAddress: addressOf(request), path: pathOf(request.url) })
}

/** Where a request comes from; '' once its client has left, for the socket has no address any more. */
export function addressOf({ ip }: FastifyRequest): string {
  return (ip as string | undefined) ?? ''
}

/** Logs and problems have this of a URL: other parameters may hold what is nobody's business too. */
export function pathOf(url: string): string {
  return url.split('?', 1)[0] as string
}
