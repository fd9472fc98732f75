import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { contentTypeOf, decodeReply, encodeReply, replyChannelOf } from '../../src/reply.ts'

const REPLICA = '0f8fad5b-d9cb-469f-a165-70867728950e'
const ID = `${REPLICA}.7c9e6679-7425-40de-944b-e07fc1f90ae7`

describe('a reply on the bus', () => {
  for (const [what, headers, body] of [
    ['of text', 'x-이름:값\\c\ncontent-length:11\n', Buffer.from('안녕 👋')],
    ['of bytes', 'content-type:image/png\ncontent-length:5\n', Buffer.from([0, 10, 10, 255, 0])],
    ['of nothing', '', Buffer.alloc(0)]
  ] as const) {
    test(`${what} comes back as it was`, () => {
      assert.deepEqual(decodeReply(encodeReply({ id: ID, headers, body })), { id: ID, headers, body })
    })
  }

  test('is nothing else', () => {
    const whole = encodeReply({ id: ID, headers: 'a:b\n', body: Buffer.from('body') })
    assert.ok(decodeReply(whole))
    const text = whole.toString()
    const others = [
      ...['', '\n', 'hello', text.replace('R1', 'R2'), text.replace(' 4\n', ' 5\n'), text.replace(' 4\n', ' 99999\n')],
      ...[text.replace(' 4\n', ' -4\n'), text.replace('.', '-'), text.replace(REPLICA, REPLICA.toUpperCase())],
      ...[
        `${text.slice(0, 60)}`,
        text.replaceAll('\n', ' '),
        text.replace('a:b', 'a\0b'),
        `R1 ${'x'.repeat(73)} 4\na:b\n\nbody`
      ]
    ]
    for (const other of others) assert.equal(decodeReply(Buffer.from(other)), undefined, other)
  })

  test('goes to the channel of the replica that its id names, if it names one', () => {
    assert.equal(replyChannelOf(ID), `reply:${REPLICA}`)
    for (const other of ['', REPLICA, `${ID}0`, `x${ID}`, ID.replace('.', ':'), `${REPLICA}.`]) {
      assert.equal(replyChannelOf(other), undefined, other)
    }
  })
})

test('the content type of a reply is its own, if HTTP can say it', () => {
  const types = {
    'content-type:text/html;charset=utf-8\n': 'text/html;charset=utf-8',
    'a:b\ncontent-type:application/ld+json; profile="http\\c//x"\nc:d\n': 'application/ld+json; profile="http://x"',
    'content-type:text/plain\\nx\\c y\n': 'application/octet-stream',
    'content-type:글\n': 'application/octet-stream',
    'x-content-type:text/plain\n': 'application/octet-stream',
    '': 'application/octet-stream'
  }
  for (const [headers, type] of Object.entries(types)) {
    assert.equal(contentTypeOf({ id: ID, headers, body: Buffer.alloc(0) }), type, headers)
  }
})
