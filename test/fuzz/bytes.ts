import { type Random, randomOf } from '../contract/model/random.ts'
import { mutate, pick, shrink } from './mutate.ts'
import { type Attack, faultOf, type Struck } from './target.ts'

export interface BytesAttack {
  /** Good inputs, and evil ones, to be changed. */
  corpus: readonly Buffer[]
  evil?: readonly Buffer[]
  /** What is put into them. */
  words: readonly Buffer[]
  /** So many good ones, at the most, follow each other in one input; one of them is changed, or evil. Default: 1. */
  most?: number
  /** Makes an input of another kind: half of them. */
  make?(random: Random): Buffer
  /** Gives one input away; the same chance gives the same. @throws what does not hold. */
  check(input: Buffer, chance: Random): Struck | Promise<Struck>
}

/** Strikes with bytes out of a corpus, changed; an input that breaks something is shrunk. */
export function strikeWithBytes({ corpus, evil = [], words, most = 1, make, check }: BytesAttack): Attack {
  const all = [...corpus, ...evil]
  return {
    async strike(random) {
      const run = Array.from({ length: 1 + random(most) }, () => pick(random, corpus))
      const bad = pick(random, all)
      run[random(run.length)] = random(20) === 0 ? bad : mutate(bad, random, all, words)
      const input = make && random(2) === 0 ? make(random) : Buffer.concat(run)
      const salt = random(2 ** 31)
      try {
        return await check(input, randomOf(salt))
      } catch (error) {
        const fails = async (smaller: Buffer) => {
          try {
            await check(smaller, randomOf(salt))
            return false
          } catch {
            return true
          }
        }
        throw faultOf(await shrink(input, fails), error)
      }
    }
  }
}
