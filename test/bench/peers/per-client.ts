import { serveBareStomp } from './bare-stomp.ts'

// What most gateways do: `ws.send` for each client and message.

serveBareStomp((room, content) => {
  const frame = `${room.head}${content}\0`
  for (const ws of room.subscribers) ws.send(frame)
})
