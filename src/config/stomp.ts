import { Type } from 'typebox'
import { group, integer } from './types.ts'

const MIB = 1024 * 1024

export const StompSettings = group('STOMP over WebSocket.', {
  paths: Type.Array(Type.String({ pattern: '^/', allowed: 'a path that begins with /' }), {
    default: ['/ws'],
    minItems: 1,
    uniqueItems: true,
    description: 'Paths that take WebSockets.'
  }),
  maxBodyBytes: integer(MIB, [1], 'The largest body of a frame, bytes.'),
  maxHeaders: integer(64, [1], 'The most headers of a frame.'),
  maxHeaderBytes: integer(16_384, [256], 'The most bytes of all headers of a frame.'),
  maxSockets: integer(50_000, [1], 'The most WebSockets of this replica.'),
  maxSessionsPerAddress: integer(
    10_000,
    [0],
    'The most WebSockets of this replica from one IPv4 address or one /64 of IPv6; 0: no bound.'
  ),
  maxSessionsPerPrincipal: integer(
    100,
    [0],
    'The most sessions on this replica of one principal; guests count by address only; 0: no bound.'
  ),
  maxSubscriptions: integer(1000, [1], 'The most subscriptions of a session.'),
  heartBeatMs: integer(10_000, [0], 'Heart-beat offered and asked for, milliseconds; 0: none.'),
  connectTimeoutMs: integer(10_000, [1], 'Time for CONNECT to come, milliseconds.'),
  ackWindow: integer(256, [1], 'Messages a client may leave unacknowledged before it counts as slow.'),
  sendQueueBytes: integer(8 * MIB, [65_536], 'Bytes that may wait for one slow client; past it the session is closed.'),
  sendQueueAgeMs: integer(
    30_000,
    [100],
    'How long a byte may wait for one slow client, milliseconds; past it the session is closed.'
  ),
  sendQueuesBytes: integer(
    0,
    [0],
    'Bytes that may wait for all slow clients of this replica; past it the longest queues are closed; 0: a quarter of the memory that the process may use.'
  ),
  maxPendingFrames: integer(128, [1], 'Frames of one session that may wait; past it its socket is paused.'),
  maxTransactions: integer(16, [1], 'Open transactions of a session.'),
  transactionBytes: integer(4 * MIB, [1], 'Bytes that the open transactions of a session may hold.'),
  sendsPerSecond: integer(
    1000,
    [0],
    'SENDs of a session, or POSTs of a principal (a guest: of an address), each second on average; 0: no bound.'
  ),
  sendBurst: integer(5000, [1], 'The same at once, after a while without any.'),
  flushMs: integer(
    0,
    [0, 5],
    'How long messages are gathered under load before they are sent, milliseconds; 0: one tick.'
  )
})
