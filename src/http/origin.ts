import type { FastifyInstance } from 'fastify'
import { BatonError } from '../errors.ts'

const READS = new Set(['GET', 'HEAD', 'OPTIONS'])

/**
 * Refuses what pages of other origins make a browser send: a POST of plain text asks for no preflight, and goes with whatever
 * the browser is known by. It is decided as by Go's http.CrossOriginProtection. What is no browser says neither and passes.
 * @param trusted origins whose pages may send, as CORS has them; `*` is any.
 */
export function refuseForeignPages(app: FastifyInstance, trusted: readonly string[]): void {
  if (trusted.includes('*')) return
  app.addHook('onRequest', async ({ method, headers: { origin, host, 'sec-fetch-site': site } }) => {
    if (READS.has(method) || site === 'same-origin' || site === 'none') return
    if (origin !== undefined && trusted.includes(origin)) return
    // Over plain HTTP browsers tell the origin only.
    const isOwn = origin === undefined || (URL.canParse(origin) && new URL(origin).host === host)
    if (site === undefined && isOwn) return
    throw new BatonError(
      'ORIGIN_REFUSED',
      `pages of ${origin ?? 'another origin'} may not ${method}; http.corsOrigins lists those that may`
    )
  })
}
