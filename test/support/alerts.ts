import assert from 'node:assert/strict'
import { type Baton, startBaton } from './baton.ts'
import { unique } from './ids.ts'
import type { KafkaClient } from './kafka-client.ts'
import { recordsOf } from './oracle.ts'
import type { Follower } from './stomp-follower.ts'
import { waitFor } from './wait.ts'

// config/presets/alerts.yaml as it is: its processes, its two ways in, and what Kafka holds of them against what came out.

export type Role = 'ingest' | 'edge' | 'relay'

export interface Servers {
  brokers: string[]
  redisUrl: string
  /** More settings. */
  env?: Record<string, string>
}

/** Starts processes of one system, each with one role and the same file. */
export function alertSystem({ brokers, redisUrl, env }: Servers) {
  const shared = {
    BATON_KAFKA_BROKERS: brokers.join(),
    BATON_KAFKA_GROUP_ID: unique('an'),
    BATON_REDIS_URL: redisUrl,
    BATON_REDIS_PREFIX: `${unique('prefix')}:`,
    ...env
  }
  return (role: Role, port = 0) =>
    startBaton({ config: 'config/presets/alerts.yaml', port, env: { ...shared, BATON_ROLES: role } })
}

export const socketOf = ({ url }: Baton) => `${url.replace('http', 'ws')}/an-ws`
export const destinationOf = (line: string) => `/sub/line/${line}`

export const post = ({ url }: Pick<Baton, 'url'>, path: string, body: unknown) =>
  fetch(`${url}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: typeof body === 'string' ? body : JSON.stringify(body)
  })

/** `text` tells it from every other. */
export const alertOf = (line: string, text: string) => ({ line, house: '101호', text, lat: 37.5665, lng: 126.978 })
export const acceptOf = (line: string, text: string) => ({ line, acceptHouse: '102호', targetHouse: text })

export interface Held {
  line: string
  /** Of an alert its text, of an acceptance its target: what subscribers get as text. */
  text: string
  /** Topic and partition: within it, order holds. */
  lane: string
}

/** What Kafka holds: the truth about what is to be delivered. */
export async function heldBy(kafka: KafkaClient): Promise<Held[]> {
  const [alerts, accepts] = [await recordsOf(kafka, 'an-alert'), await recordsOf(kafka, 'an-accept')]
  const held = (records: typeof alerts, field: 'text' | 'target') =>
    records.map(({ value, partition }) => {
      const stored = JSON.parse(`${value}`)
      return { line: stored.line, text: stored[field], lane: `${field}/${partition}` }
    })
  return [...held(alerts, 'text'), ...held(accepts, 'target')]
}

export const textsOf = (follower: Follower, destination: string): string[] =>
  follower.messages(destination).map(({ body }) => JSON.parse(`${body}`).text)

const DEADLINE_MS = 40_000

/** Waits until the follower has as many messages of its lines as Kafka holds; then each is there once, those of a partition in its order. */
export async function assertEachOnce(follower: Follower, held: Held[]) {
  for (const destination of follower.destinations) {
    const due = held.filter(({ line }) => destinationOf(line) === destination)
    const what = () => `${due.length} of ${destination}, ${textsOf(follower, destination).length} came`
    await waitFor(() => textsOf(follower, destination).length >= due.length, { deadlineMs: DEADLINE_MS, what })
    const came = textsOf(follower, destination)
    assert.deepEqual(came.toSorted(), due.map(({ text }) => text).sort())
    for (const [lane, records] of Map.groupBy(due, ({ lane }) => lane)) {
      const texts = records.map(({ text }) => text)
      assert.deepEqual(
        came.filter(text => texts.includes(text)),
        texts,
        lane
      )
    }
  }
}
