import type { SendConfig } from '../config/normalize.ts'
import type { OutgoingRecord } from '../ports.ts'
import type { Lookup } from './projection.ts'
import { scalarText } from './record.ts'
import { invalid } from './send-record.ts'

/** Which partition a record goes to. */
export interface PartitionRule {
  readonly names: readonly string[]
  /** Undefined: as the key decides. @throws BatonError INVALID_BODY for what is no whole number. */
  choose(lookup: Lookup, pointer: (name: string) => string): OutgoingRecord['partition']
}

const MODULO = /^\{([^{}]+)\} % (\d+)$/
/** A whole number of any length that an address can hold. */
const WHOLE = /^-?\d{1,256}$/

/** @param partitions of the topic, where they are declared. @throws SyntaxError where the topic has too few. */
export function compilePartition(rule: SendConfig['partition'], partitions: number | undefined): PartitionRule {
  const [, name, modulus] = MODULO.exec(String(rule)) ?? []
  const least = modulus !== undefined ? Number(modulus) : typeof rule === 'number' ? rule + 1 : 0
  if (partitions !== undefined && least > partitions)
    throw new SyntaxError(`gives partition ${least - 1}, but the topic has ${partitions}, counted from 0`)
  if (name === undefined) {
    const fixed = rule === 'murmur2' ? undefined : (rule as number | 'round-robin' | undefined)
    return { names: [], choose: () => fixed }
  }
  const divisor = BigInt(modulus as string)
  return {
    names: [name],
    choose(lookup, pointer) {
      const text = scalarText(lookup(name))
      if (text === undefined || !WHOLE.test(text))
        throw invalid(pointer(name), `must be a whole number: its partition is ${rule}`)
      return Number(((BigInt(text) % divisor) + divisor) % divisor)
    }
  }
}
