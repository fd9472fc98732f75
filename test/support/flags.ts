/** A flag's value. @throws where it is no whole number. */
export const whole = (text: string): number => {
  if (!/^\d+$/.test(text)) throw new Error(`${text} is no whole number`)
  return Number(text)
}
