import type { FastifyInstance, FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import type { Auth } from '../auth.ts'
import type { Inbound } from '../inbound.ts'
import { networkOf } from '../network.ts'
import type { Allowance } from '../rates.ts'
import type { Replies } from '../replies.ts'
import { contentTypeOf } from '../reply.ts'
import type { Names, Routes } from '../routes.ts'
import { answers } from './problem.ts'
import { addressOf, principalOf } from './request.ts'

const Coordinate = Type.Object({ topic: Type.String(), partition: Type.Integer(), offset: Type.Integer() })

const WRITTEN = { 202: Type.Object(Coordinate.properties, { description: 'Where Kafka wrote the record.' }) }
const ALL_WRITTEN = {
  202: Type.Array(Coordinate, { description: 'Where Kafka wrote each of the records, in their order.' })
}
const REPLIED = {
  200: { description: 'What the service replied, with the content type it gave.', content: { '*/*': { schema: {} } } }
}

/** `x-` headers that proxies add, or that hold secrets: they stay here. */
const PRIVATE_HEADER = /^x-(?:(?:forwarded|original|envoy|amzn|auth)-|real-ip$|api-key$|.*(?:token|secret|csrf|xsrf))/

export interface PublishDeps {
  routes: Routes
  auth: Auth
  inbound: Inbound
  replies: Pick<Replies, 'ask'>
  /** Of whoever POSTs. */
  allowanceOf(sender: string): Allowance
  /** JSON schema of a route's bodies, for the OpenAPI document only: `inbound` checks them. */
  schemaOf(route: string): object | boolean | undefined
}

/**
 * One HTTP route for each route with `send.http`. Answers 202 once Kafka acknowledged the record on all in-sync replicas; on a
 * route with `reply` 200 once the reply came, with its bytes.
 */
export function registerPublish(
  app: FastifyInstance,
  { routes, auth, inbound, replies, allowanceOf, schemaOf }: PublishDeps
): void {
  for (const route of routes.all) {
    const rule = route.send
    if (!rule?.http) continue
    const { method, url, names } = wayIn(rule.http)
    const schema = schemaOf(route.name)
    app.route({
      method,
      url,
      schema: {
        summary: `Send to route ${route.name}`,
        tags: ['messages'],
        consumes: [typeof schema === 'object' ? 'application/json' : '*/*'],
        body: typeof schema === 'object' ? schema : {},
        response: answers(rule.reply ? REPLIED : rule.many ? ALL_WRITTEN : WRITTEN)
      },
      validatorCompiler: () => () => true,
      async handler(request, response) {
        const principal = await principalOf(request, auth)
        const sender = principal.guest ? networkOf(addressOf(request)) : `principal ${principal.name}`
        allowanceOf(sender)(route.name, rule.rate)
        const prepared = await inbound.prepare({
          route,
          rule,
          names: names(request.params as Record<string, string>),
          body: (request.body as Buffer | undefined) ?? Buffer.alloc(0),
          headers: userHeaders(request),
          principal
        })
        if (rule.reply) {
          const { reply } = await replies.ask(prepared, rule.reply)
          const answer = await reply
          return response.type(contentTypeOf(answer)).send(answer.body)
        }
        const produced = await inbound.produce([prepared])
        return response.code(202).send(rule.many ? produced : produced[0])
      }
    })
  }
}

/** `POST /rooms/{room.id}` as fastify takes it, and the way back from its parameters to our names. */
function wayIn(http: string): { method: string; url: string; names: (params: Record<string, string>) => Names } {
  const [method, template] = http.split(' ') as [string, string]
  const parameter = (name: string) => name.replace(/\W/g, '_')
  const names = [...template.matchAll(/\{([^{}]+)\}/g)].map(([, name]) => name as string)
  return {
    method,
    url: template.replaceAll(':', '::').replace(/\{([^{}]+)\}/g, (_, name: string) => `:${parameter(name)}`),
    names: params => Object.fromEntries(names.map(name => [name, params[parameter(name)] as string]))
  }
}

/** Content type and `x-` headers travel with the message, as a SEND's own headers do. */
function userHeaders({ headers }: FastifyRequest): Record<string, string> {
  const taken = Object.entries(headers).filter(
    ([name]) => name === 'content-type' || (name.startsWith('x-') && !PRIVATE_HEADER.test(name))
  )
  return Object.fromEntries(taken.map(([name, value]) => [name, String(value)]))
}
