import assert from 'node:assert/strict'
import type { KeyObject } from 'node:crypto'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { SignJWT } from 'jose'
import pino from 'pino'
import { type Auth, type Credentials, createAuth } from '../../src/auth.ts'
import type { BatonError, ErrorCode } from '../../src/errors.ts'
import { configOf } from './config-of.ts'

export const SECRET = 'a secret of thirty-two bytes, yes'
const routes = { any: { topic: 'any', channel: 'any', destination: '/any' } }

/** @param lines gets what is logged. */
export function authOf(auth: object, lines: string[] = []): Auth {
  const logger = pino({ level: 'trace' }, { write: (line: string) => void lines.push(line) })
  return createAuth(configOf({ routes, auth }).auth, { logger })
}

export const sign = (
  claims: Record<string, unknown>,
  key: KeyObject | Buffer = Buffer.from(SECRET),
  alg = 'HS256',
  kid?: string
) => new SignJWT(claims).setProtectedHeader({ alg, ...(kid && { kid }) }).sign(key)

export const bearer = (token: string): Credentials => ({ authorization: `Bearer ${token}` })

/** Refused with this code, and a detail that does not say what was shown. */
export const refused = (attempt: Promise<unknown>, detail: RegExp, code: ErrorCode = 'UNAUTHENTICATED') =>
  assert.rejects(attempt, (error: BatonError) => {
    assert.equal(error.code, code, error.message)
    assert.match(error.detail, detail)
    assert.doesNotMatch(error.message, /hidden/)
    return true
  })

/** An HTTP server on a free port, for as long as `using` says. */
export async function listening(listener: RequestListener) {
  const server = createServer(listener).listen(0, '127.0.0.1')
  await new Promise(resolve => server.once('listening', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise(resolve => server.close(resolve))
    }
  }
}
