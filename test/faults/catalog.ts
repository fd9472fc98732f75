import type { Scenario } from './scenario.ts'
import { clientScenarios } from './scenarios/clients.ts'
import { kafkaScenarios } from './scenarios/kafka.ts'
import { linkScenarios } from './scenarios/links.ts'
import { recordScenarios } from './scenarios/records.ts'
import { redisScenarios } from './scenarios/redis.ts'
import { replicaScenarios } from './scenarios/replicas.ts'
import { sentinelScenarios } from './scenarios/sentinel.ts'

/** Every scenario, in the order of the run. */
export const scenarios: Scenario[] = [
  ...replicaScenarios,
  ...redisScenarios,
  ...sentinelScenarios,
  ...kafkaScenarios,
  ...linkScenarios,
  ...clientScenarios,
  ...recordScenarios
]
