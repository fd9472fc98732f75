import type { Mutant } from './mutant.ts'

/** Of the owner and the log. */
export const WRITERS: Mutant[] = [
  {
    name: 'redelivered-is-appended',
    invariant: 'I2',
    breaks: 'A record that was consumed again is appended again.',
    file: 'src/memory/log.ts',
    find: 'offset > (logSize === 0 ? Math.max(last, again) : last)',
    replace: 'logSize > 0 || offset > Math.max(last, again)',
    server: 'memory'
  },
  {
    name: 'redelivered-is-appended-redis',
    invariant: 'I2',
    breaks: 'A record that was consumed again is appended again.',
    file: 'src/redis/append.lua',
    find: 'if offset and (offset <= last or (size == 0 and offset <= again))',
    replace: 'if offset and size == 0 and offset <= again',
    server: 'Redis'
  },
  {
    name: 'fence-moves-first',
    invariant: 'I2',
    breaks: 'The fence is moved by a call of its own, before what it covers is written.',
    file: 'src/owner.ts',
    find: 'const written = await append({ source, expect: acknowledged, upTo, again, token: epochToken, appends }, beat)',
    replace:
      'await append({ source, expect: acknowledged, upTo, again, token: epochToken, appends: [] }, beat)\n        const written = await append({ source, expect: acknowledged, upTo, again, token: epochToken, appends }, beat)',
    server: 'memory'
  },
  {
    name: 'published-and-not-logged',
    invariant: 'I2',
    breaks: 'Some messages are published without being logged.',
    file: 'src/memory/log.ts',
    find: '    keep(channel, logged',
    replace: '    if (channel.seq % 5 > 0) keep(channel, logged',
    server: 'memory'
  },
  {
    name: 'nothing-expected',
    invariant: 'I3',
    breaks: 'The owner does not say what it knows to be acknowledged.',
    file: 'src/owner.ts',
    find: 'await append({ source, expect: acknowledged,',
    replace: 'await append({ source, expect: -1,',
    server: 'memory'
  },
  {
    name: 'idle-not-probed',
    invariant: 'I3',
    breaks: 'Nobody looks after Redis while a partition is idle.',
    file: 'src/owner.ts',
    find: 'const chunk = { source, expect: acknowledged, upTo: acknowledged,',
    replace: 'const chunk = { source, expect: -1, upTo: acknowledged,',
    server: 'memory'
  },
  {
    name: 'behind-is-written-redis',
    invariant: 'I3',
    breaks: 'A Redis that is behind takes what comes as if nothing were missing.',
    file: 'src/redis/append.lua',
    find: 'if last < expect then',
    replace: 'if fence and last < expect - 1000 then',
    server: 'Redis'
  },
  {
    name: 'fence-of-the-routed',
    invariant: 'I4',
    breaks: 'The fence stays at the last record that had a channel.',
    file: 'src/owner.ts',
    find: 'expect: acknowledged, upTo, again, token: epochToken',
    replace: 'expect: acknowledged, upTo: appends.at(-1)?.offset ?? acknowledged, again, token: epochToken',
    server: 'memory'
  },
  {
    name: 'fence-distrusted',
    invariant: 'I4',
    breaks: 'After a rewind the owner still expects what Redis has lost.',
    file: 'src/owner.ts',
    find: '    acknowledged = fence\n',
    replace: '',
    server: 'memory'
  },
  {
    name: 'fence-stays-redis',
    invariant: 'I4',
    breaks: 'The script moves the fence only to what it wrote.',
    file: 'src/redis/append.lua',
    find: 'if not fence or upTo > last then',
    replace: 'if not fence or skipped < i then',
    server: 'Redis'
  },
  {
    name: 'again-forgotten',
    invariant: 'I5',
    breaks: 'The owner forgets at a rewind how far Redis had acknowledged.',
    file: 'src/owner.ts',
    find: 'again = Math.max(again, expect)',
    replace: 'again = -1',
    server: 'memory'
  },
  {
    name: 'epoch-kept',
    invariant: 'I5',
    breaks: 'A channel keeps its epoch when a lost record is written again.',
    file: 'src/memory/log.ts',
    find: 'if (offset <= again) channel.epoch = token',
    replace: '',
    server: 'memory'
  },
  {
    name: 'epoch-kept-redis',
    invariant: 'I5',
    breaks: 'A channel keeps its epoch when a lost record is written again.',
    file: 'src/redis/append.lua',
    find: 'if offset and offset <= again then epoch, ends[k] = token, 0 end',
    replace: '',
    server: 'Redis'
  },
  {
    name: 'one-incarnation',
    invariant: 'I8',
    breaks: 'A partition that begins anew keeps its incarnation.',
    file: 'src/owner.ts',
    find: 'const inc = token(kind)',
    replace: "const inc = 'i'",
    server: 'memory'
  },
  {
    name: 'truncation-unseen',
    invariant: 'I8',
    breaks: 'A partition that ends below the fence is taken for the one that was.',
    file: 'src/owner.ts',
    find: 'acknowledged >= highWatermark',
    replace: 'highWatermark < 0',
    server: 'memory'
  },
  {
    name: 'metadata-ignored',
    invariant: 'I8',
    breaks: 'Offsets that were reset by hand leave the incarnation as it was.',
    file: 'src/owner.ts',
    find: 'if (!inc) return mint(commit.offset)',
    replace: 'if (!inc) return mint(Math.max(commit.offset, ...[...(await log.fences()).values()].map(f => f + 1)))',
    server: 'memory'
  },
  {
    name: 'wipe-not-refilled',
    invariant: 'I9',
    breaks: 'After a wipe nothing is consumed again.',
    file: 'src/owner.ts',
    find: 'const start = Math.max(earliest, Math.min(byAge, committedTo), committedTo - maxRecords)',
    replace: 'const start = Math.max(committedTo, earliest, byAge * 0, maxRecords * 0)',
    server: 'memory'
  },
  {
    name: 'refill-without-bound',
    invariant: 'I9',
    breaks: 'A wiped Redis is filled with all that Kafka has.',
    file: 'src/owner.ts',
    find: 'Math.max(earliest, Math.min(byAge, committedTo), committedTo - maxRecords)',
    replace: 'Math.max(earliest, byAge * 0, refill.maxRecords * 0)',
    server: 'memory'
  },
  {
    name: 'absent-fence-is-start',
    invariant: 'I9',
    breaks: 'A fence that is not there counts as one at the start.',
    file: 'src/owner.ts',
    find: "if (fence !== undefined) rewind(fence, expect, 'rolled-back')",
    replace: "if (fence !== undefined || expect >= -1) rewind(fence ?? -1, expect, 'rolled-back')",
    server: 'memory'
  },
  {
    name: 'floor-forgotten',
    invariant: 'I9',
    breaks: 'The log does not say where a refill began.',
    file: 'src/memory/log.ts',
    find: 'floors.set(source, start)',
    replace: '',
    server: 'memory'
  }
]
