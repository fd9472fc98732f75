import { headOf, serveBareStomp } from './bare-stomp.ts'

// What most gateways do: `ws.send` for each client and message.

serveBareStomp((room, body) => {
  const frame = `${headOf(room, body)}${body}\0`
  for (const ws of room.subscribers) ws.send(frame)
})
