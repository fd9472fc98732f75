import type { FastifyInstance } from 'fastify'
import { BatonError } from '../errors.ts'
import { pathOf } from './request.ts'

/** 404 for a path that nothing serves, 405 with `Allow` for one that other methods serve. */
export function refuseUnknown(app: FastifyInstance): void {
  const served: { path: RegExp; methods: Set<string> }[] = []
  app.addHook('onRoute', ({ url, method }) => {
    // The OPTIONS of @fastify/cors, which is there for every path, serves none.
    if (url === '*') return
    const pattern = url
      .replace(/[.+?^${}()|[\]\\]/g, '\\$&')
      .replace(/::|:\w+/g, part => (part === '::' ? ':' : '[^/]+'))
      .replaceAll('*', '.*')
    served.push({ path: new RegExp(`^${pattern}$`), methods: new Set([method].flat()) })
  })
  app.setNotFoundHandler((request, reply) => {
    const path = pathOf(request.url)
    const methods = new Set(served.filter(route => route.path.test(path)).flatMap(route => [...route.methods]))
    if (methods.size === 0 || methods.has(request.method))
      throw new BatonError('NOT_FOUND', `nothing is served at ${path}`)
    const allow = [...methods].join(', ')
    reply.header('allow', allow)
    throw new BatonError('METHOD_NOT_ALLOWED', `${path} does not take ${request.method}, only ${allow}`)
  })
}
