import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { applyEnvironment, type Variable, variables } from '../../src/config/env.ts'
import { editorSchema } from '../../src/config/schema.ts'
import { type Config, loadConfig } from '../../src/config.ts'
import { checkRoutes } from '../../src/routes.ts'
import { configOf, faultsOf, withFile } from './config-of.ts'

const CONFIG = join(import.meta.dirname, '../../config')
const routes = { any: { topic: 'any', channel: 'any:{key}', destination: '/any/{key}' } }

describe('a configuration', () => {
  test('has a default for everything but routes', () => {
    const { http, stomp, kafka, redis, auth, roles, lifecycle, routes: read } = configOf({ routes })
    assert.deepEqual(roles, ['relay', 'edge'])
    assert.equal(kafka, undefined)
    assert.equal(redis, undefined)
    assert.equal(http.port, 8080)
    assert.equal(http.host, '127.0.0.1')
    assert.deepEqual(stomp.paths, ['/ws'])
    assert.equal(stomp.maxBodyBytes, 1_048_576)
    assert.equal(auth.mode, 'none')
    assert.deepEqual(lifecycle, { drainTimeoutMs: 5000, deadlineMs: 15_000 })
    assert.deepEqual(read['any'], {
      ...routes.any,
      topic: { name: 'any' },
      log: { size: 1000, ttlMs: 86_400_000, maxBodyBytes: 65_536 },
      history: { size: 200, maxAgeMs: undefined },
      slow: { policy: 'close' },
      allow: { send: 'anyone', subscribe: 'anyone', history: 'anyone' }
    })
  })

  test('of Kafka and Redis needs only where they are', () => {
    const { kafka, redis } = configOf({ routes, kafka: { brokers: ['a:9092'] }, redis: { url: 'redis://a' } })
    assert.equal(kafka?.groupId, 'baton')
    assert.deepEqual(kafka?.refill, { maxAgeMs: 600_000, maxRecords: 50_000 })
    assert.deepEqual(kafka?.deadLetter, { topic: 'baton.dead-letter', partitions: 1 })
    assert.deepEqual(redis, { url: 'redis://a', prefix: '', readTimeoutMs: 5000 })
  })

  test('has a destination for refreshes only where credentials expire, so that it is in nobody\u2019s way', () => {
    const send = { destination: '/app/auth/refresh' }
    assert.equal(configOf({ routes: { any: { ...routes.any, send } } }).auth.refreshDestination, undefined)
    const jwt = configOf({ routes, auth: { mode: 'jwt', jwt: { secret: 'x' } } })
    assert.equal(jwt.auth.refreshDestination, '/app/auth/refresh')
  })

  test('denies by default once auth is on', () => {
    const auth = { mode: 'jwt', jwt: { secret: 'x' } }
    const any = { ...routes.any, allow: { subscribe: 'authenticated' } }
    const { allow } = configOf({ auth, routes: { any } }).routes['any'] as Config['routes'][string]
    assert.deepEqual(allow, { send: 'nobody', subscribe: 'authenticated', history: 'nobody' })
  })

  test('takes durations with a unit', () => {
    for (const [text, ms] of [
      ['500ms', 500],
      ['30s', 30_000],
      ['10m', 600_000],
      ['12h', 43_200_000],
      ['2d', 172_800_000]
    ] as const) {
      const config = configOf({ routes: { any: { ...routes.any, log: { ttl: text }, history: { maxAge: text } } } })
      assert.equal(config.routes['any']?.log.ttlMs, ms)
      assert.equal(config.routes['any']?.history.maxAgeMs, ms)
    }
  })

  test('writes origins as browsers do', () => {
    const { http } = configOf({
      routes,
      http: { allowedOrigins: ['HTTPS://A.example:443', 'null'], corsOrigins: ['*'] }
    })
    assert.deepEqual([http.allowedOrigins, http.corsOrigins], [['https://a.example', 'null'], ['*']])
  })

  test('cannot be changed afterwards', () => {
    const config = configOf({ routes })
    assert.throws(() => Object.assign(config.http, { port: 1 }), TypeError)
    assert.throws(() => Object.assign(config.routes['any']?.log ?? {}, { size: 1 }), TypeError)
  })
})

