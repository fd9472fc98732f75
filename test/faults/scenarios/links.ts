import assert from 'node:assert/strict'
import { setTimeout as delay } from 'node:timers/promises'
import type { Link } from '../proxy.ts'
import type { Scenario } from '../scenario.ts'
import type { StageOptions } from '../stage.ts'

// Each link of one replica, or of all clients, is spoiled in each of three ways, and mended.

const ALL = 'Every client has every record, once and in order, and is told of no gap.'
const BOTH = ['relay', 'edge'] as const
const FIRST_RELAY: StageOptions = { roles: [['relay'], [...BOTH], [...BOTH]] }
const FIRST_EDGE: StageOptions = { roles: [['edge'], [...BOTH], [...BOTH]] }

const LINKS: { name: string; what: string; stage: StageOptions }[] = [
  { name: 'relay-kafka', what: 'between a relay and Kafka', stage: { ...FIRST_RELAY, over: 'kafka' } },
  { name: 'relay-redis', what: 'between a relay and Redis', stage: { ...FIRST_RELAY, over: 'redis' } },
  { name: 'edge-redis', what: 'between an edge and Redis', stage: { ...FIRST_EDGE, over: 'redis' } },
  {
    name: 'edge-kafka',
    what: 'between the producer of an edge and Kafka',
    stage: { ...FIRST_EDGE, over: 'kafka', senders: 'first' }
  },
  {
    name: 'client-edge',
    what: 'between all clients and the edges',
    stage: { over: 'clients', heartBeatMs: 2000, config: { stomp: { heartBeatMs: 2000 } } }
  }
]

const WAYS: { name: string; what: string; spoil: (link: Link) => void; longMs: number; shortMs: number }[] = [
  { name: 'cut', what: 'is cut', spoil: link => link.cut(), longMs: 10_000, shortMs: 2000 },
  { name: 'slow', what: 'takes 500 ms more', spoil: link => link.slow(500), longMs: 20_000, shortMs: 3000 },
  {
    name: 'half-open',
    what: 'stays open and passes nothing',
    spoil: link => link.freeze(),
    longMs: 20_000,
    shortMs: 6000
  }
]

export const linkScenarios: Scenario[] = LINKS.flatMap(link =>
  WAYS.map(
    (way): Scenario => ({
      name: `${link.name}-${way.name}`,
      about: `The link ${link.what} ${way.what} for ${way.longMs / 1000} seconds (short: ${way.shortMs / 1000}).`,
      expects: link.stage.senders ? `${ALL} Every SEND that got its RECEIPT is in Kafka.` : ALL,
      stage: link.stage,
      async run({ links, pick, falters }) {
        const harmed = () => links.reduce((sum, { harmed }) => sum + harmed, 0)
        const before = harmed()
        for (const each of links) way.spoil(each)
        if (!link.stage.senders) await falters()
        await delay(pick(way.longMs, way.shortMs))
        for (const each of links) each.mend()
        assert.ok(harmed() > before, 'nothing came over the link')
      }
    })
  )
)
