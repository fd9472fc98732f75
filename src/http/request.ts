import type { FastifyRequest } from 'fastify'
import type { Auth, Credentials, Principal } from '../auth.ts'

/** What a request showed of who it is: `Authorization`, else the query's `access_token`. */
export function credentialsOf(request: FastifyRequest): Credentials {
  const { authorization } = request.headers
  const { access_token: accessToken } = (request.query ?? {}) as Record<string, unknown>
  return {
    ...(authorization !== undefined && { authorization }),
    ...(typeof accessToken === 'string' && { accessToken })
  }
}

/** @throws BatonError UNAUTHENTICATED, AUTH_UNAVAILABLE */
export function principalOf(request: FastifyRequest, auth: Auth): Promise<Principal> {
  return auth.authenticate({ ...credentialsOf(request), remoteAddress: request.ip, path: pathOf(request.url) })
}

export function pathOf(url: string): string {
  return url.split('?', 1)[0] as string
}

/** The URL as it may be logged: without the value of `access_token`. */
export function loggedUrl(url: string): string {
  return url.replace(/([?&]access_token=)[^&]*/gi, '$1…')
}
