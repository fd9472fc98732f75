import type { FastifyInstance } from 'fastify'
import { originOf } from '../config/origin.ts'
import { BatonError } from '../errors.ts'

const READS = new Set(['GET', 'HEAD', 'OPTIONS'])
/** Where a page is from, as browsers write it; a parser of URLs forgives more, such as a backslash or a user. */
const PAGE = /^(https?):\/\/(?:[\w.-]+|\[[\da-f:.]+\])(?::\d*)?$/i

/** Whether a page of `origin` is from the very host that its request is for; never where either is malformed. */
export function isOwnOrigin(origin: string, host = ''): boolean {
  const text = `${PAGE.exec(origin)?.[1]}://${host}`
  const own = PAGE.test(text) ? originOf(text) : undefined
  return own !== undefined && own === originOf(origin)
}

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
    if (site === undefined && (origin === undefined || isOwnOrigin(origin, host))) return
    throw new BatonError(
      'ORIGIN_REFUSED',
      `pages of ${origin ?? 'another origin'} may not ${method}; http.corsOrigins lists those that may`
    )
  })
}
