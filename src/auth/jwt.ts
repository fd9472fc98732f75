import { createPublicKey, createSecretKey, type KeyObject } from 'node:crypto'
import { type CryptoKey, createRemoteJWKSet, errors, type JWTPayload, type JWTVerifyOptions, jwtVerify } from 'jose'
import type { Config } from '../config/normalize.ts'
import { BatonError } from '../errors.ts'
import { field, scalarText } from '../routes/record.ts'

// Algorithms follow from the key, never from the token (RFC 8725 §3.1).

const HMAC = ['HS256', 'HS384', 'HS512']
const RSA = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512']
const EDDSA = ['EdDSA', 'Ed25519']
const EC: Record<string, string> = { prime256v1: 'ES256', secp384r1: 'ES384', secp521r1: 'ES512' }

/** @param options as loadConfig has checked them: one of secret, publicKey and jwksUrl, and that can be read. */
export function createTokens({ nameClaim, ...options }: Config['auth']['jwt']) {
  const verifier = createVerifier(options)

  return {
    /** @throws BatonError UNAUTHENTICATED; AUTH_UNAVAILABLE when the key set cannot be fetched. */
    async verify(token: string) {
      let claims: JWTPayload
      try {
        claims = (await verifier(token)).payload
      } catch (error) {
        throw refusal(error)
      }
      const name = nameClaim ? field(claims, nameClaim) : (claims.sub ?? claims['name'])
      const expires = claims.exp !== undefined && { expiresAtMs: claims.exp * 1000 }
      return { name: scalarText(name) ?? '', claims, guest: false, ...expires }
    }
  }
}

function createVerifier({ secret, publicKey, jwksUrl, jwksCacheMs, issuer, audience }: Config['auth']['jwt']) {
  const expected: JWTVerifyOptions = { ...(issuer && { issuer }), ...(audience && { audience }) }
  if (jwksUrl) {
    // A key that it does not know has the set fetched anew, every 30 s at most.
    const keys = createRemoteJWKSet(new URL(jwksUrl), { cacheMaxAge: jwksCacheMs })
    const options = { ...expected, algorithms: [...RSA, ...Object.values(EC), ...EDDSA] }
    return (token: string) =>
      jwtVerify(token, keys, options).catch(error => {
        if (error instanceof errors.JWKSMultipleMatchingKeys) return verifyByAny(token, error, options)
        throw error
      })
  }
  const key = secret ? createSecretKey(secret, 'utf8') : createPublicKey(publicKey as string)
  const algorithms = secret ? HMAC : algorithmsOf(key)
  return (token: string) => jwtVerify(token, key, { ...expected, algorithms })
}

/** A token without `kid`, while the issuer has several keys of its kind: in the midst of a rotation. */
async function verifyByAny(token: string, keys: AsyncIterable<CryptoKey>, options: JWTVerifyOptions) {
  for await (const key of keys) {
    try {
      return await jwtVerify(token, key, options)
    } catch (error) {
      if (!(error instanceof errors.JWSSignatureVerificationFailed)) throw error
    }
  }
  throw new errors.JWSSignatureVerificationFailed()
}

function algorithmsOf({ asymmetricKeyType, asymmetricKeyDetails }: KeyObject): string[] {
  if (asymmetricKeyType === 'rsa') return RSA
  if (asymmetricKeyType === 'ed25519') return EDDSA
  return [EC[asymmetricKeyDetails?.namedCurve ?? '']].filter(algorithm => algorithm !== undefined)
}

/** Why, in words of our own where jose's could quote a claim. */
function refusal(error: unknown): BatonError {
  const refuse = (detail: string) => new BatonError('UNAUTHENTICATED', detail, { cause: error })
  if (error instanceof errors.JWTExpired) return refuse('the token has expired')
  if (error instanceof errors.JWTClaimValidationFailed) return refuse(`the token's claim ${error.claim} does not hold`)
  if (error instanceof errors.JWSSignatureVerificationFailed) return refuse("the token's signature does not hold")
  if (error instanceof errors.JOSEAlgNotAllowed) return refuse("the token's algorithm is not one of the key's")
  if (error instanceof errors.JWKSNoMatchingKey) return refuse("no key of the issuer fits the token's")
  if (error instanceof errors.JWSInvalid || error instanceof errors.JWTInvalid) return refuse('the token is no JWT')
  if (error instanceof errors.JOSENotSupported) return refuse('the token asks for what is not supported')
  return new BatonError('AUTH_UNAVAILABLE', 'the keys of the issuer cannot be read now', { cause: error })
}
