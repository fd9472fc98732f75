import type { Mutant } from './mutant.ts'

/** Of the hub, its channels and the resume. */
export const READERS: Mutant[] = [
  {
    name: 'known-is-news',
    invariant: 'I1',
    breaks: 'A message whose coordinate is known is news.',
    file: 'src/known.ts',
    find: 'coordinate !== undefined && isBeyond(coordinate, vector)',
    replace: 'coordinate !== undefined',
    server: 'memory'
  },
  {
    name: 'position-is-identity',
    invariant: 'I1',
    breaks: 'A message that follows is delivered, although its coordinate is known.',
    file: 'src/channel.ts',
    find: 'if (isFresh) accept(message)',
    replace: 'accept(message)',
    server: 'memory'
  },
  {
    name: 'join-without-fence',
    invariant: 'I6',
    breaks: 'A channel that is joined does not know how far its sources are.',
    file: 'src/known.ts',
    find: 'of [fences, ceilings])',
    replace: 'of [ceilings])',
    server: 'memory'
  },
  {
    name: 'hole-passed-over',
    invariant: 'I6',
    breaks: 'A message beyond a hole is delivered at once.',
    file: 'src/channel.ts',
    find: 'if (sameEpoch && position.seq === seq + 1) {',
    replace: 'if (sameEpoch && position.seq > seq) {',
    server: 'memory'
  },
  {
    name: 'heal-as-the-log-is',
    invariant: 'I6',
    breaks: 'A heal delivers all that the log holds.',
    file: 'src/channel.ts',
    find: 'if (known.isFresh(entry)) accept((entry.omitted',
    replace: 'accept((entry.omitted',
    server: 'memory'
  },
  {
    name: 'link-trusted',
    invariant: 'I6',
    breaks: 'Nothing is compared when a link is back.',
    file: 'src/hub.ts',
    find: '        for (const name of names) channels.get(name)?.channel.doubt()\n        void compare(names)\n',
    replace: '',
    server: 'memory'
  },
  {
    name: 'resume-skips',
    invariant: 'I7',
    breaks: 'A resume begins one message too late.',
    file: 'src/replay.ts',
    find: 'news = entries.slice(at + 1)',
    replace: 'news = entries.slice(at + 2)',
    server: 'memory'
  },
  {
    name: 'held-as-it-came',
    invariant: 'I7',
    breaks: 'What was held during a replay is delivered although it was replayed.',
    file: 'src/replay.ts',
    find: '.filter(({ message }) => isFresh(message, replay.known))',
    replace: '',
    server: 'memory'
  },
  {
    name: 'trimmed-is-whole',
    invariant: 'I7',
    breaks: 'A log that was trimmed proves that nothing is missing.',
    file: 'src/proof.ts',
    find: 'reached.has(source)',
    replace: 'true',
    server: 'memory'
  },
  {
    name: 'hole-said-too-long',
    invariant: 'I7',
    breaks: 'A gap counts the message that came.',
    file: 'src/proof.ts',
    find: 'theirs.seq - 1',
    replace: 'theirs.seq',
    server: 'memory'
  },
  {
    name: 'sources-left-out-in-silence',
    invariant: 'I7',
    breaks: 'A message-id does not say that it leaves out sources.',
    file: 'src/message/id.ts',
    find: 'return left > 0 || !complete ?',
    replace: 'return left > 99 ?',
    server: 'memory'
  },
  {
    name: 'refill-not-awaited',
    invariant: 'I9',
    breaks: 'A client is resumed from a log that does not hold yet what it has seen.',
    file: 'src/refill.ts',
    find: "else if (!reached(source, offset)) return 'behind'",
    replace: 'else void offset',
    server: 'memory'
  }
]
