import swagger from '@fastify/swagger'
import type { FastifyInstance } from 'fastify'
import { Type } from 'typebox'
import type { Metrics } from '../metrics.ts'
import { answers } from './problem.ts'

/** One condition of being ready. */
export interface Check {
  name: string
  ok: boolean
  /** Why not, or what it waits for. */
  detail?: string
}

const Readiness = Type.Object({
  ready: Type.Boolean(),
  checks: Type.Array(Type.Object({ name: Type.String(), ok: Type.Boolean(), detail: Type.Optional(Type.String()) }))
})

/** Comes before all routes: it sees those that follow. */
export async function registerOpenApi(app: FastifyInstance, version: string): Promise<void> {
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Baton',
        version,
        description: 'STOMP over WebSocket is spoken beside this API; see docs/stomp.md.'
      },
      components: {
        securitySchemes: {
          bearer: { type: 'http', scheme: 'bearer' },
          basic: { type: 'http', scheme: 'basic' },
          accessToken: { type: 'apiKey', in: 'query', name: 'access_token' }
        }
      },
      security: [{}, { bearer: [] }, { basic: [] }, { accessToken: [] }]
    }
  })
  app.get('/openapi.json', { schema: { hide: true } }, () => app.swagger())
}

const tags = ['operation']

/** What an orchestrator asks for. `/livez` says only that the process answers. */
export function registerHealth(
  app: FastifyInstance,
  { checks, draining }: { checks(): Check[]; draining(): boolean }
): void {
  app.get(
    '/livez',
    { schema: { summary: 'The process answers', tags, response: { 200: Type.Object({ live: Type.Boolean() }) } } },
    () => ({ live: true })
  )
  app.get(
    '/readyz',
    { schema: { summary: 'Messages flow through this replica', tags, response: { 200: Readiness, 503: Readiness } } },
    async (_, reply) => {
      const all = [...checks(), ...(draining() ? [{ name: 'http', ok: false, detail: 'going away' }] : [])]
      const ready = all.every(check => check.ok)
      return reply
        .code(ready ? 200 : 503)
        .header('cache-control', 'no-store')
        .send({ ready, checks: all })
    }
  )
}

export function registerMetrics(app: FastifyInstance, metrics: Metrics): void {
  app.get(
    '/metrics',
    { schema: { summary: 'Metrics in the Prometheus text format', tags, response: answers({ 200: Type.String() }) } },
    async (_, reply) => reply.type(metrics.registry.contentType).send(await metrics.registry.metrics())
  )
}
