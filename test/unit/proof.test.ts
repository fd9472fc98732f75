import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { encodeMessageId, parseMessageId, type ResumePoint } from '../../src/message/id.ts'
import { type Coordinate, decodeMessage, encodeEntry, envelopeHead, type Gap, type Message } from '../../src/message.ts'
import type { Head, Snapshot } from '../../src/ports.ts'
import { addGap, isBelowFloor, missingFor, missingSince, sameHead, unfilled } from '../../src/proof.ts'

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
  return {
    head: { ...rest, ...vector },
    entries: entries.map(entryOf),
    fences: new Map(),
    floors: new Map(),
    ceilings: new Map()
  }
}

/** What was seen of that source. */
function knownOf(text: string): Map<string, number> {
  const { coordinate } = headOf(text)
  return new Map(coordinate && [[coordinate.source, coordinate.offset]])
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
    ['n1.3@3', ['n2.2@6'], 'unknown'],
    ['n1.3@3', ['n2.1@6'], NOTHING],
    ['', ['n1.1@0'], NOTHING],
    ['', ['n1.2@1'], 'unknown']
  ]
  for (const [stood, log, missing] of cases) {
    test(`between ${stood || 'nothing'} and ${log.join(' ')}: ${missing ?? 'nothing'}`, () => {
      assert.equal(missingSince(headOf(stood), snapshotOf(log.at(-1) as string, log), knownOf(stood), false), missing)
    })
  }

  test('with an empty log: what the positions say', () => {
    const missing = (head: string) => missingSince(headOf('n1.3@3'), snapshotOf(head, []), knownOf('n1.3@3'), false)
    assert.deepEqual([missing('n1.3@3'), missing('n1.7@7'), missing('r1.7@7')], [NOTHING, 4, 'unknown'])
  })
})

describe('what is missing in a channel of two sources', () => {
  const known = new Map([
    [at(0).source, 3],
    [OTHER, 4]
  ])
  /** A log that holds one entry of the first source, and what both have written last. */
  function snapshotWith(entry: string, other: number): Snapshot {
    const snapshot = snapshotOf(entry, [entry])
    snapshot.head.vector?.set(OTHER, other)
    return snapshot
  }
  const missing = (snapshot: Snapshot) =>
    missingSince({ ...headOf('n1.9@3'), coordinate: { source: OTHER, offset: 4 } }, snapshot, known, false)

  test('an entry that is known proves nothing of the other source', () => {
    assert.deepEqual([missing(snapshotWith('r1.12@3', 5)), missing(snapshotWith('r1.12@3', 4))], ['unknown', NOTHING])
  })

  test('is not counted where Redis has lost the last entry that was seen', () => {
    assert.deepEqual([missing(snapshotWith('n1.14@9', 2)), missing(snapshotWith('n1.14@9', 4))], ['unknown', 4])
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
    ['', ['n1.2@5'], 'unknown'],
    ['', ['n1.2@3'], NOTHING],
    ['x', ['n1.2@3'], 'unknown']
  ]
  const missing = (seen: string, head: string, log: string[], at = -1) =>
    missingFor(pointOf(seen), snapshotOf(head, log), at, knownOf(seen.replace('x', '') || 'n0.0@4'), false)

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

describe('what a wipe may have lost for good', () => {
  test('is unknown, whatever the log shows, unless its epoch goes on', () => {
    const healed = (stood: string, head: string) =>
      missingSince(headOf(stood), snapshotOf(head, head ? [head] : []), knownOf(stood), true)
    assert.deepEqual([healed('', 'n2.1@6'), healed('n1.3@3', 'n2.1@6'), healed('n1.3@3', '')], Array(3).fill('unknown'))
    assert.deepEqual([healed('n1.3@3', 'n1.4@3'), healed('n1.3@3', 'n1.3@3')], [NOTHING, NOTHING])
    const resumed = (seen: string, head: string) =>
      missingFor(pointOf(seen), snapshotOf(head, head ? [head] : []), -1, knownOf(seen || 'n0.0@4'), true)
    assert.deepEqual([resumed('', 'n2.1@6'), resumed('n1.3@3', 'n2.2@3'), resumed('', '')], Array(3).fill('unknown'))
    assert.deepEqual([resumed('n1.3@3', 'n1.4@3'), resumed('n1.3@3', 'n1.3@3')], [NOTHING, NOTHING])
  })

  test('lies below the floor of a source, where that is beyond the record after the last one known', () => {
    const floor = (offset: number) => ({ fences: new Map(), floors: new Map([[OTHER, offset]]), ceilings: new Map() })
    const isBelow = (known: [string, number][], offset: number) =>
      isBelowFloor(floor(offset), new Map(known), new Set(['t']))
    assert.deepEqual([isBelow([[OTHER, 4]], 5), isBelow([[OTHER, 4]], 6)], [false, true])
    assert.deepEqual([isBelow([[OTHER, -1]], 0), isBelow([], 0)], [false, true])
    assert.equal(isBelowFloor(floor(6), new Map(), new Set(['other'])), false)
    assert.equal(
      isBelowFloor(floor(6), new Map(), new Set(['t']), source => source !== OTHER),
      false
    )
  })

  test('is not known of a source that has no fence, unless another incarnation of its partition has one', () => {
    const fences = new Map([['g/t/0~i1', 3]])
    const isUnfilled = unfilled({ fences, floors: new Map(), ceilings: new Map() })
    assert.deepEqual(['g/t/0~i1', 'g/t/0~i0', OTHER].map(isUnfilled), [false, false, true])
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
