import { createHmac, randomBytes, scrypt, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'
import type { Config } from '../config/normalize.ts'
import { BatonError } from '../errors.ts'

// Passcodes are compared in constant time, an unknown login takes as long as a known one, and a passcode that held once is
// remembered by a digest under a key of this process: ten thousand sessions that come back do not cost ten thousand scrypts.

type User = Config['auth']['users'][number]

const derive = promisify<Buffer, Buffer, number, { N: number; maxmem: number }, Buffer>(scrypt)

export function createUsers(users: readonly User[]) {
  const byLogin = new Map(users.map(user => [user.login, user]))
  const processKey = randomBytes(32)
  const digest = (text: string) => createHmac('sha256', processKey).update(text).digest()
  const proved = new Map<string, Buffer>()
  const hashed = users.find(user => user.passcodeHash !== undefined)
  /** Compared with when the login is not known. */
  const nobody: Pick<User, 'passcode' | 'passcodeHash'> = hashed ?? { passcode: randomBytes(32).toString('hex') }

  async function holds({ passcode, passcodeHash }: typeof nobody, shown: string): Promise<boolean> {
    if (passcodeHash === undefined) return timingSafeEqual(digest(passcode as string), digest(shown))
    const [, cost, salt, hash] = passcodeHash.split(':') as [string, string, string, string]
    const expected = Buffer.from(hash, 'base64url')
    const options = { N: Number(cost), maxmem: 256 * Number(cost) * 8 }
    return timingSafeEqual(
      expected,
      await derive(Buffer.from(shown), Buffer.from(salt, 'base64url'), expected.length, options)
    )
  }

  return {
    /** @throws BatonError UNAUTHENTICATED */
    async verify(login: string, passcode: string) {
      const user = byLogin.get(login)
      const before = proved.get(login)
      const known = before !== undefined && timingSafeEqual(before, digest(passcode))
      if (!known) {
        const right = await holds(user ?? nobody, passcode)
        if (!user || !right) throw new BatonError('UNAUTHENTICATED', 'login or passcode is wrong')
        proved.set(login, digest(passcode))
      }
      return { name: login, claims: (user as User).claims, guest: false }
    }
  }
}
