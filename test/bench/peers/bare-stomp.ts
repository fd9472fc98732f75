import type { AddressInfo } from 'node:net'
import { Redis } from 'ioredis'
import { type WebSocket, WebSocketServer } from 'ws'

// As little of STOMP and of Baton's envelope as the load generator needs, on a bare `ws` server that gets its messages as an
// edge does: from Redis. What a peer then does with a message is its own. Arguments: URL of Redis, the beginning of channels.

export interface Room {
  /** What stands before the content in a MESSAGE; as long as Baton's. */
  head: Buffer
  subscribers: WebSocket[]
}

const [url = '', prefix = ''] = process.argv.slice(2)
const DESTINATION = /\ndestination:\/topic\/([^\n]*)\n/
const RECEIPT = /\nreceipt:([^\n]*)\n/
const LF = 10

/**
 * Serves on a free port and prints its URL.
 * @param published to the room: the end of a MESSAGE without its NUL, from the first header that the sender gave it.
 */
export function serveBareStomp(published: (room: Room, content: Buffer) => void): void {
  const rooms = new Map<string, Room>()
  const redis = new Redis(url)
  redis.on('messageBuffer', (channel: Buffer, envelope: Buffer) => {
    const room = rooms.get(channel.toString())
    if (room) published(room, envelope.subarray(envelope.indexOf(LF) + 1))
  })

  async function enter(name: string, ws: WebSocket): Promise<void> {
    let room = rooms.get(prefix + name)
    if (!room) {
      room = { head: headOf(name), subscribers: [] }
      rooms.set(prefix + name, room)
    }
    const { subscribers } = room
    subscribers.push(ws)
    ws.on('close', () => subscribers.splice(subscribers.indexOf(ws), 1))
    await redis.subscribe(prefix + name)
  }

  const server = new WebSocketServer({
    host: '127.0.0.1',
    port: 0,
    perMessageDeflate: false,
    handleProtocols: () => 'v12.stomp'
  })
  server.on('connection', ws => {
    ws.on('message', async message => {
      const head = message.toString()
      if (head.startsWith('CONNECT')) ws.send('CONNECTED\nversion:1.2\nheart-beat:0,0\n\n\0')
      if (!head.startsWith('SUBSCRIBE')) return
      await enter(DESTINATION.exec(head)?.[1] ?? '', ws)
      const receipt = RECEIPT.exec(head)?.[1]
      if (receipt) ws.send(`RECEIPT\nreceipt-id:${receipt}\n\n\0`)
    })
  })
  server.on('listening', () => console.log(`http://127.0.0.1:${(server.address() as AddressInfo).port}`))
}

function headOf(name: string): Buffer {
  return Buffer.from(
    `MESSAGE\nsubscription:s000000\nmessage-id:bench.000000.o00000000000000\ndestination:/topic/${name}\n`
  )
}
