import assert from 'node:assert/strict'
import { SignJWT } from 'jose'
import pino from 'pino'
import { createAuth, type Principal } from '../../src/auth.ts'
import type { BatonError, ErrorCode } from '../../src/errors.ts'
import { createInbound, type Prepared } from '../../src/inbound.ts'
import { createMetrics } from '../../src/metrics.ts'
import type { OutgoingRecord } from '../../src/ports.ts'
import { createRoutes } from '../../src/routes.ts'
import { configOf } from './config-of.ts'

// A way in without a server: what is produced is gathered.

export const SECRET = 'a secret of thirty-two bytes, yes'
const GUEST: Principal = { name: 'guest', claims: {}, guest: true }
export const MEMBER = { nickname: '김', memberName: 'kim', memberId: 42, profilePath: null }
export const member: Principal = { name: '김', claims: MEMBER, guest: false }
export const chat = { topic: 'chat', channel: 'chat:{roomId}', destination: '/sub/{roomId}' }

export const tokenOf = (claims: object) =>
  new SignJWT({ ...claims }).setProtectedHeader({ alg: 'HS256' }).sign(Buffer.from(SECRET))

interface Sending {
  body?: string | Buffer | object
  headers?: Record<string, string>
  principal?: Principal
}

/** The way in of a configuration: `send` prepares, and what is produced is in `produced`. */
export function wayIn(settings: { routes: object; auth?: object }, maxBodyBytes = 1000) {
  const config = configOf(settings)
  const routes = createRoutes(config.routes)
  const metrics = createMetrics()
  const produced: OutgoingRecord[][] = []
  const sink = {
    async produce(records: OutgoingRecord[]) {
      produced.push(records)
      return records.map(({ topic }, offset) => ({ topic, partition: 0, offset }))
    }
  }
  const inbound = createInbound(
    { maxBodyBytes },
    { auth: createAuth(config.auth, { logger: pino({ level: 'silent' }) }), sink, metrics }
  )
  const send = (
    destination: string,
    { body = '', headers = {}, principal = GUEST }: Sending = {}
  ): Promise<Prepared> => {
    const bytes = Buffer.isBuffer(body) ? body : Buffer.from(typeof body === 'string' ? body : JSON.stringify(body))
    return inbound.prepare({ ...routes.sendable(destination), body: bytes, headers, principal })
  }
  return { inbound, metrics, produced, send }
}

export async function sent(prepared: Promise<Prepared>): Promise<OutgoingRecord & { json: unknown }> {
  const { records } = await prepared
  assert.equal(records.length, 1)
  const [record] = records as [OutgoingRecord]
  return {
    ...record,
    get json() {
      return JSON.parse(String(record.value))
    }
  }
}

export const refused = (prepared: Promise<Prepared>, code: ErrorCode, detail: RegExp) =>
  assert.rejects(prepared, (error: BatonError) => {
    assert.equal(error.code, code)
    assert.match(error.detail, detail)
    assert.doesNotMatch(error.detail, /hidden/)
    return true
  })
