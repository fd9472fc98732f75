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

function snapshotOf(head: string, entries: string[]): Snapshot {
  return { head: headOf(head), entries: entries.map(entryOf), fences: new Map() }
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
  const cases: [stood: string, log: string[], isNews: boolean, missing: Gap | undefined][] = [
    ['n1.3@3', ['n1.3@3', 'n1.4@4'], false, NOTHING],
    ['n1.3@3', ['n1.4@4'], true, NOTHING],
    ['n1.3@3', ['n1.6@6', 'n1.7@7'], true, 2],
    ['n1.3@3', ['r1.2@2', 'r1.3@5'], false, NOTHING],
    ['n1.3@3', ['r1.6@6'], true, 'unknown'],
    ['n1.3@3', ['w1.1@6'], true, 'unknown'],
    ['n1.3@3', ['n2.1@6'], true, NOTHING],
    ['', ['n1.1@0'], true, NOTHING],
    ['', ['n1.2@1'], true, 'unknown']
  ]
  for (const [stood, log, isNews, missing] of cases) {
    test(`between ${stood || 'nothing'} and ${log.join(' ')}: ${missing ?? 'nothing'}`, () => {
      const snapshot = snapshotOf(log.at(-1) as string, log)
      assert.equal(missingSince(headOf(stood), snapshot, isNews ? snapshot.entries[0] : undefined), missing)
    })
  }

  test('with an empty log: what the positions say', () => {
    assert.equal(missingSince(headOf('n1.3@3'), snapshotOf('n1.3@3', []), undefined), NOTHING)
    assert.equal(missingSince(headOf('n1.3@3'), snapshotOf('n1.7@7', []), undefined), 4)
  })
})

describe('what is missing for a client that resumes', () => {
  const cases: [seen: string, log: string[], isNews: boolean, missing: Gap | undefined][] = [
    ['n1.3@3', ['n1.6@6', 'n1.7@7'], true, 2],
    ['n1.3@3', ['n1.4@4'], true, 'unknown'],
    ['n1.3@3', ['r1.2@2', 'r1.3@5'], false, NOTHING],
    ['n1.3@3', ['r1.6@6'], true, 'unknown'],
    ['n1.3@3', ['n2.1@6'], true, 'unknown'],
    ['n1.3@3x', ['n1.6@6', 'n1.7@7'], true, 'unknown'],
    ['n1.3@3x', ['r1.2@2'], false, 'unknown'],
    ['', ['n1.1@5'], true, NOTHING],
    ['x', ['n1.1@5'], true, NOTHING],
    ['', ['w1.1@5'], true, 'unknown'],
    ['', ['n1.2@5'], true, 'unknown'],
    ['', ['w1.1@3'], false, NOTHING],
    ['x', ['w1.1@3'], false, 'unknown']
  ]
  for (const [seen, log, isNews, missing] of cases) {
    test(`between ${seen || 'nothing'} and ${log.join(' ')}: ${missing ?? 'nothing'}`, () => {
      const snapshot = snapshotOf(log.at(-1) as string, log)
      assert.equal(missingFor(pointOf(seen), snapshot, -1, isNews ? snapshot.entries[0] : undefined), missing)
    })
  }

  test('whose message the log holds: nothing', () => {
    assert.equal(missingFor(pointOf('n1.3@3x'), snapshotOf('n1.4@4', ['n1.3@3', 'n1.4@4']), 0, undefined), NOTHING)
  })

  test('with an empty log: nothing at its head or where there was never any, else unknown', () => {
    const missing = (seen: string, head: string) => missingFor(pointOf(seen), snapshotOf(head, []), -1, undefined)
    assert.equal(missing('n1.3@3', 'n1.3@3'), NOTHING)
    assert.equal(missing('', ''), NOTHING)
    assert.equal(missing('n1.3@2', 'n1.3@3'), 'unknown')
    assert.equal(missing('n1.3@3', 'n1.4@4'), 'unknown')
    assert.equal(missing('n1.3@3', ''), 'unknown')
    assert.equal(missing('', 'n1.1@1'), 'unknown')
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
