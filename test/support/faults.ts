/** True in `npm run faults`: the tests of test/faults take their full counts, and all the time they need. */
export const full = process.env['BATON_TEST_FAULTS'] === 'full'

/** How many of something a test of test/faults does: in `npm test`, and in `npm run faults`. */
export const count = (short: number, long: number): number => (full ? long : short)
