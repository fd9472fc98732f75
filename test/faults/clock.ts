// Preloaded into a replica: each SIGWINCH sets its clock, first an hour ahead, then an hour behind, then right. What counts intervals
// (timers, performance.now) goes on, as it does on a machine whose clock is set.

const HOUR_MS = 3_600_000
const SHIFTS_MS = [HOUR_MS, -HOUR_MS, 0]

let shiftMs = 0
let moves = 0
process.on('SIGWINCH', () => {
  shiftMs = SHIFTS_MS[moves++ % SHIFTS_MS.length] as number
  process.stdout.write(`clock ${moves}: ${shiftMs} ms off\n`)
})

const now = () => RealDate.now() + shiftMs
const RealDate = Date
globalThis.Date = new Proxy(RealDate, {
  construct: (target, args) => (args.length === 0 ? new target(now()) : Reflect.construct(target, args)),
  get: (target, name) => (name === 'now' ? now : Reflect.get(target, name))
})
