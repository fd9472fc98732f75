import { HOSTILE_NAMES, PROTOTYPE_NAMES, texts } from './corpus.ts'

const encoded = HOSTILE_NAMES.map(name => encodeURIComponent(name.toWellFormed()))
const post = (path: string, body: string) =>
  `POST ${path} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`

export const HTTP_REQUESTS = texts([
  ...[
    '/livez',
    '/readyz',
    '/metrics',
    '/openapi.json',
    '/',
    '/console/config',
    '/console/stats',
    '/nowhere',
    '/ws',
    '*'
  ].map(path => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`),
  ...encoded.map(name => `GET /history?destination=/sub/chat/room/${name}&limit=5 HTTP/1.1\r\nHost: a\r\n\r\n`),
  ...encoded.map(name => post(`/topic/${name}`, '{"a":1}')),
  ...HOSTILE_NAMES.map(name => post('/pub/chat', JSON.stringify({ roomId: name, type: 'TALK', [name]: name }))),
  'GET /history?destination=/topic/a&before=n1.5.oAAAAAAAA5&limit=200 HTTP/1.1\r\nHost: a\r\nIf-None-Match: W/"x", *\r\n\r\n',
  'GET /history?destination=a&destination=b&__proto__=c&constructor[a]=1 HTTP/1.1\r\nHost: a\r\n\r\n',
  'GET /console/..%2f..%2fpackage.json HTTP/1.1\r\nHost: a\r\n\r\n',
  'GET /console/%2e%2e/%2e%2e/server.ts HTTP/1.1\r\nHost: a\r\n\r\n',
  'POST /topic/a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nffffffff\r\nx\r\n0\r\n\r\n',
  'POST /topic/a HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n',
  'POST /topic/a HTTP/1.1\r\nHost: a\r\nContent-Length: 9999999999\r\nExpect: 100-continue\r\n\r\nx',
  `GET / HTTP/1.1\r\nHost: a\r\n${'X-A: b\r\n'.repeat(3000)}\r\n`,
  `GET /${'a/'.repeat(9000)} HTTP/1.1\r\nHost: a\r\n\r\n`,
  'OPTIONS * HTTP/1.1\r\nHost: a\r\nOrigin: null\r\nAccess-Control-Request-Method: x\r\n\r\n',
  'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
  'GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer a.b.c\r\nContent-Encoding: gzip\r\n\r\n'
])
export const HTTP_WORDS = texts([
  ...[
    '\r\n',
    '\r\n\r\n',
    '\n',
    '\0',
    ' ',
    '%',
    '%2F',
    '%00',
    '%ff',
    '..',
    '/',
    '?',
    '&',
    '=',
    '#',
    'HTTP/1.0',
    'HTTP/9.9'
  ],
  ...[
    'Content-Length: 0\r\n',
    'Content-Length: -1\r\n',
    'Transfer-Encoding: gzip, chunked\r\n',
    'Upgrade: websocket\r\n'
  ],
  ...[
    'Connection: Upgrade\r\n',
    'Host: b\r\n',
    'Origin: http://[\r\n',
    'X-\u00e9: 1\r\n',
    'Expect: x\r\n',
    'TRACE',
    'CONNECT'
  ],
  ...['a'.repeat(5000), 'X-A: b\r\n'.repeat(100), ...PROTOTYPE_NAMES, ...encoded]
])
