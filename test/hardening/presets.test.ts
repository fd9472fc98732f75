import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { describe, test } from 'node:test'
import { parse } from 'yaml'
import { unique } from '../support/ids.ts'
import { sharedKafka } from '../support/kafka.ts'
import { launch } from '../support/processes.ts'
import { sharedRedis } from '../support/redis.ts'
import { deadline } from '../support/wait.ts'

const ROOT = join(import.meta.dirname, '../..')
const PRESETS = globSync('config/presets/*.yaml', { cwd: ROOT })

interface Route {
  topic?: string | { name: string }
  channel?: string
  destination?: string
  send?: {
    destination?: string
    http?: string
    reply?: { topic: { name: string } }
    produce?: { topic: string | { name: string } }[]
  }
}

const routesOf = (preset: string): [name: string, route: Route][] =>
  Object.entries(parse(readFileSync(join(ROOT, preset), 'utf8')).routes)
const nameOf = (topic: string | { name: string } | undefined) => (typeof topic === 'object' ? topic.name : topic)

/** What `--check` prints of a configuration, on real servers. */
async function check(preset: string): Promise<{ code: number | null; output: string }> {
  const [{ brokers }, { url }] = await Promise.all([sharedKafka(), sharedRedis()])
  const env = {
    BATON_KAFKA_BROKERS: brokers.join(),
    BATON_REDIS_URL: url,
    BATON_REDIS_PREFIX: `${unique('prefix')}:`,
    BATON_AUTH_JWT_SECRET: 'a secret of the test, of thirty-two bytes and more'
  }
  const running = launch({
    command: process.execPath,
    args: ['src/main.ts', '--config', preset, '--check'],
    cwd: ROOT,
    env: preset.endsWith('zzalu.yaml') ? env : { ...env, BATON_AUTH_JWT_SECRET: '' }
  })
  const { code } = await deadline(running.exited, 30_000, () => running.output)
  return { code, output: running.output }
}

describe('each preset', () => {
  for (const preset of PRESETS) {
    test(`${basename(preset)} is good, and --check says how its records go, who may send and what is kept`, async () => {
      const { code, output } = await check(preset)
      assert.equal(code, 0, output)
      const sections = new Map(output.split(/^route /m).map(text => [text.split('\n')[0], text]))
      for (const [name, { topic, channel, destination, send }] of routesOf(preset)) {
        const text = sections.get(name) ?? ''
        if (channel) assert.match(text, new RegExp(`^  out .*topic ${nameOf(topic)}\\b.* → channel `, 'm'))
        if (channel) assert.ok(text.includes(`→ channel ${channel} → destination ${destination}\n`), text)
        if (channel) assert.match(text, /^ {2}kept {4}of each channel the last \d+ messages, until \w+ after the last/m)
        if (channel) assert.match(text, /^ {2}read {4}subscribe: \w+; history and resume: \w+/m)
        if (!send) continue
        for (const way of [send.destination, send.http]) assert.ok(!way || text.includes(way), text)
        for (const record of send.produce ?? [{ topic }])
          assert.match(text, new RegExp(`^  in .* → .*topic ${nameOf(record.topic ?? topic)}\\b`, 'm'))
        assert.match(text, /^ {2}send {4}\w+/m)
        if (send.reply) assert.match(text, new RegExp(`^  answer  topic ${send.reply.topic.name} .*within \\d`, 'm'))
      }
      assert.match(output, /The configuration is good\.\n$/)
    })
  }

  test('is configuration alone: nothing of what it is about is in the program', () => {
    const about = PRESETS.filter(preset => !preset.endsWith('zzalu.yaml')).flatMap(preset => [
      ...routesOf(preset).flatMap(([, { topic }]) => nameOf(topic) ?? []),
      ...(readFileSync(join(ROOT, preset), 'utf8').match(/\b[a-z]+[A-Z]\w*(?=[:}\],])/g) ?? [])
    ])
    const general = new Set([
      'additionalProperties',
      'instanceId',
      'groupId',
      'startFrom',
      'forEach',
      'minLength',
      'minItems',
      'maxItems',
      'replicationFactor',
      'chat'
    ])
    const words = [...new Set(about)].filter(word => !general.has(word))
    assert.ok(words.length > 10, words.join())
    for (const file of globSync('src/**/*.{ts,lua,js}', { cwd: ROOT })) {
      const text = readFileSync(join(ROOT, file), 'utf8')
      assert.deepEqual(
        words.filter(word => new RegExp(`\\b${word}\\b`).test(text)),
        [],
        file
      )
    }
  })
})