describe('every fault is told, with file, line, path and what is allowed', () => {
  test('all of them at once', () => {
    const text = [
      'http:',
      '  port: 99999',
      '  hots: x',
      'kafka:',
      '  tls: { cca: x }',
      'stomp: { paths: [ws], maxHeaders: many }',
      'auth: { mode: jtw }',
      'routes:',
      '  chat:',
      '    topic: a/b',
      '    destination: d',
      '    log: { ttl: 5 }',
      '    allow: { send: everyone }'
    ].join('\n')
    assert.deepEqual(faultsOf(text, { BATON_REDIS_READ_TIMEOUT_MS: 'soon', BATON_HTP_PORT: '1' }).sort(), [
      'BATON_HTP_PORT: is not a setting, did you mean BATON_HTTP_PORT?',
      'BATON_REDIS_READ_TIMEOUT_MS: redis.readTimeoutMs: must be an integer, is a string',
      'baton.yaml:10: routes.chat.topic: must be a topic name of letters, digits, dots, - and _, or an object of name, partitions, replicationFactor and config',
      'baton.yaml:12: routes.chat.log.ttl: must be a duration such as 500ms, 30s, 10m, 12h or 1d, is a number',
      'baton.yaml:13: routes.chat.allow.send: must be anyone, authenticated, nobody, or an object of claims with their values',
      'baton.yaml:2: http.port: must be <= 65535',
      'baton.yaml:3: http.hots: is not a setting, did you mean host? Allowed: host, port, corsOrigins, allowedOrigins, allowAbsentOrigin, trustProxy, maxBodyBytes, headersTimeoutMs, requestTimeoutMs, console, tls',
      'baton.yaml:4: kafka: brokers is missing',
      'baton.yaml:5: kafka.tls.cca: is not a setting, did you mean ca? Allowed: ca, cert, key, rejectUnauthorized',
      'baton.yaml:6: stomp.maxHeaders: must be an integer, is a string',
      'baton.yaml:6: stomp.paths.0: must be a path that begins with /',
      'baton.yaml:7: auth.mode: must be one of none, users, jwt, http'
    ])
  })

  test('of the same setting of several routes', () => {
    const any = { ...routes.any, allow: { send: 'all', history: { role: {} } } }
    const faults = faultsOf({ routes: { a: { ...any, topic: 5 }, b: { ...any, topic: {} } } })
    assert.deepEqual(
      faults.map(fault => fault.split(' ')[1]),
      [
        'routes.a.topic:',
        'routes.a.allow.send:',
        'routes.a.allow.history.role:',
        'routes.b.topic:',
        'routes.b.allow.send:',
        'routes.b.allow.history.role:'
      ]
    )
  })

  test('of routes too, which only the routes themselves can find', () => {
    const text = 'routes:\n  chat:\n    topic: t\n    channel: "c:{a}"\n    destination: "/{b}"\n'
    assert.deepEqual(faultsOf(text), [
      'baton.yaml:5: routes.chat.destination: must use the names of the channel ({a}), so that each gives the other'
    ])
  })

  const cross: [what: string, settings: object, fault: RegExp][] = [
    ['one role without what replicas share', { roles: ['edge'] }, /roles: .* set kafka and redis/],
    ['roles that lack one of relay and edge', { roles: ['relay', 'ingest'] }, /roles: .* set kafka and redis/],
    ['the role ingest without Kafka', { roles: ['ingest'] }, /roles: .* set kafka,/],
    [
      'the role ingest with replies and without Redis',
      {
        roles: ['ingest'],
        kafka: { brokers: ['a'] },
        routes: { any: { ...routes.any, send: { reply: { topic: 'replies' } } } }
      },
      /roles: .* set redis,/
    ],
    [
      'a heart-beat too slow for its session',
      { kafka: { brokers: ['a'], heartbeatIntervalMs: 9000 } },
      /kafka\.heartbeatIntervalMs: must be at most a third/
    ],
    ['Redis nowhere', { redis: {} }, /redis: needs one of url and sentinel/],
    [
      'Redis twice',
      { redis: { url: 'redis://a', sentinel: { name: 'm', nodes: ['b'] } } },
      /redis: needs one of url and sentinel/
    ],
    [
      'a drain longer than the deadline',
      { lifecycle: { drainTimeoutMs: 20_000 } },
      /lifecycle\.drainTimeoutMs: must be less/
    ],
    [
      'slow readers for whom more may wait than half of what closes them',
      { stomp: { sendQueueBytes: 100_000 }, routes: { any: { ...routes.any, slow: 'drop', slowBytes: 50_001 } } },
      /routes\.any\.slowBytes: must be at most half of stomp\.sendQueueBytes/
    ],
    [
      'a proxy that is no address',
      { http: { trustProxy: ['::1', '10.0.0.0/33'] } },
      /http\.trustProxy\.1: must be an IP/
    ],
    [
      'a head with more time than the request',
      { http: { headersTimeoutMs: 2000, requestTimeoutMs: 1000 } },
      /http\.headersTimeoutMs: must be at most/
    ],
    ['mode users without users', { auth: { mode: 'users' } }, /auth\.users: must hold a user/],
    [
      'a user without passcode',
      { auth: { users: [{ login: 'a' }] } },
      /auth\.users\.0: needs one of passcode and passcodeHash/
    ],
    [
      'a login twice',
      {
        auth: {
          users: [
            { login: 'a', passcode: 'x' },
            { login: 'a', passcode: 'y' }
          ]
        }
      },
      /auth\.users\.1\.login: is used before/
    ],
    [
      'a hash that is none',
      { auth: { users: [{ login: 'a', passcodeHash: 'md5:x' }] } },
      /auth\.users\.0\.passcodeHash: must be scrypt:N:salt:hash/
    ],
    [
      'a hash whose N is no power of two',
      { auth: { users: [{ login: 'a', passcodeHash: `scrypt:1000:eA:${'x'.repeat(43)}` }] } },
      /power of two/
    ],
    [
      'mode jwt without a key',
      { auth: { mode: 'jwt' } },
      /auth\.jwt: needs exactly one of secret, publicKey and jwksUrl/
    ],
    [
      'a public key that is none',
      { auth: { mode: 'jwt', jwt: { publicKey: 'x' } } },
      /auth\.jwt\.publicKey: must be an RSA/
    ],
    [
      'a key set that is nowhere',
      { auth: { mode: 'jwt', jwt: { jwksUrl: 'keys.json' } } },
      /auth\.jwt\.jwksUrl: must be an http/
    ],
    [
      'an origin with a path',
      { http: { allowedOrigins: ['*', 'https://a.example/'] } },
      /http\.allowedOrigins\.1: must be an origin such as/
    ],
    ['mode http without http', { auth: { mode: 'http' } }, /auth\.http: must be there in mode http/],
    ['auth.http without a url', { auth: { mode: 'http', http: {} } }, /auth\.http: url is missing/],
    [
      'a url that holds a password',
      { auth: { mode: 'http', http: { url: 'https://baton:secret@login.example' } } },
      /auth\.http\.url: must be an http or https URL without/
    ],
    [
      'a route that takes the SENDs of refreshes',
      {
        auth: { mode: 'jwt', jwt: { secret: 'x' }, refreshDestination: '/pub/7/x' },
        routes: { any: { ...routes.any, send: { destination: '/pub/{key}/x' } } }
      },
      /auth\.refreshDestination: is what routes\.any\.send\.destination takes/
    ],
    [
      'tokens in bodies without mode jwt',
      { routes: { any: { ...routes.any, send: { token: '{s}', set: { s: 'x' } } } } },
      /routes\.any\.send\.token: needs auth\.mode: jwt/
    ],
    [
      'a routed dead-letter topic',
      { kafka: { brokers: ['a'], deadLetter: { topic: 'any' } } },
      /routes\.any\.topic: is the dead-letter topic/
    ],
    [
      'one topic declared in two ways',
      {
        routes: {
          any: { ...routes.any, topic: { name: 'any', partitions: 1 } },
          other: { topic: { name: 'any', partitions: 2 }, channel: 'o', destination: '/o' }
        }
      },
      /routes\.other\.topic: declares any otherwise/
    ]
  ]
  for (const [what, settings, fault] of cross) {
    test(what, () => {
      const faults = faultsOf({ routes, ...settings })
      assert.ok(
        faults.some(text => fault.test(text)),
        faults.join('\n') || 'no fault'
      )
    })
  }

  test('of the file itself: missing, no YAML, no settings', () => {
    assert.throws(() => loadConfig({ file: '/nowhere.yaml', env: {} }), /\/nowhere\.yaml: cannot be read/)
    assert.match(faultsOf('http: [').join(), /^baton\.yaml:1: /)
    assert.match(faultsOf('http: {}\nhttp: {}').join(), /^baton\.yaml:2: .*unique/)
    assert.match(faultsOf('hello').join(), /must be an object of settings/)
    assert.match(faultsOf('a: *b').join(), /^baton\.yaml: .*alias.*b/)
    const bomb = ['[x]', '[*a, *a, *a, *a]', '[*b, *b, *b, *b]', '[*c, *c, *c, *c]', '[*d, *d, *d, *d]']
    const anchored = bomb.map((list, i) => `${'abcde'[i]}: &${'abcde'[i]} ${list}`).join('\n')
    assert.match(faultsOf(anchored).join(), /^baton\.yaml: .*alias/)
    for (const claims of ['&c {x: *c}', '['.repeat(300) + ']'.repeat(300)]) {
      const users = `auth: {mode: users, users: [{login: a, passcode: b, claims: ${claims}}]}`
      assert.deepEqual(faultsOf(users), ['baton.yaml: is nested deeper than 100 levels'])
    }
  })

  test('without quoting a value', () => {
    const auth = { mode: 'users', users: [{ login: 'a', passcode: ['hidden'] }], jwt: { publicKey: 'hidden' } }
    const env = { BATON_KAFKA_SASL_MECHANISM: 'hidden', BATON_HTTP_PORT: 'hidden', BATON_REDIS_TLS: '{hidden' }
    assert.doesNotMatch(faultsOf({ routes, auth, redis: { url: 5, password: ['hidden'] } }, env).join('\n'), /hidden/)
  })
})

