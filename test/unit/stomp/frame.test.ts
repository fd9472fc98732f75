import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { BatonError, type ErrorCode } from '../../../src/errors.ts'
import { createDecoder, type DecoderLimits } from '../../../src/stomp/decoder.ts'
import { encodeFrame, type Frame, translateHeaders, VERSIONS, type Version } from '../../../src/stomp/frame.ts'

const LIMITS: DecoderLimits = { maxHeaders: 8, maxHeaderBytes: 1000, maxBodyBytes: 5000 }

function decode(version: Version | undefined, ...chunks: (string | Buffer)[]): Frame[] {
  const decoder = createDecoder(LIMITS)
  decoder.version = version
  const frames: Frame[] = []
  for (const chunk of chunks) {
    decoder.push(Buffer.from(chunk))
    for (let frame = decoder.next(); frame; frame = decoder.next()) frames.push(frame)
  }
  return frames
}

function headersOf(version: Version | undefined, text: string): Record<string, string> {
  const [frame] = decode(version, text)
  assert.ok(frame)
  return Object.fromEntries(frame.headers)
}

function refuses(version: Version | undefined, code: ErrorCode, ...chunks: (string | Buffer)[]): void {
  assert.throws(
    () => decode(version, ...chunks),
    error => error instanceof BatonError && error.code === code && error.detail !== ''
  )
}

