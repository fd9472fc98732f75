// Good inputs and evil ones. What fuzzing changes begins here.

/** `^@` stands for NUL. */
const frame = (text: string): Buffer => Buffer.from(text.replaceAll('^@', '\0'))
export const texts = (list: readonly string[]): Buffer[] => list.map(text => Buffer.from(text))

/** Names that every object inherits, and what they may reach. */
export const PROTOTYPE_NAMES = ['__proto__', 'constructor', 'hasOwnProperty', 'toString', 'prototype', 'valueOf']

/** Names of rooms that want to be elsewhere. */
export const HOSTILE_NAMES = [
  ...PROTOTYPE_NAMES,
  ...['{a}', '{', '}', '{}', '{roomId}', '{+key}', '}{', '{1}:2', 'a:b', ':', '::', '/', '//', '..', '.', '../b'],
  ...['a/../b', '%2F', '%2f', '%25', '%', '%%', '%00', '\0', '\n', '\r\n', '\t', ' ', '\x7f', '*', '?', '[a-z]', '\\'],
  ...['1', '1:', ':1', '1 ', '１', 'é', 'e\u0301', '\ufeff1', '\u202e1', '😀', '\ud83d', 'baton:fence', 'log:1'],
  ...['a'.repeat(256), 'a'.repeat(257), '한'.repeat(85), '한'.repeat(86), 'undefined', 'null', 'NaN', '-0', '1e21']
]

export const FRAME_WORDS = texts([
  ...['SEND\n', 'SUBSCRIBE\n', 'ACK\n', 'BEGIN\n', 'COMMIT\n', 'ABORT\n', 'DISCONNECT\n', 'CONNECT\n', '\n\n', '\0'],
  ...[
    '\r\n',
    '\r',
    '\\c',
    '\\r',
    '\\n',
    '\\\\',
    '\\t',
    '\\',
    'content-length:',
    'content-length:1\n',
    'transaction:t1\n'
  ],
  ...['receipt:r\n', 'destination:/topic/a\n', 'id:0\n', 'ack:client\n', 'ack:client-individual\n', 'history:3\n'],
  ...['last-message-id:', 'last-message-id:0.0\n', 'accept-version:1.0,1.1,1.2\n', 'heart-beat:1,1\n', 'a:b\n'],
  ...['\ud83d\ude00', '\xff\xfe', 'x'.repeat(1000), 'a:1\n'.repeat(40), '\n'.repeat(100)],
  ...PROTOTYPE_NAMES.flatMap(name => [name, `${name}:1\n`])
])

/** What a session takes: each run of them is good, a name used twice apart. */
export const FRAMES = [
  'SUBSCRIBE\nid:0\ndestination:/topic/a\nreceipt:1\n\n^@SEND\ndestination:/topic/a\nreceipt:2\n\nhello^@UNSUBSCRIBE\nid:0\n\n^@',
  'BEGIN\ntransaction:t1\n\n^@SEND\ntransaction:t1\ndestination:/topic/a\n\n1^@COMMIT\ntransaction:t1\nreceipt:c\n\n^@',
  'BEGIN\ntransaction:t1\n\n^@BEGIN\ntransaction:t2\n\n^@ABORT\ntransaction:t1\n\n^@COMMIT\ntransaction:t2\n\n^@',
  'SEND\ndestination:/pub/chat/message\ncontent-type:application/json\n\n{"type":"TALK","roomId":"1"}^@',
  'SUBSCRIBE\nid:h\ndestination:/topic/a\nhistory:5\nack:client-individual\n\n^@UNSUBSCRIBE\nid:h\n\n^@',
  'SUBSCRIBE\nid:n\ndestination:/sub/chat/room/a%2F%7B%7D*\n\n^@UNSUBSCRIBE\nid:n\n\n^@',
  'SEND\ndestination:/topic/a\ncontent-length:5\n\na\0b\0c^@',
  'SEND\ndestination:/topic/a\n__proto__:1\nconstructor:2\nhasOwnProperty:3\n__proto__:4\n\nx^@',
  'SEND\ndestination:/topic/한국/😀\nx:é\n\n한국어 본문 😀^@',
  'SEND\ndestination:/topic/a\nx:1\n\n^@\n\n\r\n\n'
].map(frame)

