import { InvalidArgumentError } from 'commander'

/** A flag's value. @throws where it is no whole number from `least`: commander then says so in one line, and ends the process. */
export function wholeFrom(least: number): (text: string) => number {
  return text => {
    const value = Number(text)
    if (/^\d+$/.test(text) && Number.isSafeInteger(value) && value >= least) return value
    throw new InvalidArgumentError(`It is no whole number from ${least}.`)
  }
}

export const whole = wholeFrom(0)
