import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import {
  type Coordinate,
  decodeMessage,
  encodeEntry,
  encodeMessageId,
  envelopeHead,
  type Gap,
  type Message,
  parseMessageId,
  type ResumePoint
} from '../../src/message.ts'
import type { Head, Snapshot } from '../../src/ports.ts'
import { addGap, missingFor, missingSince, sameHead } from '../../src/proof.ts'

const OTHER = 'g/t/1~i1'
const at = (offset: number): Coordinate => ({ source: 'g/t/0~i1', offset })

/** An entry of a log, written `epoch.seq@offset`. */
function entryOf(text: string): Message {
  const { position, coordinate } = headOf(text)
  const entry = { coordinate: coordinate as Coordinate, timestampMs: 0, hidden: false, headers: '', body: Buffer.of() }
  const head = Buffer.from(envelopeHead(position as NonNullable<Head['position']>))
  return decodeMessage(Buffer.concat([head, encodeEntry(entry)]))
}

function headOf(text: string): Head {
  if (!text) return {}
  const [epoch, seq, offset] = text.split(/[.@]/) as [string, string, string]
  return { position: { epoch, seq: Number(seq) }, coordinate: at(Number(offset)) }
}

/** Of a log whose entries are all of one source. */
function snapshotOf(head: string, entries: string[]): Snapshot {
  const { coordinate, ...rest } = headOf(head)
  const vector = coordinate && { coordinate, vector: new Map([[coordinate.source, coordinate.offset]]) }
  return { head: { ...rest, ...vector }, entries: entries.map(entryOf), fences: new Map() }
}

/** What was seen of that source. */
function knownOf(text: string) {
  const { coordinate } = headOf(text)
  const vector = new Map(coordinate && [[coordinate.source, coordinate.offset]])
  return { vector, fed: vector }
}

/** Where the message of that name was the last a client saw; after `x`, of a channel with too many sources to name. */
function pointOf(text: string): ResumePoint {
  const { position, coordinate = at(4) } = headOf(text.replace('x', ''))
  const vector = new Map([[coordinate.source, coordinate.offset]])
  const id = encodeMessageId(position, position && coordinate, vector)
  return parseMessageId(text.includes('x') ? `${id}.x` : id) as ResumePoint
}

const NOTHING = undefined

describe('what is missing in a channel that is healed', () => {
  const cases: [stood: string, log: string[], missing: Gap | undefined][] = [
    ['n1.3@3', ['n1.3@3', 'n1.4@4'], NOTHING],
    ['n1.3@3', ['n1.4@4'], 'unknown'],
    ['n1.3@3', ['n1.6@6', 'n1.7@7'], 2],
    ['n1.3@3', ['n1.2@2', 'n1.3@5'], NOTHING],
    ['n1.3@3', ['r1.2@2', 'r1.3@5'], NOTHING],
    ['n1.3@3', ['r1.6@6'], 'unknown'],
    ['r1.3@3', ['r1.6@6', 'r1.7@7'], 'unknown'],
    ['n1.3@3', ['w1.1@6'], 'unknown'],
    ['n1.3@3', ['n2.1@6'], NOTHING],
    ['', ['n1.1@0'], NOTHING],
    ['', ['n1.2@1'], 'unknown']
  ]
  for (const [stood, log, missing] of cases) {
    test(`between ${stood || 'nothing'} and ${log.join(' ')}: ${missing ?? 'nothing'}`, () => {
      assert.equal(missingSince(headOf(stood), snapshotOf(log.at(-1) as string, log), knownOf(stood)), missing)
    })
  }

  test('with an empty log: what the positions say', () => {
    const missing = (head: string) => missingSince(headOf('n1.3@3'), snapshotOf(head, []), knownOf('n1.3@3'))
    assert.deepEqual([missing('n1.3@3'), missing('n1.7@7'), missing('r1.7@7')], [NOTHING, 4, 'unknown'])
  })
})

