import { fanOutScenarios } from './scenarios/fan-out.ts'
import { latencyScenario } from './scenarios/latency.ts'
import { pipelineScenario } from './scenarios/pipeline.ts'
import { redisAppendScenario } from './scenarios/redis-append.ts'
import { relayScenario } from './scenarios/relay.ts'
import { transactionScenario } from './scenarios/transactions.ts'
import type { Scenario } from './world.ts'

/** Every scenario, in the order of the run. */
export const scenarios: Scenario[] = [
  ...fanOutScenarios,
  relayScenario,
  redisAppendScenario,
  pipelineScenario,
  latencyScenario,
  transactionScenario
]
