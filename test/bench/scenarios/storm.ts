import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { temporaryFolder } from '../../support/processes.ts'
import { connectStompjs } from '../../support/stomp-client.ts'
import { startGateway } from '../gateways.ts'
import { startLoad } from '../load.ts'
import { residentKib, untilQuiet } from '../measure.ts'
import { flood } from '../records.ts'
import type { Server } from '../servers.ts'
import type { Scenario } from '../world.ts'

const CLIENTS = 5000
const ROOMS = 100
const SEEN = 10
const MISSED = 50

/** Everybody comes back at once, after a deploy or a cut cable, and resumes. */
export const stormScenario: Scenario = {
  name: 'storm',
  about: '5,000 clients in 100 rooms reconnect at once, and each resumes after a message that is 50 messages old.',
  async run(world) {
    const kafka = await world.kafka()
    const topic = await kafka.createTopic()
    const members = Math.ceil(world.size(CLIENTS) / ROOMS)
    const clients = members * ROOMS
    for (let round = 0; round < world.rounds; round++) {
      await using baton = await startGateway(world, topic)
      await flood(kafka, topic, ROOMS * SEEN, ROOMS)
      await untilQuiet(baton.pid)
      const resume = await lastMessageIds(baton)
      await flood(kafka, topic, ROOMS * MISSED, ROOMS)
      await untilQuiet(baton.pid)
      const before = residentKib(baton.pid).now
      const expect = clients * MISSED
      const load = await startLoad('listen', { ...baton.load, pid: baton.pid, rooms: ROOMS, members, resume, expect })
      const loaded = await load.result()
      world.heard(baton.name, loaded)
      const name = { scenario: 'storm', work: `${clients} clients`, contender: baton.name }
      world.take({ ...name, unit: 's until all have resumed' }, loaded.setupMs / 1000)
      world.take({ ...name, unit: 'CPU ms/client' }, loaded.setupCpuMs / clients)
      world.take({ ...name, unit: 'KiB/client at most' }, (residentKib(baton.pid).most - before) / clients)
    }
  }
}

/** @returns a file that has a line for each room. */
async function lastMessageIds({ load: { host, port, path } }: Server): Promise<string> {
  await using client = await connectStompjs(`ws://${host}:${port}${path}`)
  const ids = []
  for (let room = 0; room < ROOMS; room++) {
    const { receipt } = await client.subscribe(`/room/r${room}`)
    ids.push(receipt['last-message-id'])
  }
  const file = join(temporaryFolder('baton-bench'), 'message-ids')
  writeFileSync(file, `${ids.join('\n')}\n`)
  return file
}
