import { createPrivateKey, createPublicKey, X509Certificate } from 'node:crypto'
import { isIP } from 'node:net'
import { createSecureContext } from 'node:tls'
import type { Fault } from './faults.ts'
import type { Config } from './normalize.ts'
import { originOf } from './origin.ts'
import { topicFaults } from './topics.ts'

/** Faults between settings that each hold alone. */
export function crossFaults(config: Config): Fault[] {
  return [
    ...roleFaults(config),
    ...httpFaults(config),
    ...linkFaults(config),
    ...authFaults(config),
    ...topicFaults(config),
    ...slowFaults(config)
  ]
}

function roleFaults({ roles, kafka, redis, routes }: Config): Fault[] {
  const isRelay = roles.includes('relay')
  const isEdge = roles.includes('edge')
  if (isRelay && isEdge) return []
  const usesRedis = isRelay || isEdge || Object.values(routes).some(({ send }) => send?.reply)
  const missing = [...(kafka ? [] : ['kafka']), ...(redis || !usesRedis ? [] : ['redis'])]
  if (missing.length === 0) return []
  return [
    {
      path: 'roles',
      message: `a replica that is ${roles.join(' and ')} only shares nothing with the others through memory: set ${missing.join(' and ')}, or take both relay and edge`
    }
  ]
}

function httpFaults({ http }: Config): Fault[] {
  const origins = (['allowedOrigins', 'corsOrigins'] as const).flatMap(setting =>
    http[setting].flatMap((origin, index) => {
      if (origin === '*' || origin === 'null' || originOf(origin) !== undefined) return []
      return [{ path: `http.${setting}.${index}`, message: 'must be an origin such as https://chat.example, or *' }]
    })
  )
  const times =
    http.headersTimeoutMs <= http.requestTimeoutMs
      ? []
      : [{ path: 'http.headersTimeoutMs', message: 'must be at most http.requestTimeoutMs' }]
  const proxies = http.trustProxy.flatMap((proxy, index) =>
    isNetwork(proxy) ? [] : [{ path: `http.trustProxy.${index}`, message: 'must be an IP address, or one with /bits' }]
  )
  return [...origins, ...proxies, ...times, ...tlsFaults(http.tls)]
}

function isNetwork(text: string): boolean {
  const [address = '', bits] = text.split('/')
  const most = { 0: 0, 4: 32, 6: 128 }[isIP(address)] as number
  return most > 0 && (bits === undefined || (/^[1-9]\d*$/.test(bits) && Number(bits) <= most))
}

function tlsFaults(tls: Config['http']['tls']): Fault[] {
  if (!tls) return []
  const cert = attempt(() => new X509Certificate(tls.cert))
  const key = attempt(() => createPrivateKey(tls.key))
  const faults: Fault[] = []
  if (!cert) faults.push({ path: 'http.tls.cert', message: 'must be a certificate in PEM' })
  if (!key) faults.push({ path: 'http.tls.key', message: 'must be a private key in PEM, without a passphrase' })
  if (!cert || !key) return faults
  if (!cert.checkPrivateKey(key)) return [{ path: 'http.tls.key', message: 'does not belong to the certificate' }]
  if (attempt(() => createSecureContext(tls))) return []
  return [{ path: 'http.tls.cert', message: 'is refused by OpenSSL: its key is too small, or its chain is broken' }]
}

/** Undefined where it throws. The message of what it throws may quote a secret. */
function attempt<T>(read: () => T): T | undefined {
  try {
    return read()
  } catch {
    return undefined
  }
}

function linkFaults({ kafka, redis, lifecycle }: Config): Fault[] {
  const faults: Fault[] = []
  if (kafka && kafka.heartbeatIntervalMs * 3 > kafka.sessionTimeoutMs) {
    faults.push({ path: 'kafka.heartbeatIntervalMs', message: 'must be at most a third of kafka.sessionTimeoutMs' })
  }
  if (redis && (redis.url === undefined) === (redis.sentinel === undefined)) {
    faults.push({ path: 'redis', message: 'needs one of url and sentinel' })
  }
  if (lifecycle.drainTimeoutMs >= lifecycle.deadlineMs) {
    faults.push({ path: 'lifecycle.drainTimeoutMs', message: 'must be less than lifecycle.deadlineMs' })
  }
  return faults
}

function authFaults({ auth: { mode, users, jwt, http }, routes }: Config): Fault[] {
  const faults: Fault[] = []
  if (mode === 'users' && users.length === 0)
    faults.push({ path: 'auth.users', message: 'must hold a user in mode users' })
  const logins = users.map(({ login }) => login)
  for (const [index, { login, passcode, passcodeHash }] of users.entries()) {
    const path = `auth.users.${index}`
    if ((passcode === undefined) === (passcodeHash === undefined)) {
      faults.push({ path, message: 'needs one of passcode and passcodeHash' })
    }
    if (passcodeHash !== undefined && !Number.isInteger(Math.log2(Number(passcodeHash.split(':')[1])))) {
      faults.push({ path: `${path}.passcodeHash`, message: 'must have a power of two for N' })
    }
    if (logins.indexOf(login) < index) faults.push({ path: `${path}.login`, message: 'is used before' })
  }
  const keys = [jwt.secret, jwt.publicKey, jwt.jwksUrl].filter(key => key !== undefined)
  if (mode === 'jwt' && keys.length !== 1) {
    faults.push({ path: 'auth.jwt', message: 'needs exactly one of secret, publicKey and jwksUrl' })
  }
  if (jwt.publicKey !== undefined && !isPublicKey(jwt.publicKey)) {
    faults.push({ path: 'auth.jwt.publicKey', message: 'must be an RSA, EC or Ed25519 public key in PEM' })
  }
  if (mode === 'http' && !http) faults.push({ path: 'auth.http', message: 'must be there in mode http' })
  for (const [path, url] of Object.entries({ 'auth.jwt.jwksUrl': jwt.jwksUrl, 'auth.http.url': http?.url })) {
    if (url !== undefined && !isHttpUrl(url))
      faults.push({ path, message: 'must be an http or https URL without user and password' })
  }
  for (const [name, { send }] of Object.entries(routes)) {
    if (send?.token !== undefined && mode !== 'jwt') {
      faults.push({ path: `routes.${name}.send.token`, message: 'needs auth.mode: jwt' })
    }
  }
  return faults
}

/** What else the session is sent must find room behind it: its RECEIPTs would close it. */
function slowFaults({ stomp, routes }: Config): Fault[] {
  return Object.entries(routes).flatMap(([name, { slow }]) => {
    if (slow.policy === 'close' || 2 * slow.bytes <= stomp.sendQueueBytes) return []
    return [{ path: `routes.${name}.slowBytes`, message: 'must be at most half of stomp.sendQueueBytes' }]
  })
}

/** `fetch` refuses those that hold a password, and would quote it. */
function isHttpUrl(text: string): boolean {
  const url = URL.parse(text)
  return url !== null && /^https?:$/.test(url.protocol) && url.username === '' && url.password === ''
}

function isPublicKey(pem: string): boolean {
  const type = attempt(() => createPublicKey(pem).asymmetricKeyType)
  return type === 'rsa' || type === 'ec' || type === 'ed25519'
}