export const EVIL_FRAMES = [
  'CONNECT\naccept-version:1.0,1.1,1.2\nheart-beat:0,0\n\n^@',
  'STOMP\naccept-version:1.1\nhost:a\nlogin:me\npasscode:p\n\n^@',
  'SUBSCRIBE\nid:0\ndestination:/sub/chat/room/1\nack:client\n\n^@ACK\nid:x.1\n\n^@NACK\nid:x.1\n\n^@',
  'SUBSCRIBE\nid:r\ndestination:/topic/a\nlast-message-id:n1.5.oAAAAAAAA5.vBBBBBBBB7\nreceipt:3\n\n^@',
  'SUBSCRIBE\nid:q\ndestination:/temp-queue/a\n\n^@SEND\ndestination:/topic/a\nreply-to:/temp-queue/a\n\nx^@',
  'SEND\ndestination:/pub/chat/message\n\n{"type":"TALK","roomId":{"__proto__":1}}^@',
  'SEND\r\ndestination:/topic/a\r\nx:\\r\\n\\c\\\\\r\n\r\nx^@\r\n\n\r\n',
  'SEND\ndestination:/sub/a/../b\n\n^@SUBSCRIBE\nid:1\ndestination:/sub/chat/room/{1}\n\n^@',
  'DISCONNECT\nreceipt:bye\n\n^@SEND\ndestination:/topic/a\n\nlate^@',
  'MESSAGE\nsubscription:0\nmessage-id:1\ndestination:/topic/a\n\nforged^@ERROR\nmessage:x\n\n^@',
  'SEND\ndestination:/topic/a\ncontent-length:99999999999999\n\nx^@',
  `SEND\ndestination:/topic/a\n${'h:1\n'.repeat(70)}\nx^@`,
  `SEND\ndestination:/topic/a\nlong:${'x'.repeat(9000)}\n\nx^@`,
  `SEND\ndestination:/topic/a\n\n${'x'.repeat(6000)}^@`,
  '\n\n\n\r\n\n^@\n'
].map(frame)

export const MESSAGE_IDS = texts([
  ...[
    '0.0',
    '0.0.x',
    'n1a2.5',
    'n1.1.oAAAAAAAA5',
    'e.7.oAAAAAAAA5.vBBBBBBBB6.x.p3',
    'n1.1.vAAAAAAAA-1',
    'n1.1.vAAAAAAAA-2',
    'n1.0.p1'
  ],
  ...[`n.1${'.vAAAAAAA0'.repeat(9)}`, 'n1.999999999999999.oAAAAAAAA9007199254740993', '0.0.p', '.', '..', 'a.b', '']
])
export const MESSAGE_ID_WORDS = texts([
  '.',
  '.x',
  '.p1',
  '.o',
  '.v',
  '-1',
  '-',
  '_',
  'AAAAAAAA',
  '0.0',
  ...PROTOTYPE_NAMES
])

export const ENVELOPES = texts([
  'B1 n1 1 g/t/0~i1 5 1700000000000 - 17\ncontent-length:2\n\nhi',
  'B1 n1 2 g/t/0~i1 6 0 h 31\nx:\\c\\n\\\\\\r\na:b\ncontent-length:0\n\n',
  'B1 n1 3 g/t/0~l2 9007199254740991 9999999999999999 ho 1\n\n\n',
  'B1 Zz9 999999999999999 g%3A/t.x/11~abc 0 8640000000000001 o 5\na:b\n\n\n',
  'B1 n1 1 g/t/0~i1 5 1 - 12\na:1\0\n\nb:2\n\n\nhi',
  'B2 n1 1 g/t/0~i1 5 1 - 1\n\n\n',
  ...['B1', 'B1 ', 'plain text of another program', '', '\0', '{"a":1}', 'subscription:0\n\n']
])
export const ENVELOPE_WORDS = texts([
  'B1 ',
  ' - ',
  ' h ',
  ' ho ',
  '\n\n',
  '\0',
  'content-length:9\n',
  ' 0 ',
  '~',
  '/',
  ' '
])

/** Of an envelope: what clients may have; then what some reader takes for the server's own, and what is no line at all. */
export const HEADER_LINES = texts([
  'content-type:text/plain\n',
  'x:\\c\\n\\\\\\r\n',
  'x-이름:값\n',
  'constructor:1\n',
  'x-content-length:5\n',
  'y:\n'
])
export const EVIL_HEADER_LINES = texts([
  ...['', '01', ' 1', '1x', '1'].map(length => `content-length:${length}\n`),
  ...['Content-Length', '\ufeffcontent-length', ' content-length', '\\rcontent-length'].map(name => `${name}:1\n`),
  ...['subscription', 'message-id', 'destination', 'ack', 'gap', 'ack\\c', '\u00a0subscription'].map(
    name => `${name}:0\n`
  ),
  ...['\n', '\r\n', '\0', '\0\n', 'x\n', ':x\n', 'x:1:2\n', 'x:a\rb\n', 'x:\\t\n', 'x:\\\n', 'x:1', 'x:\n\nbody\0'],
  ...['\0MESSAGE\nsubscription:0\n\n', `x:${'y'.repeat(5000)}\n`, 'a:1\n'.repeat(500)]
])
export const BODIES = texts([
  '',
  'x',
  'a body of its own',
  'x\0MESSAGE\nsubscription:0\nmessage-id:1\ndestination:/topic/b\n\nforged\0',
  '\n\n\0',
  ':\n\n\0'
])

