import type { Target } from './target.ts'
import { bus } from './targets/bus.ts'
import { config } from './targets/config.ts'
import { decoder } from './targets/decoder.ts'
import { envelope } from './targets/envelope.ts'
import { fetch } from './targets/fetch.ts'
import { flood } from './targets/flood.ts'
import { http } from './targets/http.ts'
import { json } from './targets/json.ts'
import { kafka } from './targets/kafka.ts'
import { loris } from './targets/loris.ts'
import { messageId } from './targets/message-id.ts'
import { messages } from './targets/messages.ts'
import { rooms } from './targets/rooms.ts'
import { session } from './targets/session.ts'
import { storms } from './targets/storms.ts'
import { websocket } from './targets/websocket.ts'

/** In process, and over sockets. */
export const targets: readonly Target[] = [
  ...[decoder, session, messageId, envelope, rooms, json, config, fetch],
  ...[messages, websocket, http, loris, flood, storms, bus, kafka]
]
