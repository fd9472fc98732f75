import { Ajv, type ErrorObject } from 'ajv'
import formats from 'ajv-formats'
import { BatonError } from '../errors.ts'
import { invalid, tooDeep } from './send-record.ts'

/** Bodies may bring names of their own into a pointer. */
const POINTER_CHARS = 200

/** @returns a check that throws BatonError INVALID_BODY, with a JSON pointer (RFC 6901) to what does not hold. @throws where the schema is none. */
export function compileSchema(schema: object | boolean): (json: unknown) => void {
  const ajv = new Ajv({ strictTypes: false, strictRequired: false })
  formats.default(ajv)
  const validate = ajv.compile(schema)
  return json => {
    if (holds(json)) return
    throw refusal(validate.errors?.[0] as ErrorObject)
  }

  /** A schema that names itself goes as deep as the body. */
  function holds(json: unknown): boolean {
    try {
      return validate(json) as boolean
    } catch {
      throw tooDeep()
    }
  }
}

function refusal({ instancePath, keyword, params, message }: ErrorObject): BatonError {
  const member = keyword === 'required' ? params['missingProperty'] : params['additionalProperty']
  const pointer = member === undefined ? instancePath : `${instancePath}/${escaped(String(member))}`
  const what = keyword === 'required' ? 'is missing' : member === undefined ? message : 'is not taken here'
  if (pointer === '') return new BatonError('INVALID_BODY', `the body ${what}`)
  return invalid(pointer.slice(0, POINTER_CHARS), String(what))
}

function escaped(member: string): string {
  return member.replaceAll('~', '~0').replaceAll('/', '~1')
}
