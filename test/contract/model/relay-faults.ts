import type { Happenings } from './happening.ts'
import type { Consumer } from './partition.ts'
import type { Fate } from './tap.ts'
import type { World } from './world.ts'

const FATES: Fate[] = ['answer lost', 'late', 'refused']

/** One fetch of any partition; one in twelve meets trouble on its way to Redis (I2, I3). */
export async function consume({ kafka, random, anyOf }: World): Promise<void> {
  const consumer = anyOf(kafka.consumers) as Consumer
  await consumer.step(FATES[random(36)])
  if (random(3) === 0) consumer.commit()
}

/** Records come, and those who consume them fail. */
export const RELAY_FAULTS = {
  produced: {
    weight: 36,
    happen({ kafka, random }) {
      for (let n = random(4); n >= 0; n--) kafka.produce()
    }
  },
  consumed: { weight: 34, happen: consume },
  // I2: what was appended and not committed is consumed again.
  crashed: {
    weight: 4,
    async happen({ kafka, random, anyOf, zombies }) {
      const old = await kafka.takeOver(anyOf(kafka.consumers) as Consumer)
      if (random(2)) zombies.push(old)
    }
  },
  // I2: a process that was only asleep goes on where it was.
  zombieWoke: {
    weight: 4,
    async happen({ zombies, anyOf }) {
      const zombie = anyOf(zombies)
      await zombie?.step()
      return zombie !== undefined
    }
  },
  // I3: a chunk of long ago reaches Redis.
  lateChunk: { weight: 2, happen: ({ tap }) => tap.arrive() }
} satisfies Happenings
