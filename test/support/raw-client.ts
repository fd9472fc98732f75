import { WebSocket } from 'ws'
import type { RawFrame } from './stomp-pair.ts'
import { deadline } from './wait.ts'

// A WebSocket that says exactly what a test tells it to, and a reader of what comes back that shares no code with src: each
// message must be one whole frame or one EOL, and what comes after the last frame that was looked at is not forgotten.

export interface SocketFrame extends RawFrame {
  /** It came in a binary message. */
  binary: boolean
}

export interface RawSocket {
  readonly ws: WebSocket
  /** Each a message: text as text, bytes as binary; `^@` in text stands for NUL. */
  send(...messages: (string | Buffer)[]): void
  /** The next frame; EOLs are passed over. @throws at the deadline, or when the connection ended before. */
  next(deadlineMs?: number): Promise<SocketFrame>
  /** The next frame. @throws when it is another command. */
  expect(command: string): Promise<SocketFrame>
  /** Sends a frame with a `receipt`. @returns the headers of its RECEIPT, which must be the next frame. */
  done(frame: string): Promise<Record<string, string>>
  /** EOLs that came. */
  readonly beats: number
  /** How the connection ended, as the client saw it, and the frames that were not looked at; 1006: without a close frame. */
  closed(deadlineMs?: number): Promise<{ code: number; reason: string; left: SocketFrame[] }>
}

export interface OpenOptions {
  protocols?: string[]
  headers?: Record<string, string>
}

export interface ConnectOptions extends OpenOptions {
  /** Default: 1.2. */
  version?: '1.0' | '1.1' | '1.2'
  /** Header lines of CONNECT, each closed by LF. */
  connect?: string
}

const DEADLINE_MS = 10_000
let receipts = 0

/** @throws what `ws` says, when the upgrade is refused. */
export async function openSocket(url: string, { protocols = [], headers = {} }: OpenOptions = {}): Promise<RawSocket> {
  const ws = new WebSocket(url, protocols, { headers, perMessageDeflate: false })
  const frames: SocketFrame[] = []
  const opened = Promise.withResolvers<void>()
  const ended = Promise.withResolvers<{ code: number; reason: string }>()
  let news = Promise.withResolvers<void>()
  let beats = 0
  let fault: unknown
  ws.once('open', opened.resolve)
  ws.on('error', opened.reject)
  ws.on('message', (data: Buffer, binary) => {
    try {
      if (data.equals(EOL)) beats++
      else frames.push({ ...readFrame(data), binary })
    } catch (error) {
      fault = error
    }
    news.resolve()
  })
  ws.once('close', (code, reason) => ended.resolve({ code, reason: String(reason) }))
  await deadline(opened.promise, DEADLINE_MS, `${url} to open`)

  async function next(deadlineMs = DEADLINE_MS): Promise<SocketFrame> {
    for (;;) {
      if (fault) throw fault
      const frame = frames.shift()
      if (frame) return frame
      news = Promise.withResolvers()
      const end = ended.promise.then(({ code, reason }) => {
        if (frames.length === 0) throw new Error(`the connection ended: ${code} ${reason}`)
      })
      await deadline(Promise.race([news.promise, end]), deadlineMs, 'a frame')
    }
  }

  async function expect(command: string): Promise<SocketFrame> {
    const frame = await next()
    if (frame.command === command) return frame
    throw new Error(`${command} expected, not ${frame.command} ${JSON.stringify(frame.headers)} ${frame.body}`)
  }

  function send(...messages: (string | Buffer)[]): void {
    for (const message of messages) ws.send(typeof message === 'string' ? message.replaceAll('^@', '\0') : message)
  }

  return {
    ws,
    send,
    next,
    expect,
    async done(frame) {
      const receipt = `raw-${++receipts}`
      send(frame.replace('\n', `\nreceipt:${receipt}\n`))
      const { headers } = await expect('RECEIPT')
      if (headers['receipt-id'] !== receipt) throw new Error(`the RECEIPT is for ${headers['receipt-id']}`)
      return headers
    },
    get beats() {
      return beats
    },
    async closed(deadlineMs = DEADLINE_MS) {
      const end = await deadline(ended.promise, deadlineMs, 'the end of the connection')
      if (fault) throw fault
      return { ...end, left: frames.splice(0) }
    }
  }
}

/** An open socket whose CONNECT was answered. */
export async function connectSocket(url: string, options: ConnectOptions = {}): Promise<RawSocket> {
  const { version = '1.2', connect = '' } = options
  const socket = await openSocket(url, options)
  socket.send(`CONNECT\naccept-version:${version}\n${connect}\n^@`)
  const { headers } = await socket.expect('CONNECTED')
  if (headers['version'] !== version) throw new Error(`CONNECTED with ${headers['version']}`)
  return socket
}

/** The next frame is an ERROR of this code, nothing follows it, and the close frame says `closeCode`. @returns the ERROR. */
export async function refused(socket: RawSocket, code: string, closeCode: number): Promise<SocketFrame> {
  const error = await socket.expect('ERROR')
  const { headers, body } = error
  if (headers['code'] !== code) throw new Error(`${code} expected, not ${headers['code']}: ${body}`)
  const complete = headers['message'] && headers['content-type'] === 'text/plain;charset=utf-8' && body.length > 0
  if (!complete) throw new Error(`an ERROR without message, content-type or body: ${JSON.stringify(headers)}`)
  const end = await socket.closed()
  if (end.code !== closeCode) throw new Error(`closed with ${end.code} ${end.reason}, not ${closeCode}`)
  if (end.left.length > 0) throw new Error(`after the ERROR came ${end.left.map(({ command }) => command)}`)
  return error
}

const EOL = Buffer.from('\n')

function readFrame(bytes: Buffer): RawFrame {
  const blank = bytes.indexOf('\n\n')
  if (blank < 0 || bytes.at(-1) !== 0) throw new Error(`not a whole frame: ${JSON.stringify(String(bytes))}`)
  const [command = '', ...lines] = bytes.toString('utf8', 0, blank).split('\n')
  const headers: Record<string, string> = Object.create(null)
  for (const line of lines) {
    const colon = line.indexOf(':')
    const name = line.slice(0, colon)
    if (colon < 1 || name in headers) throw new Error(`${command} has the header line ${JSON.stringify(line)}`)
    headers[name] = line.slice(colon + 1)
  }
  const body = bytes.subarray(blank + 2, -1)
  if (body.length !== Number(headers['content-length'] ?? 0)) {
    throw new Error(`${command} with ${body.length} bytes of body and content-length ${headers['content-length']}`)
  }
  return { command, headers, body }
}