describe('the grammar of frames', () => {
  test('F1 a frame is a command, headers, a blank line, a body and a NUL', () => {
    const [frame] = decode('1.2', 'SEND\na:1\nb:2\n\nhello\0')
    assert.equal(frame?.command, 'SEND')
    assert.deepEqual(
      [...(frame?.headers ?? [])],
      [
        ['a', '1'],
        ['b', '2']
      ]
    )
    assert.equal(String(frame?.body), 'hello')
  })

  test('F1 lines may end in CRLF in 1.2 and before a version is agreed on', () => {
    for (const version of ['1.2', undefined] as const) {
      const [frame] = decode(version, 'SEND\r\na:1\r\n\r\nhe\r\nllo\0')
      assert.equal(frame?.command, 'SEND')
      assert.deepEqual(Object.fromEntries(frame.headers), { a: '1' })
      assert.equal(String(frame.body), 'he\r\nllo')
    }
  })

  test('F1 in 1.0 and 1.1 lines end in LF only and a CR is data', () => {
    assert.deepEqual(headersOf('1.1', 'SEND\na:1\r\n\n\0'), { a: '1\r' })
    refuses('1.1', 'MALFORMED_FRAME', 'SEND\r\na:1\r\n\r\n\0')
    refuses('1.0', 'MALFORMED_FRAME', 'SEND\r\na:1\r\n\r\n\0')
  })

  test('F1 a CR that no LF follows is refused in 1.2', () => {
    refuses('1.2', 'MALFORMED_FRAME', 'SEND\na:1\r2\n\n\0')
    refuses('1.2', 'MALFORMED_FRAME', '\rSEND\n\n\0')
  })

  test('F1 a NUL before the blank line is refused', () => {
    refuses('1.2', 'MALFORMED_FRAME', 'DISCONNECT\nreceipt:1\0')
    refuses('1.2', 'MALFORMED_FRAME', 'DISC', 'ONNECT\0\n\n\0')
  })

  test('F2 commands and header names keep their case, and must be UTF-8', () => {
    const [frame] = decode('1.2', 'send\nKey:1\nkey:2\n\n\0')
    assert.equal(frame?.command, 'send')
    assert.deepEqual(Object.fromEntries(frame.headers), { Key: '1', key: '2' })
    refuses('1.2', 'MALFORMED_FRAME', Buffer.from([...Buffer.from('SEND\na:'), 0xff, 10, 10, 0]))
    refuses('1.2', 'MALFORMED_FRAME', Buffer.from([0xc3, ...Buffer.from('SEND\n\n\0')]))
  })

  test('F3 1.2 unescapes \\r \\n \\c \\\\ in names and values', () => {
    assert.deepEqual(headersOf('1.2', 'SEND\na\\cb:1\\r\\n\\\\n\\c2\n\n\0'), { 'a:b': '1\r\n\\n:2' })
  })

  test('F3 an escape that the version does not define is refused', () => {
    for (const bad of ['\\t', '\\', 'x\\:', '\\R']) refuses('1.2', 'MALFORMED_FRAME', `SEND\na:${bad}\n\n\0`)
    refuses('1.2', 'MALFORMED_FRAME', 'SEND\na\\t:1\n\n\0')
  })

  test('F3 1.1 knows no \\r', () => {
    assert.deepEqual(headersOf('1.1', 'SEND\na:1\\n\\\\\\c2\n\n\0'), { a: '1\n\\:2' })
    refuses('1.1', 'MALFORMED_FRAME', 'SEND\na:\\r\n\n\0')
  })

  test('F3 1.0 unescapes nothing, and neither do CONNECT and STOMP', () => {
    assert.deepEqual(headersOf('1.0', 'SEND\na:\\n\\t\\\n\n\0'), { a: '\\n\\t\\' })
    for (const command of ['CONNECT', 'STOMP']) {
      for (const version of [undefined, '1.2'] as const) {
        assert.deepEqual(headersOf(version, `${command}\npasscode:a\\cb\\t\n\n\0`), { passcode: 'a\\cb\\t' })
      }
    }
  })

  test('F4 what is sent is escaped as its version asks, CONNECTED never', () => {
    const line = (version: Version, command = 'MESSAGE') =>
      String(encodeFrame(version, command, [['a:b', '\\ \r \n :']])).split('\n')[1]
    assert.equal(line('1.2'), 'a\\cb:\\\\ \\r \\n \\c')
    assert.equal(line('1.1'), 'a\\cb:\\\\ \r \\n \\c')
    assert.equal(String(encodeFrame('1.2', 'CONNECTED', [['x', '\\ :']])), 'CONNECTED\nx:\\ :\n\n\0')
    assert.equal(String(encodeFrame('1.0', 'MESSAGE', [['x', '\\ :']])), 'MESSAGE\nx:\\ :\n\n\0')
  })

  test('F4 where nothing can be escaped no value opens a line of its own', () => {
    assert.equal(
      String(
        encodeFrame('1.0', 'MESSAGE', [
          ['a', '1\nb:2'],
          ['c\n', '3'],
          ['d:e', '4']
        ])
      ),
      'MESSAGE\na:1 b:2\n\n\0'
    )
    assert.equal(
      String(encodeFrame('1.2', 'CONNECTED', [['user-name', 'x\r\ny:z\0']])),
      'CONNECTED\nuser-name:x  y:z \n\n\0'
    )
  })

  test('F5 header values are neither trimmed nor padded, and may be empty', () => {
    assert.deepEqual(headersOf('1.2', 'SEND\na: v \n b :\n\n\0'), { a: ' v ', ' b ': '' })
    assert.equal(String(encodeFrame('1.2', 'X', [['a', ' v ']])), 'X\na: v \n\n\0')
  })

  test('F6 the first colon splits a header; a colon in a value is tolerated', () => {
    assert.deepEqual(headersOf('1.2', 'SEND\ndestination:/topic/a:b\n\n\0'), { destination: '/topic/a:b' })
  })

  test('F6 a header line without a colon or a name is refused', () => {
    refuses('1.2', 'MALFORMED_FRAME', 'SEND\nnonsense\n\n\0')
    refuses('1.2', 'MALFORMED_FRAME', 'SEND\n:value\n\n\0')
  })

  test('F7 of a repeated header the first counts', () => {
    assert.deepEqual(headersOf('1.2', 'SEND\na:1\na:2\n\n\0'), { a: '1' })
  })

  test('F8 content-length octets are the body, NULs included', () => {
    const [frame, next] = decode('1.2', 'SEND\ncontent-length:5\n\na\0b\0c\0SEND\ncontent-length:0\n\n\0')
    assert.equal(String(frame?.body), 'a\0b\0c')
    assert.equal(next?.body.length, 0)
  })

  test('F8 the octet after the body must be NUL', () => {
    refuses('1.2', 'MALFORMED_FRAME', 'SEND\ncontent-length:2\n\nabc\0')
  })

  test('F8 a content-length that is no number of octets is refused', () => {
    for (const bad of ['-1', 'x', '', ' 1', '1.5', '0x1']) {
      refuses('1.2', 'MALFORMED_FRAME', `SEND\ncontent-length:${bad}\n\n\0`)
    }
  })

  test('F8 without content-length the body ends at the first NUL', () => {
    assert.deepEqual(
      decode('1.2', 'SEND\n\na', 'b', '\0SEND\n\n\0').map(({ body }) => String(body)),
      ['ab', '']
    )
  })

  test('F8 a body is sent with its content-length', () => {
    assert.equal(String(encodeFrame('1.2', 'ERROR', [], Buffer.from('é'))), 'ERROR\ncontent-length:2\n\né\0')
  })

  test('F10 a body is opaque bytes', () => {
    const bytes = Buffer.from([0xff, 0xfe, 13, 10, 0xc3])
    assert.deepEqual(decode('1.2', Buffer.concat([Buffer.from('SEND\n\n'), bytes, Buffer.of(0)]))[0]?.body, bytes)
  })

  test('F12 too many headers, too long ones and too large a body are refused', () => {
    const headers = (count: number) => Array.from({ length: count }, (_, i) => `h${i}:1\n`).join('')
    assert.equal(decode('1.2', `SEND\n${headers(8)}\n\0`).length, 1)
    refuses('1.2', 'TOO_MANY_HEADERS', `SEND\n${headers(9)}\n\0`)
    refuses('1.2', 'FRAME_TOO_LARGE', `SEND\na:${'x'.repeat(1000)}\n\n\0`)
    assert.equal(decode('1.2', `SEND\n\n${'x'.repeat(5000)}\0`).length, 1)
    refuses('1.2', 'FRAME_TOO_LARGE', `SEND\n\n${'x'.repeat(5001)}\0`)
  })

  test('F12 a limit is told as soon as it shows, before the rest comes', () => {
    refuses('1.2', 'FRAME_TOO_LARGE', 'SEND\ncontent-length:5001\n\n')
    refuses('1.2', 'FRAME_TOO_LARGE', 'SEND\n\n', 'x'.repeat(3000), 'x'.repeat(3000))
    refuses('1.2', 'FRAME_TOO_LARGE', 'x'.repeat(600), 'x'.repeat(600))
  })

  test('T7 EOLs between frames are passed over, LF or CRLF in any version', () => {
    for (const version of [...VERSIONS, undefined]) {
      assert.equal(decode(version, '\n\r\n\nSEND\n\n\0\n', '\r', '\n', '\n', 'SEND\n\n\0\r\n').length, 2)
    }
  })

  test('names of Object.prototype are ordinary header names', () => {
    const [frame] = decode('1.2', 'SEND\nhasOwnProperty:1\n__proto__:2\nconstructor:3\n\n\0')
    assert.deepEqual([...(frame?.headers.keys() ?? [])], ['hasOwnProperty', '__proto__', 'constructor'])
  })
})

