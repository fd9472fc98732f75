import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { type AckMode, createAckWindow } from '../../../src/stomp/ack-window.ts'

describe('the ack window', () => {
  for (const mode of ['client', 'client-individual'] satisfies AckMode[]) {
    test(`knows what waits, whatever is acknowledged in which order (${mode})`, () => {
      const step = fc.oneof(fc.constant('send' as const), fc.nat({ max: 300 }))
      fc.assert(
        fc.property(fc.array(step, { maxLength: 600 }), steps => {
          const window = createAckWindow(mode, 100)
          let model: string[] = []
          let count = 0
          for (const step of steps) {
            if (step === 'send') {
              model.push(`m${count}`)
              window.add(`m${count++}`)
              continue
            }
            const id = `m${step}`
            const at = model.indexOf(id)
            assert.equal(window.has(id), at >= 0)
            assert.equal(window.acknowledge(id), at >= 0)
            if (at >= 0) model = mode === 'client' ? model.slice(at + 1) : model.toSpliced(at, 1)
            assert.equal(window.size, model.length)
            assert.equal(window.exceeded, model.length > 100)
            assert.equal(window.room, 100 - model.length)
            assert.equal(window.halfFree, model.length <= 50)
          }
          for (let i = 0; i < count; i++) assert.equal(window.has(`m${i}`), model.includes(`m${i}`))
        }),
        { numRuns: 200 }
      )
    })
  }

  test('is wider by a replay until that is acknowledged', () => {
    const window = createAckWindow('client', 2)
    window.widen(3)
    for (const id of ['a', 'b', 'c', 'd', 'e']) window.add(id)
    assert.equal(window.exceeded, false)
    window.acknowledge('d')
    for (const id of ['f', 'g']) window.add(id)
    assert.equal(window.exceeded, false)
    window.acknowledge('g')
    for (const id of ['h', 'i', 'j']) window.add(id)
    assert.equal(window.exceeded, true)
  })

  test('finds any among many, asked for by a session with a thousand of them, at little cost', () => {
    const windows = Array.from({ length: 1000 }, () => createAckWindow('client-individual', 256))
    const ids = Array.from({ length: 256 }, (_, i) => `n1a2b3c4.${1000 + i}.oAAAAAAAA${1000 + i}`)
    for (const window of windows) for (const id of ids) window.add(id)
    const before = process.threadCpuUsage()
    for (let i = 0; i < 500; i++) assert.ok(!windows.some(window => window.has(`n1a2b3c4.1999.oAAAAAAAA${9000 + i}`)))
    const { user } = process.threadCpuUsage(before)
    assert.ok(user < 2_000_000, `it took ${user} µs of the processor`)
  })

  test('tells once when half of it is free', () => {
    const window = createAckWindow('client-individual', 3)
    for (const id of ['a', 'b', 'c']) window.add(id)
    let calls = 0
    window.whenHalfFree(() => calls++)
    const heard = ['a', 'b', 'c'].map(id => {
      window.acknowledge(id)
      return calls
    })
    assert.deepEqual(heard, [0, 1, 1])
  })

  test('still finds the oldest one, however much passed through since', () => {
    const window = createAckWindow('client-individual', 10)
    window.add('first')
    for (let i = 0; i < 100_000; i++) {
      window.add(`m${i}`)
      window.acknowledge(`m${i}`)
    }
    assert.equal(window.size, 1)
    assert.equal(window.acknowledge('first'), true)
  })
})
