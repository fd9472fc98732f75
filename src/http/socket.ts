import type { Socket } from 'node:net'
import websocket from '@fastify/websocket'
import type { FastifyInstance } from 'fastify'
import type { Logger } from 'pino'
import type { WebSocket } from 'ws'
import { originOf } from '../config/origin.ts'
import { BatonError } from '../errors.ts'
import type { Metrics } from '../metrics.ts'
import { isOwnOrigin } from './origin.ts'
import { addressOf, credentialsOf, pathOf } from './request.ts'

// The upgrade only: which paths, which origins, which sub-protocol. What the socket then says is the affair of whoever accepts it.

/** What was known of a client when its socket was opened. `authorization` and `accessToken` are never logged. */
export interface Upgrade {
  path: string
  remoteAddress: string
  authorization?: string
  accessToken?: string
}

/** Takes over an open WebSocket; `socket` is the one below it. Must not throw. */
export type Accept = (ws: WebSocket, socket: Socket, upgrade: Upgrade) => void

/** Whether another may come from there. @throws BatonError TOO_MANY_SOCKETS, TOO_MANY_SESSIONS, SEND_QUEUES_FULL */
export type Admit = (remoteAddress: string) => void

export interface Origins {
  /** As `originOf` writes them; `*` stands for any, even none. Empty: the page must come from the very host that it connects to. */
  allowed: readonly string[]
  /** Requests without an Origin, which come from no browser, pass. */
  allowAbsent: boolean
  /** Where the list is empty, pages that a server on the browser's own machine gave pass as well. */
  allowLocal: boolean
}

export interface SocketOptions {
  paths: readonly string[]
  origins: Origins
  /** A WebSocket message over this is answered with 1009. */
  maxMessageBytes: number
}

/** Of `ws`: a message over `maxPayload`, or in too many fragments or chunks. */
const TOO_LARGE = new Set([
  'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH',
  'WS_ERR_UNSUPPORTED_DATA_PAYLOAD_LENGTH',
  'WS_ERR_TOO_MANY_BUFFERED_PARTS'
])

/** Whatever the port: a page on a development server is there on another one. */
const LOCAL = /^https?:\/\/(?:localhost|127\.0\.0\.1|\[::1\])(?::\d+)?$/
const SUB_PROTOCOLS = ['v12.stomp', 'v11.stomp', 'v10.stomp']

/** The highest of ours that was offered; none of ours: no protocol header, and the client decides (RFC 6455 §4.1). */
export function chooseProtocol(offered: ReadonlySet<string>): string | false {
  return SUB_PROTOCOLS.find(protocol => offered.has(protocol)) ?? false
}

export function originAllowed(
  origin: string | undefined,
  host: string | undefined,
  { allowed, allowAbsent, allowLocal }: Origins
): boolean {
  if (allowed.includes('*')) return true
  if (origin === undefined) return allowAbsent
  const from = originOf(origin) ?? origin
  if (allowed.length > 0) return allowed.includes(from)
  return isOwnOrigin(origin, host) || (allowLocal && LOCAL.test(from))
}

export async function registerSockets(
  app: FastifyInstance,
  { paths, origins, maxMessageBytes }: SocketOptions,
  {
    admit,
    accept,
    draining,
    metrics,
    logger
  }: { admit: Admit; accept: Accept; draining: () => boolean; metrics: Metrics; logger: Logger }
): Promise<void> {
  // `ws` closes with the right code by itself (1002, 1007, 1009).
  const failed = (error: NodeJS.ErrnoException) => {
    logger.debug({ err: error }, 'websocket failed')
    if (error.code?.startsWith('WS_ERR'))
      metrics.refused.inc({ code: TOO_LARGE.has(error.code) ? 'FRAME_TOO_LARGE' : 'MALFORMED_FRAME' })
  }
  await app.register(websocket, {
    options: { perMessageDeflate: false, maxPayload: maxMessageBytes, handleProtocols: chooseProtocol },
    // The plugin's own would terminate, and what was sent last could be lost.
    errorHandler: (error, ws) => {
      failed(error)
      ws.close(1011)
    },
    // The plugin's own closes every client at once; by now the sessions were closed one by one, and these are the rest.
    preClose(done) {
      for (const ws of this.websocketServer.clients) ws.terminate()
      done()
    }
  })
  // The plugin closes the connection of an upgrade that is refused: nobody is to send another request on it.
  app.addHook('onSend', async ({ ws }, reply) => {
    if (ws) reply.header('connection', 'close')
  })
  // An upgrade on any other route would be accepted and closed at once.
  app.addHook('onRequest', async request => {
    if (request.ws && !paths.includes(pathOf(request.url))) {
      throw new BatonError(
        'NOT_FOUND',
        `no WebSocket at ${pathOf(request.url)}; STOMP is spoken at ${paths.join(', ')}`
      )
    }
  })
  for (const path of paths) {
    app.route({
      method: 'GET',
      url: path,
      schema: { hide: true },
      async onRequest(request) {
        const { ws, headers } = request
        const { origin, host } = headers
        if (!ws)
          throw new BatonError('NOT_FOUND', `${path} speaks STOMP over WebSocket only: open it with a WebSocket client`)
        if (draining()) throw new BatonError('SHUTTING_DOWN', 'this replica is going away: connect again')
        admit(addressOf(request))
        if (!originAllowed(origin, host, origins)) {
          const detail =
            origin === undefined
              ? 'no Origin was sent; http.allowAbsentOrigin lets in those who are no browsers'
              : `pages of ${origin} may not connect; http.allowedOrigins lists those that may`
          throw new BatonError('ORIGIN_REFUSED', detail)
        }
      },
      // From here on the response, and what listens for its socket's errors, would only keep the request for as long as the
      // socket lives, a quarter of what an idle one takes.
      async preHandler({ raw: { socket } }, { raw }) {
        raw.detachSocket(socket)
      },
      handler: () => undefined,
      wsHandler(ws, request) {
        ws.removeAllListeners('error').on('error', failed)
        accept(ws, request.raw.socket, { path, remoteAddress: addressOf(request), ...credentialsOf(request) })
      }
    })
  }
}
