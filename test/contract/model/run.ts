import { CHANNELS, type Edge } from './edge.ts'
import { HAPPENINGS, type Kind } from './faults.ts'
import { faultsOf, type Told } from './oracle.ts'
import type { Server } from './servers.ts'
import { createWorld, type World } from './world.ts'

// The randomized model of the promise against loss: the real relay, owner, log, hub and resume, driven by a seed through
// everything that faults.ts lists. In memory the same seed repeats the same run.

export interface Tally {
  steps: number
  happened: Record<Kind, number>
  told: Told
}

const WARM_UP_RECORDS = 30
const WARM_UP_ROUNDS = 12
const STEPS = 150
const TRACED = 60
const FAULTS_SHOWN = 5

const KINDS = Object.entries(HAPPENINGS).flatMap(([kind, { weight }]) => Array<Kind>(weight).fill(kind as Kind))

export function createTally(): Tally {
  const happened = Object.fromEntries(Object.keys(HAPPENINGS).map(kind => [kind, 0])) as Tally['happened']
  return { steps: 0, happened, told: { exact: 0, unknown: 0, overCautious: 0 } }
}

/** @throws Error with the seed, the step, the shape and what happened last, when the promise was not kept. */
export async function runModel(server: Server, seed: number, tally: Tally): Promise<void> {
  const world = await createWorld(server, seed)
  const trace: string[] = []
  try {
    await warmUp(world)
    for (; world.step < STEPS; world.step++) {
      const kind = KINDS[world.random(KINDS.length)] as Kind
      const happened = (await HAPPENINGS[kind].happen(world)) !== false
      if (happened) tally.happened[kind]++
      if (happened && !['produced', 'consumed'].includes(kind)) trace.push(`${world.step} ${kind}`)
      if (world.random(2)) await world.settle()
    }
    await world.heal()
    world.kafka.produceEverywhere()
    await world.heal()
    const faults = world.clients.flatMap(client =>
      faultsOf(client, world.tap.writes, tally.told).map(fault => `${client.name} ${fault}`)
    )
    faults.push(...world.kafka.unserved())
    if (faults.length > 0) throw new Error(faults.slice(0, FAULTS_SHOWN).join('\n'))
  } catch (error) {
    const where = `seed ${seed}, step ${world.step} of ${STEPS}, ${JSON.stringify(world.shape)}`
    const last = trace.slice(-TRACED).join(' · ')
    throw new Error(`${where}:\n${(error as Error).message}\nafter ${last}`, { cause: error })
  } finally {
    tally.steps += world.step
    await world.close()
  }
}

async function warmUp({ kafka, settle, newClient, anyOf, edges, tap }: World): Promise<void> {
  for (let n = 0; n < WARM_UP_RECORDS; n++) kafka.produce()
  for (let n = 0; n < WARM_UP_ROUNDS; n++) for (const consumer of kafka.consumers) await consumer.step()
  await settle()
  for (const channel of CHANNELS) await newClient(channel).join(anyOf(edges) as Edge, tap, {})
}
