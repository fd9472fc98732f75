import assert from 'node:assert/strict'
import { test } from 'node:test'
import { explainRoutes } from '../../src/check/explain.ts'
import { configOf } from './config-of.ts'

test('the way of a record is told in plain text: in, out, who may, what is kept', () => {
  const { routes } = configOf({
    auth: { mode: 'jwt', jwt: { secret: 'x' } },
    routes: {
      rooms: {
        topic: { name: 'chat', partitions: 3, replicationFactor: 1 },
        channel: 'chat:{room}',
        destination: '/sub/{room}',
        log: { size: 10, ttl: '90m' },
        history: { size: 5, maxAge: '1500ms', except: { type: ['ENTER', 'LEAVE'] } },
        allow: { send: { rooms: '{room}', role: ['admin', 'editor'] }, subscribe: 'anyone' },
        send: { http: 'POST /rooms', key: '{room}', partition: '{room} % 3', schema: true }
      },
      join: {
        send: {
          destination: '/pub/join',
          produce: [{ topic: 'chat', forEach: 'files' }, { topic: { name: 'audit', partitions: 1 } }]
        }
      },
      login: { topic: 'requests', send: { http: 'POST /login', reply: { topic: 'answers', timeout: '5s' } } }
    }
  })
  assert.deepEqual(explainRoutes(routes), [
    'route rooms',
    '  in      SEND /sub/{room}, POST /rooms → topic chat (3 partitions, 1 replica), key {room}, partition {room} % 3',
    '  send    who has rooms {room} and role admin or editor, if the body holds to its schema',
    '  out     topic chat (3 partitions, 1 replica) → channel chat:{room} → destination /sub/{room}',
    '  read    subscribe: anyone; history and resume: nobody',
    '  kept    of each channel the last 10 messages, until 90m after the last; history shows 5 not older than 1500ms, without type ENTER or LEAVE',
    'route join',
    '  in      SEND /pub/join → topic chat, one for each of files; topic audit (1 partition); all or none',
    '  send    nobody',
    'route login',
    '  in      POST /login → topic requests',
    '  answer  topic answers → who sent, within 5s',
    '  send    nobody'
  ])
})
