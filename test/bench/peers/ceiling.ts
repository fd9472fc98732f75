import type { Socket } from 'node:net'
import { messageHeaderLength, writeMessageHeader } from '../../../src/stomp/message-header.ts'
import { type Room, serveBareStomp } from './bare-stomp.ts'

// The ceiling of a fan-out in Node: for each room and tick one buffer of whole WebSocket messages, written to every socket
// as it is. It knows no sessions, no subscription ids, no positions, no log, no bounds.

const TEXT = 1
const NUL = Buffer.alloc(1)
const queues = new Map<Room, Buffer[]>()

serveBareStomp((room, content) => {
  const { head } = room
  const length = head.length + content.length + 1
  const header = Buffer.alloc(messageHeaderLength(length))
  writeMessageHeader(header, 0, TEXT, length)
  const parts = [header, head, content, NUL]
  const queue = queues.get(room)
  if (queue) queue.push(...parts)
  else queues.set(room, parts)
  if (queues.size === 1 && !queue) setImmediate(flush)
})

function flush() {
  for (const [room, parts] of queues) {
    const bytes = Buffer.concat(parts)
    for (const ws of room.subscribers) (ws as unknown as { _socket: Socket })._socket.write(bytes)
  }
  queues.clear()
}
