import { isUtf8 } from 'node:buffer'
import { createHash } from 'node:crypto'
import type { FastifyInstance } from 'fastify'
import { type Static, Type } from 'typebox'
import type { Auth } from '../auth.ts'
import { BatonError } from '../errors.ts'
import { encodeMessageId, parseMessageId, type ResumePoint, sourceTag } from '../message/id.ts'
import { bodyOf, type Coordinate, headersOf, type Message, type Position, topicOf } from '../message.ts'
import { isDeeperThan } from '../nesting.ts'
import type { ChannelLog, Head } from '../ports.ts'
import type { Routes } from '../routes.ts'
import { answers } from './problem.ts'
import { principalOf } from './request.ts'

const DEFAULT_LIMIT = 50
/** JSON that is nested deeper is shown as text: it could not be written again. */
const DEEPEST = 500

const Query = Type.Object({
  destination: Type.String({ minLength: 1, description: 'A destination one can subscribe to.' }),
  limit: Type.Optional(
    Type.Integer({ minimum: 1, maximum: 200, default: DEFAULT_LIMIT, description: 'The most messages of a page.' })
  ),
  before: Type.Optional(
    Type.String({
      minLength: 1,
      description: 'A message-id: the page ends with the message before it. Absent: with the newest.'
    })
  )
})

const Entry = Type.Object({
  id: Type.String({ description: 'message-id: good for `before`, and for `last-message-id` of a SUBSCRIBE.' }),
  coordinate: Type.Object({ topic: Type.String(), partition: Type.Integer(), offset: Type.Integer() }),
  time: Type.String({ format: 'date-time', description: "Kafka's timestamp." }),
  headers: Type.Record(Type.String(), Type.String()),
  body: Type.Unknown({
    description:
      'Parsed where it is JSON of at most 500 levels, a string where it is UTF-8, else `{ "base64": "…" }`. Absent where it is omitted.'
  }),
  omitted: Type.Optional(Type.Literal(true, { description: 'The body was too long for the log.' }))
})

const Page = Type.Object({
  destination: Type.String(),
  messages: Type.Array(Entry, { description: 'Oldest first.' }),
  before: Type.Optional(Type.String({ description: '`before` of the next older page. Absent: there is none.' }))
})

/** A message that rests in a log: there both are known. */
type Logged = Message & { position: Position; coordinate: Coordinate }

export interface Wanted {
  limit: number
  before: ResumePoint | undefined
  /** Only the last `size` visible entries may be read. */
  size: number
  /** Only entries from then on may be read. */
  sinceMs: number
}

/** The readable entries of one page, oldest first, and whether there are older ones. `entries`: the log, or its end, oldest first. */
export function pageOf(
  entries: readonly Message[],
  { limit, before, size, sinceMs }: Wanted
): { page: Logged[]; older: boolean } {
  const visible = (entry: Message): entry is Logged =>
    entry.position !== undefined && !entry.hidden && entry.timestampMs >= sinceMs
  const readable = entries.filter(visible).slice(-size)
  const end = before ? readable.findLastIndex(entry => isOlder(entry, before)) + 1 : readable.length
  const start = Math.max(0, end - limit)
  return { page: readable.slice(start, end), older: start > 0 }
}

/** By position within an epoch, across epochs by coordinate: so paging goes on after a log was rewritten. */
function isOlder({ position, coordinate }: Logged, { position: point, own }: ResumePoint): boolean {
  if (position.epoch === point?.epoch) return position.seq < point.seq
  return own !== undefined && sourceTag(coordinate.source) === own.tag && coordinate.offset < own.offset
}

/** The newest page nearly always lies in the log's end: only where most of that is hidden, all of it is read. */
async function readPage(
  log: ChannelLog,
  channel: string,
  wanted: Wanted
): Promise<ReturnType<typeof pageOf> & { head: Head }> {
  const tail = wanted.before ? undefined : 2 * wanted.limit + 1
  const { entries, head } = await log.read(channel, tail)
  const found = pageOf(entries, wanted)
  const enough = entries.length !== tail || found.older || found.page.length === wanted.size
  return { ...(enough ? found : pageOf((await log.read(channel)).entries, wanted)), head }
}