describe('what holds for any frame', () => {
  const anyText = fc.string({ unit: 'binary', maxLength: 20 }).map(text => text.replaceAll('\0', '').toWellFormed())
  const special = fc.string({
    unit: fc.constantFrom('\\', ':', '\n', '\r', 'c', 'n', 'r', ' ', 'é', '안', '🙂'),
    maxLength: 20
  })
  const text = fc.oneof(anyText, special)
  const anyFrame = (version: Version) => {
    const fit = (value: string) => (version === '1.0' ? value.replace(/[\r\n]/g, '') : value)
    const name = text
      .map(value => fit(version === '1.0' ? value.replaceAll(':', '') : value))
      .filter(value => value !== '')
    return fc.record({
      command: fc.constantFrom('SEND', 'MESSAGE', 'ERROR'),
      headers: fc
        .array(fc.tuple(name, text.map(fit)), { maxLength: 6 })
        .map(entries => new Map(entries))
        .filter(headers => !headers.has('content-length')),
      body: fc.uint8Array({ maxLength: 200 }).map(bytes => Buffer.from(bytes))
    })
  }
  const withLength = ({ command, headers, body }: Frame): Frame => ({
    command,
    headers: body.length === 0 ? headers : new Map([...headers, ['content-length', String(body.length)]]),
    body
  })

  for (const version of VERSIONS) {
    test(`decoding what was encoded gives the same frame (${version})`, () => {
      fc.assert(
        fc.property(anyFrame(version), frame => {
          const bytes = encodeFrame(version, frame.command, frame.headers, frame.body)
          assert.deepEqual(decode(version, bytes), [withLength(frame)])
        }),
        { numRuns: 300 }
      )
    })

    test(`T6 any split of any frames decodes to the same frames (${version})`, () => {
      const split = fc.tuple(
        fc.array(fc.tuple(anyFrame(version), fc.constantFrom('', '\n', '\r\n', '\n\r\n')), { maxLength: 4 }),
        fc.array(fc.nat(), { maxLength: 40 })
      )
      fc.assert(
        fc.property(split, ([frames, cuts]) => {
          const bytes = Buffer.concat(
            frames.flatMap(([{ command, headers, body }, eols]) => [
              encodeFrame(version, command, headers, body),
              Buffer.from(eols)
            ])
          )
          const at = [...new Set(cuts.map(cut => cut % (bytes.length + 1)))].sort((a, b) => a - b)
          const chunks = [0, ...at].map((from, i) => bytes.subarray(from, at[i] ?? bytes.length))
          assert.deepEqual(
            decode(version, ...chunks),
            frames.map(([frame]) => withLength(frame))
          )
        }),
        { numRuns: 300 }
      )
    })

    test(`headers in 1.2's encoding are translated without loss, as far as the version can say them (${version})`, () => {
      fc.assert(
        fc.property(anyFrame(version), ({ headers }) => {
          const [, ...lines] = String(encodeFrame('1.2', 'X', headers)).split('\n')
          const block = lines
            .slice(0, -2)
            .map(line => `${line}\n`)
            .join('')
          const [frame] = decode(version, `SEND\n${translateHeaders(block, version)}\n\0`)
          assert.deepEqual(frame?.headers, headers)
        }),
        { numRuns: 300 }
      )
    })
  }

  test('T6 a frame may come byte by byte, with CRLF, escapes and characters of many bytes', () => {
    const bytes = Buffer.from('\r\nSEND\r\na\\c:\\r\\n안🙂\r\ncontent-length:8\r\n\r\n안\0🙂\0\r\n')
    const frames = decode('1.2', ...[...bytes].map(byte => Buffer.of(byte)))
    assert.deepEqual(frames, [
      {
        command: 'SEND',
        headers: new Map([
          ['a:', '\r\n안🙂'],
          ['content-length', '8']
        ]),
        body: Buffer.from('안\0🙂')
      }
    ])
  })

  test('T6 a body may come in thousands of parts', () => {
    const body = Buffer.from(Array.from({ length: 4000 }, (_, i) => (i % 255) + 1))
    const parts = [...body].map(byte => Buffer.of(byte))
    for (const head of ['SEND\n\n', 'SEND\ncontent-length:4000\n\n']) {
      assert.deepEqual(decode('1.2', head, ...parts, '\0')[0]?.body, body)
    }
  })

  test('no bytes at all make it throw anything but a refusal', () => {
    const piece = fc.oneof(
      fc.constantFrom('SEND\n', 'a:1\n', '\n', '\r\n', '\0', 'content-length:3\n', '\\', 'content-length:999999999\n'),
      fc.string({ maxLength: 5 })
    )
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 30 }), fc.constantFrom(...VERSIONS, undefined), (pieces, version) => {
        try {
          decode(version, ...pieces)
        } catch (error) {
          assert.ok(error instanceof BatonError, String(error))
        }
      }),
      { numRuns: 500 }
    )
  })
})
