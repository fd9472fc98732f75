import { STATUS_CODES } from 'node:http'
import type { Duplex } from 'node:stream'
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import { asBatonError, BatonError } from '../errors.ts'
import { SAFE_HEADERS } from './safe-headers.ts'

/** What every refusal over HTTP looks like (RFC 9457); `extra` of the error follows as extension members. */
export const Problem = Type.Object(
  {
    type: Type.String({ description: '`urn:baton:error:` and the code.' }),
    title: Type.String(),
    status: Type.Integer(),
    detail: Type.String({ description: 'What was refused, where, and how to mend it.' }),
    code: Type.String(),
    retryable: Type.Boolean({ description: 'The same request may succeed later.' }),
    retryAfterS: Type.Optional(Type.Integer({ description: 'How long to wait before, as `Retry-After`. Seconds.' }))
  },
  { title: 'Problem' }
)

/** Answers of a route in the OpenAPI document: the given ones, and a problem for all else. */
export function answers<T extends Record<string, unknown>>(given: T) {
  return {
    ...given,
    default: { description: 'A problem.', content: { 'application/problem+json': { schema: Problem } } }
  }
}

/** Fastify's own refusals in the words of the table; everything unknown becomes INTERNAL. */
export function refusalOf(error: unknown): BatonError {
  if (error instanceof BatonError) return error
  const { code, statusCode, validation, message } = error as Partial<FastifyError>
  if (validation) return new BatonError('INVALID_QUERY', String(message))
  if (statusCode === 413) return new BatonError('BODY_TOO_LARGE', 'the body is over http.maxBodyBytes')
  if (statusCode === 415) return new BatonError('UNSUPPORTED_MEDIA_TYPE', String(message))
  // The client is gone, with its body half sent: nobody reads the answer.
  if (code === 'ECONNRESET') return new BatonError('MALFORMED_REQUEST', 'the request ended before its body did')
  if (statusCode !== undefined && statusCode < 500 && code?.startsWith('FST_'))
    return new BatonError('INVALID_QUERY', String(message))
  return asBatonError(error)
}

export function sendProblem(reply: FastifyReply, refusal: BatonError): FastifyReply {
  const { row, retryAfterS } = refusal
  const { status } = row
  if (status === 401) reply.header('www-authenticate', 'Bearer')
  if (retryAfterS !== undefined) reply.header('retry-after', retryAfterS)
  return reply.code(status).type('application/problem+json').send(problemOf(refusal))
}

function problemOf({ code, row: { title, status, retryable }, detail, extra, retryAfterS }: BatonError) {
  return { ...extra, type: `urn:baton:error:${code}`, title, status, detail, code, retryable, retryAfterS }
}

/** Answers what no hook sees, such as a malformed URL. The socket of an upgrade is nobody else's to close. */
export function refuseUnrouted(refusal: BatonError, { raw }: FastifyRequest, reply: FastifyReply): void {
  if (raw.headers.upgrade !== undefined) {
    reply.header('connection', 'close')
    reply.raw.once('finish', () => raw.socket.destroySoon())
  }
  sendProblem(reply.headers(SAFE_HEADERS), refusal)
}

/** What Node's parser refuses, before there is a request. */
export function unparsedRefusal({ code }: NodeJS.ErrnoException): BatonError {
  if (code === 'HPE_HEADER_OVERFLOW')
    return new BatonError('TOO_MANY_HEADERS', 'the headers of a request may have 16 KiB')
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT' || code === 'ERR_TLS_HANDSHAKE_TIMEOUT')
    return new BatonError('REQUEST_TIMEOUT', 'over http.headersTimeoutMs or http.requestTimeoutMs: send it faster')
  return new BatonError('MALFORMED_REQUEST', 'this is no HTTP/1.1 request')
}

/** Answers on the bare socket, and closes it. */
export function endWithProblem(socket: Duplex, refusal: BatonError): void {
  const { status } = refusal.row
  const body = JSON.stringify(problemOf(refusal))
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
    'Content-Type: application/problem+json',
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Connection: close',
    ...Object.entries(SAFE_HEADERS).map(([name, value]) => `${name}: ${value}`)
  ]
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`)
}
