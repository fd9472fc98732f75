import { createHash, timingSafeEqual } from 'node:crypto'
import type { FastifyInstance } from 'fastify'
import { type Static, Type } from 'typebox'
import { durationMs } from '../config/types.ts'
import { BatonError } from '../errors.ts'
import type { Revocation, Revocations } from '../revocations.ts'
import { compileSchema } from '../routes/body-schema.ts'
import { parseBody } from '../routes/send-record.ts'
import { answers } from './problem.ts'

const DEFAULT_FOR = '1d'

const Asked = Type.Object(
  {
    principal: Type.String({
      // Redis would keep another name for one that is no text.
      pattern: '^[^\\ud800-\\udfff]+$',
      description: 'Name of the principal: `user-name` of CONNECTED, `{principal.name}` of templates.'
    }),
    for: Type.Optional(
      Type.String({
        pattern: '^[1-9]\\d{0,3}(ms|s|m|h|d)$',
        default: DEFAULT_FOR,
        description: 'How long: 500ms, 30s, 10m, 12h or 1d. At least as long as its credentials hold.'
      })
    )
  },
  { additionalProperties: false }
)

const Revoked = Type.Object({ principal: Type.String(), until: Type.String({ format: 'date-time' }) })

export interface AdminDeps {
  token: string
  revocations: Pick<Revocations, 'list' | 'revoke' | 'lift'>
}

/** The calls that send principals away. Each asks for the token. */
export function registerAdmin(app: FastifyInstance, { token, revocations }: AdminDeps): void {
  const expected = digest(token)
  const check = compileSchema(Asked)
  const tags = ['administration']
  const security = [{ bearer: [] }]

  app.register(async admin => {
    // Before the body is read.
    admin.addHook('onRequest', async ({ headers: { authorization = '' } }) => {
      const shown = /^bearer +(.*)$/i.exec(authorization)?.[1] ?? ''
      if (timingSafeEqual(expected, digest(shown))) return
      throw new BatonError('UNAUTHENTICATED', 'Authorization must be Bearer and the admin.token of this gateway')
    })

    admin.get(
      '/admin/revocations',
      {
        schema: {
          ...{ summary: 'Who was sent away', tags, security },
          response: answers({ 200: Type.Object({ revocations: Type.Array(Revoked) }) })
        }
      },
      async (_, reply) => {
        const revoked = await revocations.list()
        return reply.header('cache-control', 'no-store').send({ revocations: revoked.map(viewOf) })
      }
    )

    admin.post(
      '/admin/revocations',
      {
        schema: {
          ...{ summary: 'End every session of a principal, and let it in no more', tags, security },
          consumes: ['application/json'],
          body: Asked,
          response: answers({ 200: Revoked })
        },
        validatorCompiler: () => () => true
      },
      async ({ body, headers }) => {
        const asked = parseBody((body as Buffer | undefined) ?? Buffer.alloc(0), headers as Record<string, string>)
        check(asked)
        const { principal, for: time = DEFAULT_FOR } = asked as Static<typeof Asked>
        const revocation = { principal, lapsesMs: Date.now() + durationMs(time) }
        await revocations.revoke(revocation)
        return viewOf(revocation)
      }
    )

    admin.delete<{ Params: { principal: string } }>(
      '/admin/revocations/:principal',
      {
        schema: {
          ...{ summary: 'Let a principal in again', tags, security },
          response: answers({ 204: Type.Null({ description: 'It may come in again.' }) })
        }
      },
      async ({ params: { principal } }, reply) => {
        if (await revocations.lift(principal)) return reply.code(204).send()
        throw new BatonError('NOT_FOUND', 'no revocation of this principal is in force')
      }
    )
  })
}

function viewOf({ principal, lapsesMs }: Revocation): Static<typeof Revoked> {
  return { principal, until: new Date(lapsesMs).toISOString() }
}

/** Of equal length, whatever was shown. */
function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}
