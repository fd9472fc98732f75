import { type EventEmitter, once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { WebSocket } from 'ws'
import { ERRORS } from '../../src/errors.ts'
import { deadline } from '../support/wait.ts'
import { type ReadFrame, readFrames } from './read.ts'
import { hold } from './target.ts'

// Sockets that say anything, and hold whatever comes back to what a client may rely on.

/** A resume from nowhere is refused after 10 s, and a client that does not answer a close is cut off after 5. */
const CLOSE_MS = 20_000

export interface Line {
  ws: WebSocket
  /** Codes of ERROR frames that came. */
  refusals: string[]
  /** What may be acknowledged, as it came. */
  acks: string[]
  /** The `receipt-id` of RECEIPTs. */
  receipts: string[]
  /** Bodies of MESSAGEs. */
  bodies: string[]
  /** Why something that came was no frame. */
  garbled?: unknown
  ended: Promise<void>
}

/** An open WebSocket; undefined where the upgrade was refused. */
export async function openLine(wsUrl: string): Promise<Line | undefined> {
  const ws = new WebSocket(wsUrl, { perMessageDeflate: false })
  const line: Line = {
    ws,
    refusals: [],
    acks: [],
    receipts: [],
    bodies: [],
    ended: closing(ws)
  }
  ws.on('error', () => undefined)
  ws.on('message', (data: Buffer) => {
    try {
      for (const frame of readFrames(data)) note(line, frame)
    } catch (error) {
      line.garbled = error
    }
  })
  await deadline(Promise.race([once(ws, 'open'), line.ended]), CLOSE_MS, 'a WebSocket to open or be refused')
  return ws.readyState === WebSocket.OPEN ? line : undefined
}

function note({ refusals, receipts, bodies, acks }: Line, { command, headers, body }: ReadFrame): void {
  if (command === 'ERROR') refusals.push(headers['code'] ?? 'none')
  if (command === 'RECEIPT') receipts.push(`${headers['receipt-id']}`)
  if (command === 'MESSAGE') bodies.push(body.toString('latin1'))
  if (headers['ack'] !== undefined) acks.push(headers['ack'])
}

/** More than any frame may have: whatever was begun before it, a decoder refuses it. */
export const TOO_MUCH = Buffer.alloc(70_000, 'A')

/** The codes that it was refused with, once the server closed it. @throws where a refusal is none that a client may cause. */
export async function endLine(line: Line): Promise<string[]> {
  const { ws, ended, refusals } = line
  ws.send(TOO_MUCH)
  await deadline(ended, CLOSE_MS, 'the end of a WebSocket')
  if (line.garbled) throw line.garbled
  hold(refusals.length <= 1, `ERROR came ${refusals.length} times`)
  hold(refusals.every(isMeant), `refused with ${refusals}`)
  return refusals
}

/** Node's own `once` would reject at an error, which a socket may have before its end. */
function closing(emitter: EventEmitter): Promise<void> {
  return new Promise(resolve => emitter.once('close', () => resolve()))
}

export const isMeant = (code: string): boolean => code in ERRORS && code !== 'INTERNAL'

/** A socket at the port of a replica. */
export async function openSocket(url: string): Promise<Socket> {
  const { hostname, port } = new URL(url)
  const socket = connect({ host: hostname, port: Number(port) })
  socket.on('error', () => undefined)
  await deadline(once(socket, 'connect'), CLOSE_MS, 'a socket to connect')
  return socket
}

/** Says all of it, and gives what came back until the end of the socket. @param until hangs up once that came; absent: at once. */
export async function converse(url: string, chunks: readonly Buffer[], until?: string): Promise<Buffer> {
  const socket = await openSocket(url)
  const back: Buffer[] = []
  socket.on('data', chunk => {
    back.push(chunk)
    if (until !== undefined && chunk.includes(until)) socket.end()
  })
  const ended = closing(socket)
  for (const chunk of chunks) socket.write(chunk)
  if (until === undefined) socket.end()
  await deadline(ended, CLOSE_MS, 'the end of a socket')
  return Buffer.concat(back)
}

export function upgrade(path = '/ws', more = ''): Buffer {
  const key = 'dGhlIHNhbXBsZSBub25jZQ=='
  const head = `GET ${path} HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n`
  return Buffer.from(`${head}Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${key}\r\n${more}\r\n`)
}
