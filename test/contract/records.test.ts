import pino from 'pino'
import { createMemoryBroker } from '../../src/memory/broker.ts'
import { unique } from '../support/ids.ts'
import { recordContract } from './records.ts'

const logger = pino({ level: 'silent' })

recordContract('memory', async () => {
  const topic = unique('records')
  const broker = createMemoryBroker({ topics: [{ name: topic, partitions: 3, consumed: true }] }, { logger })
  return { ...broker, topic, [Symbol.asyncDispose]: async () => undefined }
})
