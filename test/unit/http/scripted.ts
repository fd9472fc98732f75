import { Client } from '@stomp/stompjs'
import type { WebSocket } from 'ws'
import { createResuming } from '../../../src/http/console/resume.js'
import { serve } from './serve.ts'

// The page's resume helper on the real client, against a server that says what each test scripts.

type Answer = (command: string, headers: Record<string, string>, ws: WebSocket) => void

export const frame = (command: string, headers: Record<string, string>, body = '') =>
  `${command}\n${Object.entries(headers)
    .map(([name, value]) => `${name}:${value}\n`)
    .join('')}\n${body}\0`

/** A server that connects everyone and leaves the rest to `answer`; `frames` are those that came, pings left out. */
export async function scripted(answer: Answer) {
  const frames: { command: string; headers: Record<string, string> }[] = []
  const sockets: WebSocket[] = []
  const it = await serve({
    edge: {
      accept(ws) {
        sockets.push(ws)
        ws.on('message', data => {
          const [command = '', ...lines] = String(data).split('\n\n', 1)[0]?.split('\n') ?? []
          if (!command) return
          const headers = Object.fromEntries(lines.map(line => line.split(/:(.*)/s, 2) as [string, string]))
          frames.push({ command, headers })
          if (command === 'CONNECT') ws.send(frame('CONNECTED', { version: '1.2' }))
          answer(command, headers, ws)
        })
      }
    }
  })
  const states: string[] = []
  const delaysMs: number[] = []
  const errors: string[] = []
  // stompjs leaves this timer behind, and the process waits for it.
  const client = new Client({ brokerURL: it.wsUrl, connectionTimeout: 1000 })
  const link = createResuming(client, {
    minDelayMs: 1,
    onState({ name, delayMs }) {
      states.push(name)
      if (delayMs !== undefined) delaysMs.push(delayMs)
    },
    onError: reason => errors.push(reason)
  })
  const subscribes = () => frames.filter(({ command }) => command === 'SUBSCRIBE').map(({ headers }) => headers)
  return {
    link,
    states,
    delaysMs,
    errors,
    sockets,
    subscribes,
    async [Symbol.asyncDispose]() {
      await client.deactivate({ force: true })
      await it.server.close()
    }
  }
}

export const receipt = (ws: WebSocket, headers: Record<string, string>, more: Record<string, string> = {}) =>
  ws.send(frame('RECEIPT', { 'receipt-id': headers['receipt'] as string, ...more }))

export const message = (ws: WebSocket, subscription: string, id: string, more: Record<string, string> = {}) =>
  ws.send(frame('MESSAGE', { subscription, 'message-id': id, destination: '/a', ...more }, id))
