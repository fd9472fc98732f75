import { endWithParent } from './processes.ts'

// Preloaded (`--import`) into Node's test runner and so into every test file's process: each ends by way of its exit
// handlers, on a signal or when the process that started it is gone.
endWithParent()
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1))