export const JSONS = texts([
  '{"type":"TALK","roomId":"1","message":"hi","sender":"me"}',
  '{"type":"ENTER","roomId":1e400,"message":12345678901234567890,"sender":-0}',
  '{"__proto__":{"roomId":"2"},"constructor":{"prototype":{}},"roomId":"1","type":"TALK"}',
  '{"items":[{"id":"a","user":{"id":1}},{"id":"b"},null,1,[],{}],"roomId":"1"}',
  '{"roomId":"1","roomId":"2","type":"TALK"}',
  '{"roomId":{"a":1},"type":["TALK"]}',
  '[{"roomId":"1"}]',
  '{"a":{"b":{"c":{"d":"deep"}}},"roomId":"\\ud800","type":"TALK"}',
  '"text"',
  'null',
  '',
  `${'['.repeat(10_000)}${']'.repeat(10_000)}`,
  `${'{"a":'.repeat(10_000)}1${'}'.repeat(10_000)}`,
  `{"roomId":"1","type":"TALK","items":[${'['.repeat(10_000)}${']'.repeat(10_000)}]}`,
  `{"roomId":"1","type":"TALK","message":${'{"x":'.repeat(10_000)}12345678901234567890${'}'.repeat(10_000)}}`
])
export const JSON_WORDS = texts([
  ...['{', '}', '[', ']', '"', ':', ',', 'null', 'true', '1e999', '-0', '12345678901234567890', '0.1e-7', '\\u0000'],
  ...['\\ud800', '"roomId":', '"items":', '"type":"TALK"', '[[[[[[[[', '{"a":', '\ufeff', '"id":"x"', '" "'],
  ...PROTOTYPE_NAMES.map(name => `"${name}":`),
  ...HOSTILE_NAMES.map(name => JSON.stringify(name))
])

const ROUTE = 'topic: t, channel: "c:{x}", destination: "/s/{x}"'
const nested = (depth: number) => '['.repeat(depth) + ']'.repeat(depth)

export const CONFIGS = texts([
  `routes: {a: {${ROUTE}}}`,
  `routes: {a: {${ROUTE}, message: {body: {m: "{x}"}}, send: {destination: "/p/{x}", set: {at: "{now}"}}}}`,
  `auth: {mode: users, users: [{login: a, passcode: b, claims: {r: [x]}}]}\nroutes: {a: {${ROUTE}, allow: {send: {r: "{x}"}}}}`,
  `a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b]\nd: [*c,*c,*c,*c,*c,*c]\n`,
  `routes: {a: {${ROUTE}, message: {body: &a [*a]}}}`,
  `routes: {a: {${ROUTE}, message: {body: *nowhere}}}`,
  `auth: {mode: users, users: [{login: a, passcode: b, claims: &c {x: *c}}]}\nroutes: {a: {${ROUTE}}}`,
  `routes: {a: {${ROUTE}, message: {body: ${nested(10_000)}}}}`,
  `routes: {a: {${ROUTE}, message: {body: ${nested(1000)}}}}`,
  `auth: {users: [{login: a, passcode: b, claims: {x: ${nested(3000)}}}]}\nroutes: {a: {${ROUTE}}}`,
  `routes: {a: {topic: t, channel: "${'c'.repeat(8000)}:{x}", destination: "/s/{x}"}, b: {topic: t, channel: "${'c'.repeat(8000)}:{x}", destination: "/r/{x}"}}`,
  `routes: {a: {topic: t, channel: "${'{x}:'.repeat(1000)}", destination: "/s/{x}"}}`,
  `__proto__: {a: 1}\nconstructor: 1\nroutes: {__proto__: {${ROUTE}}, hasOwnProperty: {${ROUTE}}}`,
  `routes: {a: {${ROUTE}, send: {schema: {$ref: "#"}, destination: "/p/{x}"}}}`,
  `routes: {a: {${ROUTE}, send: {schema: {pattern: "("}, destination: "/p/{x}"}}}`,
  `routes: {a: {${ROUTE}, send: {schema: &s {properties: {x: *s}}, destination: "/p/{x}"}}}`,
  `"${'x'.repeat(900)}": 1\n`,
  ...[
    '<<: *x',
    '!!binary a: 1',
    '? {a: 1}\n: 1',
    '!!set {a, b}',
    'a: 1\n---\nb: 2',
    '%YAML 9.9\n---\n',
    '- 1',
    '1',
    ''
  ],
  'http: {port: 99999999999999999999, host: 2020-01-01}\nroutes: {}'
])
export const CONFIG_WORDS = texts([
  ...['&a ', '*a', '<<: ', '!!', '? ', '- ', ': ', '{', '}', '[', ']', '"', "'", '|\n', '>\n', '\n  ', '\t', '#', '%'],
  ...['null', '~', '1e999', '0x10', '.nan', 'true', '{x}', '{+x}', '{key}', '{headers.a}', '{x', '9d', '0ms', '[[[['],
  ...['POST /a/{x}', 'send: {http: "POST /{x}"}', 'schema: {$ref: "#/x"}', '{x} % 3', 'anyone', ...PROTOTYPE_NAMES]
])
