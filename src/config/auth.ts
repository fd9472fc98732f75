import { Type } from 'typebox'
import { flag, group, integer, oneOf, optionalGroup, optionalText, text } from './types.ts'

export const AuthSettings = group('Who may connect.', {
  mode: oneOf(
    ['none', 'users', 'jwt', 'http'],
    'none',
    'none: anyone, as a guest; users: login and passcode; jwt: a signed token; http: whom an endpoint of yours knows.'
  ),
  guests: flag(false, 'Let those in who show no credential, as guests.'),
  refreshDestination: text(
    '/app/auth/refresh',
    'Where a session SENDs a fresh credential before its own expires, in mode jwt and http.'
  ),
  users: Type.Array(
    Type.Object(
      {
        login: Type.String({ minLength: 1, description: 'Login.' }),
        passcode: Type.Optional(Type.String({ minLength: 1, description: 'Passcode as it is; this or passcodeHash.' })),
        passcodeHash: Type.Optional(
          Type.String({
            pattern: '^scrypt:[1-9]\\d{0,6}:[\\w-]+:[\\w-]{43,}$',
            description: 'scrypt:N:salt:hash, salt and hash in base64url, r = 8, p = 1.',
            allowed: 'scrypt:N:salt:hash with salt and hash in base64url, the hash of 32 bytes or more'
          })
        ),
        claims: Type.Record(Type.String(), Type.Unknown(), {
          default: {},
          description: 'What allow conditions and templates read of this user.'
        })
      },
      { additionalProperties: false }
    ),
    { default: [], description: 'Users of mode users.' }
  ),
  jwt: group('How tokens are checked, in mode jwt: by exactly one of secret, publicKey, jwksUrl.', {
    secret: optionalText('Shared secret of HS256, HS384 and HS512; 32 bytes or more are advised.'),
    publicKey: optionalText('Public key in PEM: RSA, EC or Ed25519.'),
    jwksUrl: optionalText('URL of the JSON Web Key Set.'),
    jwksCacheMs: integer(
      600_000,
      [1000],
      'How long the key set is kept, and a key that has left it is taken, milliseconds.'
    ),
    issuer: optionalText('What iss must be. Default: anything.'),
    audience: optionalText('What aud must hold. Default: anything.'),
    nameClaim: optionalText('The claim that is the name of the principal. Default: sub, else name.')
  }),
  http: optionalGroup('Who is asked, in mode http.', {
    url: Type.String({
      minLength: 1,
      description: 'http or https URL that is POSTed what a client showed, and answers who that is.'
    }),
    timeoutMs: integer(3000, [1], 'How long it may take, milliseconds.'),
    cacheMs: integer(60_000, [0], 'How long its answer holds for the same credential, milliseconds; 0: it is not kept.')
  })
})
