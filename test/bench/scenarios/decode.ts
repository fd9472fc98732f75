import { interleave } from '../measure.ts'
import { startProgram } from '../peers.ts'
import type { Scenario } from '../world.ts'

const FRAMES = { Baton: 400_000, stompit: 100_000 }
const CHUNKS = [1, 100]

/** The STOMP decoder alone, beside an independent one. */
export const decodeScenario: Scenario = {
  name: 'decode',
  about: 'SEND frames with 300 bytes of body, one or a hundred in a chunk, decoded by Baton and by stompit.',
  async run(world) {
    const contenders = Object.entries(FRAMES)
    await interleave(world.rounds, CHUNKS, contenders, async ([contender, frames], inChunk) => {
      const program = startProgram<{ perCpuSecond: number }>('decode.ts', [contender, inChunk, world.size(frames)])
      const { perCpuSecond } = await program.result()
      const work = `${inChunk} in a chunk`
      world.take({ scenario: 'decode', work, contender, unit: 'frames/CPU-s' }, perCpuSecond)
    })
  }
}