function pointOf(id: string): ResumePoint {
  const point = parseMessageId(id)
  if (!point)
    throw new BatonError('INVALID_QUERY', 'before: not a message-id; take that of a message or of a page as it came')
  return point
}

export function registerHistory(
  app: FastifyInstance,
  { routes, log, auth }: { routes: Routes; log: ChannelLog; auth: Auth }
): void {
  app.get<{ Querystring: Static<typeof Query> }>('/history', {
    schema: {
      summary: 'Messages of a destination, oldest first',
      tags: ['messages'],
      querystring: Query,
      response: answers({ 200: Page, 304: Type.Null({ description: 'As `If-None-Match` has it.' }) })
    },
    async handler(request, reply) {
      const { destination, limit = DEFAULT_LIMIT, before: id } = request.query
      const { route, channel, names } = routes.subscribable(destination)
      auth.authorize('history', route, await principalOf(request, auth), names)
      const before = id === undefined ? undefined : pointOf(id)
      const { size, maxAgeMs } = route.history
      const sinceMs = maxAgeMs === undefined ? 0 : Date.now() - maxAgeMs
      const { page, older, head } = await readPage(log, channel, { limit, before, size, sinceMs })
      // Where a page begins it is not known how far the other sources of the channel had come.
      const alone = (head.vector?.size ?? 0) <= 1
      const ids = page.map(({ position, coordinate }) => encodeMessageId(position, coordinate, new Map(), alone))
      // A page is a run of the log and a logged message never changes: its ids name it.
      const etag = `W/"${createHash('sha256').update(`${older} ${ids}`).digest('base64url').slice(0, 22)}"`
      reply.header('etag', etag).header('cache-control', 'private, no-cache')
      const known = request.headers['if-none-match']?.split(',').map(tag => tag.trim())
      if (known?.includes(etag)) return reply.code(304).send()
      return {
        destination,
        messages: page.map((entry, i) => viewOf(entry, ids[i] as string)),
        ...(older && { before: ids[0] })
      }
    }
  })
}

function viewOf(entry: Logged, id: string): Static<typeof Entry> {
  const { source, offset } = entry.coordinate
  const headers = readableHeaders(entry)
  return {
    id,
    coordinate: { topic: topicOf(source), partition: Number.parseInt(source.split('/')[2] as string, 10), offset },
    time: new Date(entry.timestampMs).toISOString(),
    headers,
    ...(entry.omitted
      ? { body: undefined, omitted: true }
      : { body: readableBody(bodyOf(entry), headers['content-type']) })
  }
}

const ESCAPES: Record<string, string> = { '\\n': '\n', '\\r': '\r', '\\c': ':', '\\\\': '\\' }

/** Header lines as STOMP 1.2 encodes them; of a repeated name the first counts. */
function readableHeaders(message: Message): Record<string, string> {
  const plain = (text: string) => text.replace(/\\[nrc\\]/g, pair => ESCAPES[pair] as string)
  const headers = new Map<string, string>()
  for (const line of headersOf(message).toString().split('\n')) {
    const colon = line.indexOf(':')
    const name = plain(line.slice(0, Math.max(0, colon)))
    if (colon > 0 && name !== 'content-length' && !headers.has(name)) headers.set(name, plain(line.slice(colon + 1)))
  }
  return Object.fromEntries(headers)
}

function readableBody(body: Buffer, contentType = ''): unknown {
  if (!isUtf8(body)) return { base64: body.toString('base64') }
  const text = body.toString()
  if (!/^application\/(?:[^;\s]+\+)?json\b/i.test(contentType)) return text
  try {
    const value = JSON.parse(text)
    return isDeeperThan(DEEPEST, value) ? text : value
  } catch {
    return text
  }
}
