import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { deadLetterTopicOf, topicsOf } from '../../src/topics.ts'
import { configOf } from './config-of.ts'

const route = (topic: string | object, name: string) => ({
  topic,
  channel: `${name}:{id}`,
  destination: `/${name}/{id}`
})
const stomp = { maxBodyBytes: 1_048_576, maxHeaderBytes: 16_384 }
const BYTES = String(1_048_576 + 16_384 + 65_536)
const kafka = { brokers: ['localhost:9092'] }

describe('the topics of a configuration', () => {
  test('are there once each, as the route says that says most', () => {
    const declared = { name: 't', partitions: 3, replicationFactor: 2 }
    const routes = { a: route('t', 'a'), b: route(declared, 'b'), c: route('t', 'c'), d: route('u', 'd') }
    assert.deepEqual(
      topicsOf(configOf({ stomp, routes })).map(({ config, ...topic }) => topic),
      [
        { ...declared, consumed: true },
        { name: 'u', consumed: true }
      ]
    )
  })

  test('take the largest body that a client may send, unless a route says otherwise', () => {
    const config = { 'retention.ms': '1000' }
    const routes = {
      a: route({ name: 't', config }, 'a'),
      b: route({ name: 'u', config: { 'max.message.bytes': '1000' } }, 'b')
    }
    assert.deepEqual(
      topicsOf(configOf({ stomp, routes })).map(topic => topic.config),
      [{ 'max.message.bytes': BYTES, ...config }, { 'max.message.bytes': '1000' }]
    )
  })
})

describe('the dead-letter topic', () => {
  const routes = { a: route('t', 'a') }
  const config = { 'max.message.bytes': BYTES }

  test('has a name of its own and one partition, and takes whatever the others hold', () => {
    assert.deepEqual(deadLetterTopicOf(configOf({ stomp, kafka, routes })), {
      name: 'baton.dead-letter',
      partitions: 1,
      consumed: false,
      config
    })
    assert.deepEqual(deadLetterTopicOf(configOf({ stomp, routes })), {
      name: 'baton.dead-letter',
      consumed: false,
      config
    })
  })

  test('is what the configuration says', () => {
    const deadLetter = { topic: 'lost', partitions: 2, replicationFactor: 3 }
    assert.deepEqual(deadLetterTopicOf(configOf({ stomp, kafka: { ...kafka, deadLetter }, routes })), {
      name: 'lost',
      partitions: 2,
      replicationFactor: 3,
      consumed: false,
      config
    })
  })
})