describe('what is missing in a channel of two sources', () => {
  const known = new Map([
    [at(0).source, 3],
    [OTHER, 4]
  ])
  /** A log that holds one entry of the first source, and what both have written last. */
  function snapshotWith(entry: string, other: number | undefined, fences: [string, number][] = []): Snapshot {
    const { head, entries } = snapshotOf(entry, [entry])
    if (other !== undefined) head.vector?.set(OTHER, other)
    return { head, entries, fences: new Map(fences) }
  }
  const missing = (snapshot: Snapshot) =>
    missingSince({ ...headOf('n1.9@3'), coordinate: { source: OTHER, offset: 4 } }, snapshot, {
      vector: known,
      fed: known
    })

  test('an entry that is known proves nothing of the other source', () => {
    assert.deepEqual([missing(snapshotWith('r1.12@3', 5)), missing(snapshotWith('r1.12@3', 4))], ['unknown', NOTHING])
  })

  test('is not counted where Redis has lost the last entry that was seen', () => {
    assert.deepEqual([missing(snapshotWith('n1.14@9', 2)), missing(snapshotWith('n1.14@9', 4))], ['unknown', 4])
  })

  test('is unknown where a refill that began after what was seen brought nothing of a source', () => {
    const refilled = (fence: number) => snapshotWith('w1.2@3', undefined, [[OTHER, fence]])
    assert.deepEqual([missing(refilled(3)), missing(refilled(4))], [NOTHING, 'unknown'])
  })
})

describe('what is missing for a client that resumes', () => {
  const cases: [seen: string, log: string[], missing: Gap | undefined][] = [
    ['n1.3@3', ['n1.6@6', 'n1.7@7'], 2],
    ['n1.3@3', ['n1.4@4'], 'unknown'],
    ['n1.3@3', ['r1.2@2', 'r1.3@5'], NOTHING],
    ['n1.3@3', ['r1.6@6'], 'unknown'],
    ['r1.3@3', ['r1.6@6'], 'unknown'],
    ['n1.3@3', ['n2.1@6'], 'unknown'],
    ['n1.3@3x', ['n1.6@6', 'n1.7@7'], 'unknown'],
    ['n1.3@3x', ['r1.2@2'], 'unknown'],
    ['', ['n1.1@5'], NOTHING],
    ['x', ['n1.1@5'], NOTHING],
    ['', ['w1.1@5'], 'unknown'],
    ['', ['n1.2@5'], 'unknown'],
    ['', ['w1.1@3'], NOTHING],
    ['x', ['w1.1@3'], 'unknown']
  ]
  const missing = (seen: string, head: string, log: string[], at = -1) =>
    missingFor(pointOf(seen), snapshotOf(head, log), at, knownOf(seen.replace('x', '') || 'n0.0@4').vector)

  for (const [seen, log, expected] of cases) {
    test(`between ${seen || 'nothing'} and ${log.join(' ')}: ${expected ?? 'nothing'}`, () => {
      assert.equal(missing(seen, log.at(-1) as string, log), expected)
    })
  }

  test('whose message the log holds: nothing, unless some of what follows was written again and the id cannot tell', () => {
    assert.equal(missing('n1.3@3x', 'n1.4@4', ['n1.3@3', 'n1.4@4'], 0), NOTHING)
    assert.equal(missing('n1.3@3', 'r1.4@4', ['n1.3@3', 'r1.4@4'], 0), NOTHING)
    assert.equal(missing('n1.3@3x', 'r1.4@4', ['n1.3@3', 'r1.4@4'], 0), 'unknown')
  })

  test('with an empty log: nothing at its head or where there was never any, else unknown', () => {
    assert.equal(missing('n1.3@3', 'n1.3@3', []), NOTHING)
    assert.equal(missing('', '', []), NOTHING)
    assert.equal(missing('n1.3@2', 'n1.3@3', []), 'unknown')
    assert.equal(missing('n1.3@3', 'n1.4@4', []), 'unknown')
    assert.equal(missing('n1.3@3', '', []), 'unknown')
    assert.equal(missing('', 'n1.5@5', []), 'unknown')
  })
})

test('two holes before one message are one, and unknown if one of them is', () => {
  assert.deepEqual(
    [addGap(undefined, undefined), addGap(2, undefined), addGap(undefined, 2), addGap(2, 3), addGap(2, 'unknown')],
    [undefined, 2, 2, 5, 'unknown']
  )
})

test('two heads are the same when epoch, seq and the coordinate of the last entry are', () => {
  assert.equal(sameHead(headOf('n1.3@3'), { ...headOf('n1.3@3'), vector: new Map() }), true)
  assert.equal(sameHead({}, {}), true)
  for (const other of ['n1.3@4', 'n1.4@3', 'r1.3@3', '']) assert.equal(sameHead(headOf('n1.3@3'), headOf(other)), false)
  const elsewhere = { ...headOf('n1.3@3'), coordinate: { source: 'g/t/1~i1', offset: 3 } }
  assert.equal(sameHead(headOf('n1.3@3'), elsewhere), false)
})
