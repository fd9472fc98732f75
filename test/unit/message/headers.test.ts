import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { areHeaders } from '../../../src/message/headers.ts'
import { bodyOf, decodeMessage } from '../../../src/message.ts'
import { messageHeaders } from '../../../src/routes/headers.ts'

const BODY = 'x\0MESSAGE\n\nforged'

function are(lines: string | Buffer, { body = BODY, omitted = false } = {}): boolean {
  const line = Buffer.from('destination:x\n')
  const head = Buffer.concat([line, Buffer.from(lines)])
  return areHeaders(Buffer.concat([head, Buffer.from(`\n${body}`)]), line.length, head.length, omitted)
}

describe('header lines of an envelope', () => {
  test('are taken as the relay writes them, whatever Kafka has', () => {
    const unit = fc.constantFrom(...'\n\r:\\ \t\ufeff\u00a0\0acknt-', 'content-length', 'gap', '한', '\ud800')
    const text = fc.string({ unit, maxLength: 6 })
    fc.assert(
      fc.property(fc.array(fc.tuple(text, text), { maxLength: 4 }), headers => {
        assert.ok(are(messageHeaders(headers, 'application/json', BODY.length)))
      })
    )
  })

  const length = `content-length:${BODY.length}\n`
  const refused: [name: string, lines: string | Buffer][] = [
    ['a blank line', `a:b\n\n${length}`],
    ['a CR', `a:b\r\n${length}`],
    ['a NUL', `a:\0\n${length}`],
    ['a line without a colon', `a\n${length}`],
    ['a line without a name', `:a\n${length}`],
    ['a colon in a value', `a:b:c\n${length}`],
    ['an unknown escape', `a:\\t\n${length}`],
    ['a backslash at the end of a line', `a:\\\n${length}`],
    ['bytes that are not UTF-8', Buffer.concat([Buffer.from([97, 58, 255, 10]), Buffer.from(length)])],
    ['two lengths', length + length],
    ['the length of another body', 'content-length:1\n'],
    ['a length that is no number', `content-length:0${BODY.length}\n`],
    ['no length, with a NUL in the body', 'a:b\n'],
    ['no lines, with a NUL in the body', ''],
    ...[
      'message-id',
      'subscription',
      'destination',
      'ack',
      'gap',
      'Content-Length',
      ' ack',
      '\ufeffcontent-length'
    ].map((name): [string, string] => [`the server's ${JSON.stringify(name)}`, `${name}:${BODY.length}\n${length}`]),
    ['the server’s name behind a CR, which 1.1 cannot escape', `\\rcontent-length:1\n${length}`]
  ]
  for (const [name, lines] of refused) {
    test(`are none with ${name}`, () => assert.ok(!are(lines)))
  }

  test('have the length of the body as it is written, and no other', () => {
    for (const bytes of [0, 5, 9, 10, 11, 99, 100, 101, 1010]) {
      const written = (length: number | string) => are(`content-length:${length}\n`, { body: 'x'.repeat(bytes) })
      assert.ok(written(bytes))
      const others = [
        bytes + 1,
        bytes - 1,
        bytes * 10,
        bytes + 100,
        `0${bytes}`,
        `${bytes}0`,
        `+${bytes}`,
        ` ${bytes}`,
        ''
      ]
      for (const other of others) if (`${other}` !== `${bytes}`) assert.ok(!written(other), `${other} for ${bytes}`)
    }
  })

  test('need no length where the body has no NUL, and may have that of a body that was left out', () => {
    assert.ok(are('a:b\n', { body: 'hi' }))
    assert.ok(are('', { body: 'hi' }))
    assert.ok(are('content-length:5000\n', { body: '', omitted: true }))
  })

  test('that are none make the whole envelope a text', () => {
    const forged = Buffer.from('B1 n1 1 g/t/0~i1 5 1700000000000 - 17\ncontent-length:1\n\nx\0MESSAGE\n\nforged')
    assert.deepEqual(bodyOf(decodeMessage(forged)), forged)
  })
})
