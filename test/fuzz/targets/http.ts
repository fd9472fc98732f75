import { HTTP_REQUESTS, HTTP_WORDS } from '../http-corpus.ts'
import { cut, mutate, pick } from '../mutate.ts'
import { converse } from '../sockets.ts'
import { hold, type Struck, type Target } from '../target.ts'

const AT_ONCE = 16
const UNDERSTOOD = /^HTTP\/1\.1 (\d{3}) /

export const http: Target = {
  name: 'http',
  about: 'HTTP requests, good and changed: methods, encoded slashes, lengths, chunks, header bombs, hostile rooms',
  short: 300,
  long: 40_000,
  async open(stage) {
    const replica = await stage.replica()

    async function ask(pieces: Buffer[]): Promise<string> {
      const back = (await converse(replica.url, pieces)).toString('latin1')
      if (back === '') return 'CLOSED'
      const status = UNDERSTOOD.exec(back)?.[1]
      hold(status !== undefined, `answered with ${back.slice(0, 80)}`)
      hold(status !== '500', `answered with ${back.slice(0, 600)}`)
      return status
    }

    return {
      replica,
      async strike(random): Promise<Struck> {
        const requests = Array.from({ length: AT_ONCE }, () => {
          const request = pick(random, HTTP_REQUESTS)
          const said = random(3) === 0 ? request : mutate(request, random, HTTP_REQUESTS, HTTP_WORDS)
          return ask(random(3) === 0 ? cut(said, random) : [said])
        })
        return { frames: AT_ONCE, refusals: await Promise.all(requests) }
      }
    }
  }
}
