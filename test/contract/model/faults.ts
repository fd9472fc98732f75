import { KAFKA_FAULTS } from './kafka-faults.ts'
import { READER_FAULTS } from './reader-faults.ts'
import { REDIS_FAULTS } from './redis-faults.ts'
import { RELAY_FAULTS } from './relay-faults.ts'

/** What a seed chooses from. */
export const HAPPENINGS = { ...RELAY_FAULTS, ...READER_FAULTS, ...REDIS_FAULTS, ...KAFKA_FAULTS }

export type Kind = keyof typeof HAPPENINGS