/** Values that a setting admits, each with a text that stands for it in the environment. */
function valuesOf({ schema }: Variable): fc.Arbitrary<{ text: string; value: unknown }> {
  const {
    type,
    enum: choices,
    minimum,
    maximum,
    pattern,
    items
  } = schema as Variable['schema'] & { minimum?: number; maximum?: number; pattern?: string }
  const json = (value: unknown) => ({ text: JSON.stringify(value), value })
  const word = fc.stringMatching(/^[\w:./*-]{1,12}$/)
  if (choices) return fc.constantFrom(...choices).map(value => ({ text: String(value), value }))
  if (type === 'integer')
    return fc.integer({ ...(minimum !== undefined && { min: minimum }), max: maximum ?? 1e9 }).map(json)
  if (type === 'boolean') return fc.boolean().map(json)
  if (type === 'string' && pattern?.includes('ms|s|m'))
    return fc.constantFrom('5ms', '1d').map(text => ({ text, value: text }))
  if (type === 'string')
    return fc
      .oneof(word, fc.constantFrom('12', 'true', 'null', '{x}', 'a: b', '한국', ' x '))
      .map(text => ({ text, value: text }))
  if (type === 'array' && items?.type === 'string')
    return fc
      .array(word, { minLength: 1, maxLength: 3 })
      .chain(value => fc.constantFrom(json(value), { text: value.join(','), value }))
  if (type === 'array' && items?.enum)
    return fc.constantFrom(...items.enum).map(value => ({ text: `${value}`, value: [value] }))
  if (type === 'array') return fc.constant(json([{ login: 'a', passcode: 'x' }]))
  if (type === 'object') return fc.constant(json(routes))
  return fc.constantFrom(true, false).map(json)
}

const at = (settings: object, path: string) =>
  path.split('.').reduce((value: unknown, key) => (value as Record<string, unknown> | undefined)?.[key], settings)

describe('the environment', () => {
  test('overrides every setting, as text or from a file', () => {
    for (const variable of variables()) {
      fc.assert(
        fc.property(valuesOf(variable), ({ text, value }) => {
          const plain: Record<string, unknown> = {}
          assert.deepEqual(applyEnvironment(plain, { [variable.name]: text }).faults, [])
          assert.deepEqual(at(plain, variable.path), value, variable.name)
          const filed: Record<string, unknown> = {}
          withFile(`${text}\n`, file =>
            assert.deepEqual(applyEnvironment(filed, { [`${variable.name}_FILE`]: file }).faults, [])
          )
          assert.deepEqual(filed, plain)
        }),
        { numRuns: 5 }
      )
    }
  })

  test('names each setting by its path, once', () => {
    const names = variables().map(({ name }) => name)
    assert.equal(new Set(names).size, names.length)
    const named = Object.fromEntries(variables().map(({ name, path }) => [path, name]))
    assert.equal(named['http.port'], 'BATON_HTTP_PORT')
    assert.equal(named['http.maxBodyBytes'], 'BATON_HTTP_MAX_BODY_BYTES')
    assert.equal(named['kafka.tls'], 'BATON_KAFKA_TLS')
    assert.equal(named['kafka.tls.ca'], 'BATON_KAFKA_TLS_CA')
    assert.equal(named['redis.sentinel.nodes'], 'BATON_REDIS_SENTINEL_NODES')
    assert.equal(named['auth.jwt.jwksUrl'], 'BATON_AUTH_JWT_JWKS_URL')
    assert.equal(named['routes'], 'BATON_ROUTES')
  })

  test('comes before the file, and makes groups that the file does not have', () => {
    const env = {
      BATON_HTTP_PORT: '9',
      BATON_KAFKA_BROKERS: 'a:1,b:2',
      BATON_KAFKA_TLS_REJECT_UNAUTHORIZED: 'false',
      BATON_AUTH_GUESTS: ''
    }
    const { http, kafka, auth } = configOf({ routes, http: { port: 5 } }, env)
    assert.equal(http.port, 9)
    assert.deepEqual(kafka?.brokers, ['a:1', 'b:2'])
    assert.deepEqual(kafka?.tls, { rejectUnauthorized: false })
    assert.equal(auth.guests, false, 'an empty variable is none')
  })

  test('with a name that is no setting, or given twice, is a fault; tools and Kubernetes may have theirs', () => {
    const tools = {
      BATON_TEST_KAFKA: 'x',
      BATON_CACHE: 'x',
      BATON_PORT: 'tcp://10.0.0.1:80',
      BATON_SERVICE_HOST: 'x',
      BATON_PORT_80_TCP_ADDR: 'x',
      PATH: 'x'
    }
    assert.deepEqual(faultsOf({ routes }, tools), [])
    assert.deepEqual(
      faultsOf(
        { routes },
        { BATON_PORT: '80', BATON_HTTP_HOST: 'a', BATON_HTTP_HOST_FILE: '/x', BATON_HTTP_PORT_FILE: '/nowhere' }
      ).map(fault => fault.split(':')[0]),
      ['BATON_PORT', 'BATON_HTTP_HOST_FILE', 'BATON_HTTP_PORT_FILE']
    )
  })
})

describe('the files in config/', () => {
  test('schema.json is the one the settings give', () => {
    assert.equal(readFileSync(join(CONFIG, 'schema.json'), 'utf8'), editorSchema(), 'run: npm run schema')
  })

  test('each setting there is described', () => {
    for (const { name, schema } of variables()) assert.ok('description' in schema, name)
  })

  test('the embedded default runs in memory, open, with pass-through and rooms', () => {
    const { kafka, redis, auth, routes } = loadConfig({ env: {}, check: checkRoutes })
    assert.deepEqual([kafka, redis, auth.mode], [undefined, undefined, 'none'])
    assert.deepEqual(Object.keys(routes), ['topic', 'queue', 'chat', 'comments', 'likes'])
  })

  test('Docker’s has the routes of the default', () => {
    const texts = ['default.yaml', 'docker.yaml'].map(
      file => readFileSync(join(CONFIG, file), 'utf8').split('\nroutes:\n')[1]
    )
    assert.equal(texts[1]?.replaceAll(', replicationFactor: 1', ''), texts[0])
    const { http, kafka, redis } = loadConfig({
      file: join(CONFIG, 'docker.yaml'),
      env: { BATON_REDIS_URL: 'redis://other' },
      check: checkRoutes
    })
    assert.deepEqual([http.host, kafka?.brokers, redis?.url], ['0.0.0.0', ['kafka:9092'], 'redis://other'])
  })

  test('the Zzalu preset asks for the secret and nothing else', () => {
    const file = join(CONFIG, 'presets/zzalu.yaml')
    assert.throws(() => loadConfig({ file, env: {}, check: checkRoutes }), /auth\.jwt: needs exactly one of secret/)
    const { kafka, auth, routes } = loadConfig({ file, env: { BATON_AUTH_JWT_SECRET: 'x' }, check: checkRoutes })
    assert.deepEqual([kafka?.groupId, auth.guests, routes['chat']?.topic?.name], ['foo', true, 'exam'])
  })
})
