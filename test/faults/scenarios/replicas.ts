import { setTimeout as delay } from 'node:timers/promises'
import { membersAre, raises } from '../effects.ts'
import type { Replica } from '../replica.ts'
import type { Scenario } from '../scenario.ts'
import type { Stage } from '../stage.ts'

// Processes of Baton die, leave, come, or sleep.

const ALL = 'Every client has every record, once and in order, and is told of no gap.'
const ALL_AND_SENT = `${ALL} Every SEND that got its RECEIPT is in Kafka.`
/** What was consumed since the last commit is consumed again by who takes over. */
const SELDOM = { kafka: { commitIntervalMs: 10_000 } }
const ONE_EACH: Scenario['stage'] = {
  roles: [['relay', 'edge'], ['relay'], ['edge']],
  senders: 'all',
  config: SELDOM
}
const APPENDED = 'baton_entries_appended_total'
const SUPPRESSED = 'baton_entries_suppressed_total'

export const replicaScenarios: Scenario[] = [
  {
    name: 'kill-9',
    about: 'A relay is killed with SIGKILL and started again, then an edge.',
    expects: `${ALL_AND_SENT} What the relay had not committed is consumed again, and suppressed.`,
    stage: ONE_EACH,
    run: stage =>
      inTurn(stage, victims(stage), replica => {
        if (!replica.isRelay) return replica.kill()
        const others = stage.relays.filter(relay => relay !== replica)
        return raises(stage, SUPPRESSED, () => replica.kill(), others)
      })
  },
  {
    name: 'sigterm',
    about: 'A relay is told to stop and started again, then an edge.',
    expects: `${ALL_AND_SENT} Each exits with 0.`,
    stage: ONE_EACH,
    run: stage => inTurn(stage, victims(stage), replica => replica.stop())
  },
  {
    name: 'rolling-restart',
    about: 'Each of three replicas is told to stop and started again, one after the other.',
    expects: `${ALL_AND_SENT} Each exits with 0.`,
    stage: { senders: 'all' },
    run: stage => inTurn(stage, stage.replicas, replica => replica.stop())
  },
  {
    name: 'rebalance-storm',
    about: 'Replicas join the group and leave it every few seconds, some by SIGTERM, some by SIGKILL.',
    expects: ALL,
    async run(stage) {
      const guests = [stage.another(), stage.another()]
      const rounds = stage.pick(10, 2)
      for (let round = 0; round < rounds; round++) {
        const { length } = stage.relays
        for (const guest of guests) await guest.start(false)
        await membersAre(stage, length + guests.length)
        await delay(stage.random.between(0, 1000))
        for (const guest of guests) await (stage.random.of([true, false]) ? guest.stop() : guest.kill())
        await delay(stage.random.between(0, 1000))
      }
    }
  },
  {
    name: 'zombie',
    about: 'A replica sleeps (SIGSTOP) for longer than its session in the group lasts, then goes on (SIGCONT).',
    expects: `${ALL} The group goes on without it, and it is fenced out: what both consumed is suppressed.`,
    stage: { config: SELDOM },
    async run(stage) {
      const { length } = stage.relays
      for (let round = 0; round < stage.pick(4, 1); round++) {
        const victim = stage.random.of(stage.replicas)
        const { baton } = victim
        // It has partitions, and has not committed all that it consumed of them.
        await raises(stage, APPENDED, async () => undefined, [victim])
        await raises(stage, SUPPRESSED, async () => {
          await baton.pause()
          await membersAre(stage, length - 1)
          await delay(stage.random.between(0, 1000))
          await baton.resume()
          await membersAre(stage, length)
        })
        stage.mark()
        await stage.goesOn()
      }
    }
  }
]

/** Has each end in some way, and starts it again. */
async function inTurn(stage: Stage, replicas: Replica[], end: (replica: Replica) => Promise<void>): Promise<void> {
  for (const replica of replicas) {
    await end(replica)
    stage.mark()
    await stage.goesOn()
    await replica.start()
    stage.mark()
    await stage.goesOn()
  }
}

/** A relay, and the one that is only an edge. */
function victims({ relays, replicas, random }: Stage): Replica[] {
  return [random.of(relays), ...replicas.filter(({ isRelay }) => !isRelay)]
}
