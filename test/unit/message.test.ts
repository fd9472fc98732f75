import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { encodeMessageId, MESSAGE_ID_SOURCES, parseMessageId, sourceTag } from '../../src/message/id.ts'
import {
  bodyOf,
  decodeMessage,
  type Entry,
  encodeEntry,
  envelopeHead,
  headersOf,
  type Position,
  topicOf
} from '../../src/message.ts'

const epoch = fc.stringMatching(/^[A-Za-z0-9]{1,24}$/)
const position: fc.Arbitrary<Position> = fc.record(
  { epoch, seq: fc.integer({ min: 1, max: 1e14 }) },
  { noNullPrototype: true }
)
const source = fc
  .tuple(fc.string({ minLength: 1, maxLength: 20 }), fc.stringMatching(/^[\w.-]{1,20}$/), fc.nat(999), epoch)
  .map(([group, topic, partition, inc]) => `${encodeURIComponent(group.toWellFormed())}/${topic}/${partition}~${inc}`)
const coordinate = fc.record({ source, offset: fc.maxSafeNat() }, { noNullPrototype: true })
const headers = fc
  .array(
    fc.tuple(
      fc.stringMatching(/^x-[a-z]{1,8}$/),
      fc.string({ unit: 'grapheme' }).map(text => text.replace(/[\r\n:\\]/g, ''))
    )
  )
  .map(lines => lines.map(([name, value]) => `${name}:${value}\n`).join(''))
const entry: fc.Arbitrary<Entry> = fc
  .record({
    coordinate,
    timestampMs: fc.nat(4e12),
    hidden: fc.boolean(),
    headers,
    body: fc.uint8Array({ maxLength: 60 }).map(bytes => Buffer.from(bytes))
  })
  .map(({ headers, ...rest }) => ({ ...rest, headers: `${headers}content-length:${rest.body.length}\n` }))

const envelope = (at: Position, of: Entry, omitBody?: boolean) =>
  Buffer.concat([Buffer.from(envelopeHead(at)), encodeEntry(of, omitBody)])

describe('an envelope', () => {
  test('decodes to what was encoded', () => {
    fc.assert(
      fc.property(position, entry, fc.boolean(), (at, of, omitBody) => {
        const message = decodeMessage(envelope(at, of, omitBody))
        assert.deepEqual(message.position, at)
        assert.deepEqual(message.coordinate, of.coordinate)
        assert.deepEqual([message.timestampMs, message.hidden, message.omitted], [of.timestampMs, of.hidden, omitBody])
        assert.equal(headersOf(message).toString(), of.headers)
        assert.deepEqual(bodyOf(message), omitBody ? Buffer.alloc(0) : of.body)
      })
    )
  })

  test('that is cut anywhere in its head is a plain message, never half of one', () => {
    fc.assert(
      fc.property(position, entry, fc.nat(), (at, of, cut) => {
        const whole = envelope(at, of)
        const head = whole.length - of.body.length
        const payload = whole.subarray(0, cut % head)
        const message = decodeMessage(payload, () => 5)
        assert.equal(message.position, undefined)
        assert.deepEqual(bodyOf(message), Buffer.from(payload))
      })
    )
  })

  test('that is none is a plain message with the payload as its body', () => {
    for (const payload of [
      '',
      'hello',
      'B1 ',
      'B1 e 1 g/t/0~i 1 1 - 0\nno blank line',
      'B1 e 1 g/t/0~i 9999999999999999 1 - 0\n\n',
      'B1 e 1 g/t/0~i 1 8640000000000001 - 1\n\n\n'
    ]) {
      const message = decodeMessage(Buffer.from(payload), () => 5)
      assert.equal(message.position, undefined, payload)
      assert.equal(message.timestampMs, 5)
      assert.equal(`${headersOf(message)}\n${bodyOf(message)}`, `content-length:${payload.length}\n\n${payload}`)
    }
  })

  test('of any bytes decodes to something, with all of them in it or as an envelope', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), bytes => {
        assert.deepEqual(bodyOf(decodeMessage(Buffer.from(bytes))), Buffer.from(bytes))
      })
    )
  })
})

describe('a message-id', () => {
  const vector = fc.uniqueArray(coordinate, { selector: ({ source }) => sourceTag(source), maxLength: 12 })

  test('parses to the position and the vector it was made of, and stays within 256 bytes', () => {
    fc.assert(
      fc.property(fc.option(position, { nil: undefined }), vector, fc.boolean(), (at, coordinates, hasOwn) => {
        const own = hasOwn ? coordinates[0] : undefined
        const id = encodeMessageId(at, own, new Map(coordinates.map(({ source, offset }) => [source, offset])))
        assert.match(id, /^[A-Za-z0-9._-]{1,256}$/)
        const point = parseMessageId(id)
        assert.ok(point)
        assert.deepEqual(point.position, at)
        assert.deepEqual(point.own, own && { tag: sourceTag(own.source), offset: own.offset })
        assert.equal(point.complete, coordinates.length <= MESSAGE_ID_SOURCES)
        const named = coordinates
          .slice(0, MESSAGE_ID_SOURCES)
          .map(({ source, offset }) => [sourceTag(source), offset] as const)
        assert.deepEqual(point.vector, new Map(named))
      })
    )
  })

  test('that could not have been made is not parsed', () => {
    const tag = sourceTag('g/t/0~i')
    const made = `e1.5.o${tag}3.v${sourceTag('g/t/1~i')}4`
    assert.ok(parseMessageId(made))
    assert.ok(parseMessageId(`${made}.x.p7`))
    const forged = [
      '',
      'x',
      'e1',
      'e1.-5',
      'e1.05',
      `e1.5.o${tag}`,
      `e1.5.o${tag}x`,
      `e1.5.o${tag}3.o${tag}3`,
      `e1.5.v${tag}3.v${tag}4`,
      `${made}.y`,
      `${made} `,
      `${made}\n`,
      `e1.5.o${tag}9999999999999999`,
      `e1.5${`.v${tag}1`.repeat(30)}`
    ]
    for (const id of forged) assert.equal(parseMessageId(id), undefined, id)
  })

  test('any text parses to nothing or to a point, and does so in time', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom('.', 'o', 'v', 'x', 'p', '-', '1', 'A', '0'), maxLength: 300 }),
        text => {
          const point = parseMessageId(text)
          if (point) assert.ok(point.vector.size <= MESSAGE_ID_SOURCES)
        }
      )
    )
  })
})

test('a source names its topic', () => {
  assert.equal(topicOf('a%2Fgroup/chat.rooms/3~i1'), 'chat.rooms')
})
