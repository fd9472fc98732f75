// One table for every refusal: the code a client sees, how its session ends, what HTTP answers, and whether and when the
// same request may succeed later. docs/errors.md is checked against it.

interface ErrorRow {
  /** Short and the same each time: the `message` header of ERROR, the `title` of a problem. */
  title: string
  /** WebSocket close code after the ERROR frame (RFC 6455 §7.4.1). */
  close: number
  /** HTTP status of the problem response (RFC 9457). */
  status: number
  /** True where trying the same again, later, may succeed. */
  retryable: boolean
  /** How long to wait before; clients add jitter. Undefined where not retryable. Seconds. */
  retryAfterS: number | undefined
}

const row = (title: string, close: number, status: number, retryable = false, retryAfterS = 1): ErrorRow => ({
  title,
  close,
  status,
  retryable,
  retryAfterS: retryable ? retryAfterS : undefined
})

export const ERRORS = {
  // STOMP grammar and protocol
  MALFORMED_FRAME: row('malformed frame', 1002, 400),
  FRAME_TOO_LARGE: row('frame too large', 1009, 413),
  TOO_MANY_HEADERS: row('too many headers', 1002, 431),
  UNKNOWN_COMMAND: row('unknown command', 1002, 400),
  BODY_NOT_ALLOWED: row('this frame may not have a body', 1002, 400),
  MISSING_HEADER: row('missing header', 1002, 400),
  INVALID_HEADER: row('invalid header', 1002, 400),
  NOT_CONNECTED: row('CONNECT first', 1002, 400),
  ALREADY_CONNECTED: row('already connected', 1002, 400),
  UNSUPPORTED_VERSION: row('no common STOMP version', 1002, 400),
  CONNECT_TIMEOUT: row('no CONNECT in time', 1002, 408),
  HEARTBEAT_TIMEOUT: row('no heart-beat in time', 1002, 408, true),
  DUPLICATE_SUBSCRIPTION: row('subscription id in use', 1002, 409),
  UNKNOWN_SUBSCRIPTION: row('no such subscription', 1002, 404),
  TOO_MANY_SUBSCRIPTIONS: row('too many subscriptions', 1008, 429),
  UNKNOWN_ACK: row('no such message to acknowledge', 1002, 404),
  DUPLICATE_TRANSACTION: row('transaction in use', 1002, 409),
  UNKNOWN_TRANSACTION: row('no such transaction', 1002, 404),
  TRANSACTION_TOO_LARGE: row('transaction too large', 1009, 413),
  INVALID_RESUME: row('invalid last-message-id', 1002, 400),
  // routing and content
  UNKNOWN_DESTINATION: row('no route takes this destination', 1008, 404),
  MALFORMED_DESTINATION: row('malformed destination', 1008, 400),
  INVALID_BODY: row('invalid body', 1008, 422),
  BODY_TOO_LARGE: row('body too large', 1009, 413),
  UNSUPPORTED_MEDIA_TYPE: row('unsupported media type', 1008, 415),
  INVALID_QUERY: row('invalid query', 1008, 400),
  NOT_FOUND: row('not found', 1008, 404),
  MALFORMED_REQUEST: row('malformed request', 1002, 400),
  REQUEST_TIMEOUT: row('the request was not whole in time', 1002, 408, true),
  METHOD_NOT_ALLOWED: row('method not allowed', 1008, 405),
  // who may
  UNAUTHENTICATED: row('authentication failed', 1008, 401),
  TOKEN_EXPIRED: row('the token has expired', 1008, 401),
  FORBIDDEN: row('not allowed', 1008, 403),
  REVOKED: row('revoked', 1008, 403),
  ORIGIN_REFUSED: row('origin not allowed', 1008, 403),
  // what may come back
  AUTH_UNAVAILABLE: row('credentials cannot be checked now', 1013, 503, true, 5),
  TOO_MANY_SOCKETS: row('too many sockets', 1013, 503, true, 5),
  TOO_MANY_SESSIONS: row('too many sessions', 1013, 429, true, 10),
  SEND_QUEUES_FULL: row('too much waits for slow clients', 1013, 503, true, 5),
  RATE_LIMITED: row('too many SENDs', 1013, 429, true),
  KAFKA_UNAVAILABLE: row('Kafka did not acknowledge in time', 1013, 503, true, 5),
  PRODUCE_QUEUE_FULL: row('too much waits for Kafka', 1013, 503, true),
  REDIS_UNAVAILABLE: row('Redis is away', 1013, 503, true),
  TOO_MANY_PENDING: row('too many requests wait for replies', 1013, 503, true, 5),
  REQUEST_PENDING: row('the same request waits for its reply', 1013, 409, true),
  REPLY_TIMEOUT: row('no reply in time', 1013, 504, true),
  SLOW_CONSUMER: row('client reads too slowly', 1013, 503, true),
  SHUTTING_DOWN: row('going away', 1001, 503, true),
  MISCONFIGURED: row('misconfigured', 1011, 500),
  INTERNAL: row('internal error', 1011, 500, true, 5)
} satisfies Record<string, ErrorRow>

export type ErrorCode = keyof typeof ERRORS

/** A refusal with a code of the table. `detail` says what, where and how to mend it; it holds no payload and no secret. */
export class BatonError extends Error {
  readonly code: ErrorCode
  readonly detail: string
  /** Extra members for the client: STOMP headers of ERROR, extension members of a problem. */
  readonly extra: Record<string, string>
  /** As the table has it, where nothing better is known. Seconds. */
  readonly retryAfterS: number | undefined

  constructor(
    code: ErrorCode,
    detail: string,
    options: { cause?: unknown; extra?: Record<string, string>; retryAfterMs?: number } = {}
  ) {
    super(`${ERRORS[code].title}: ${detail}`, { cause: options.cause })
    this.name = 'BatonError'
    this.code = code
    this.detail = detail
    this.extra = options.extra ?? {}
    this.retryAfterS =
      options.retryAfterMs === undefined ? ERRORS[code].retryAfterS : Math.ceil(options.retryAfterMs / 1000)
  }

  get row(): ErrorRow {
    return ERRORS[this.code]
  }
}

/** Any error as one of the table: unknown ones become INTERNAL, whose detail tells a client nothing. */
export function asBatonError(error: unknown): BatonError {
  return error instanceof BatonError
    ? error
    : new BatonError('INTERNAL', 'see the log of the gateway', { cause: error })
}
