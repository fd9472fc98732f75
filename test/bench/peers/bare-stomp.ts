import type { AddressInfo } from 'node:net'
import { type WebSocket, WebSocketServer } from 'ws'

// As little of STOMP as the load generator needs, on a bare `ws` server: what a peer then does with a SEND is its own.

export interface Room {
  destination: string
  subscribers: WebSocket[]
}

const DESTINATION = /\ndestination:([^\n]*)\n/
const RECEIPT = /\nreceipt:([^\n]*)\n/

/** Serves on a free port and prints its URL. @param sent a SEND came for the room, with this body. */
export function serveBareStomp(sent: (room: Room, body: Buffer) => void): void {
  const rooms = new Map<string, Room>()

  function roomOf(frame: string): Room {
    const destination = DESTINATION.exec(frame)?.[1] ?? ''
    let room = rooms.get(destination)
    if (!room) {
      room = { destination, subscribers: [] }
      rooms.set(destination, room)
    }
    return room
  }

  const server = new WebSocketServer({
    host: '127.0.0.1',
    port: 0,
    perMessageDeflate: false,
    handleProtocols: () => 'v12.stomp'
  })
  server.on('connection', ws => {
    ws.on('message', message => {
      const frame = message as Buffer
      const bodyStart = frame.indexOf('\n\n') + 2
      const head = frame.toString('latin1', 0, bodyStart)
      if (head.startsWith('SEND')) return sent(roomOf(head), frame.subarray(bodyStart, -1))
      if (head.startsWith('CONNECT')) return ws.send('CONNECTED\nversion:1.2\nheart-beat:0,0\n\n\0')
      if (!head.startsWith('SUBSCRIBE')) return
      const room = roomOf(head)
      room.subscribers.push(ws)
      ws.on('close', () => room.subscribers.splice(room.subscribers.indexOf(ws), 1))
      const receipt = RECEIPT.exec(head)?.[1]
      if (receipt) ws.send(`RECEIPT\nreceipt-id:${receipt}\n\n\0`)
    })
  })
  server.on('listening', () => console.log(`http://127.0.0.1:${(server.address() as AddressInfo).port}`))
}

/** What stands before the body of a MESSAGE; as long as Baton's. */
export function headOf({ destination }: Room, body: Buffer): Buffer {
  const id = 'message-id:0000000000.000000.o0000000000000'
  return Buffer.from(
    `MESSAGE\nsubscription:s000000\n${id}\ndestination:${destination}\ncontent-length:${body.length}\n\n`
  )
}
