import { churnScenario } from './scenarios/churn.ts'
import { decodeScenario } from './scenarios/decode.ts'
import { fanOutScenarios } from './scenarios/fan-out.ts'
import { idleScenario } from './scenarios/idle.ts'
import { latencyScenario } from './scenarios/latency.ts'
import { pipelineScenario } from './scenarios/pipeline.ts'
import { redisAppendScenario } from './scenarios/redis-append.ts'
import { refillScenario } from './scenarios/refill.ts'
import { relayScenario } from './scenarios/relay.ts'
import { replicasScenario } from './scenarios/replicas.ts'
import { scaleScenario } from './scenarios/scale.ts'
import { sendReceiptScenario } from './scenarios/send-receipt.ts'
import { sizesScenario } from './scenarios/sizes.ts'
import { slowReadersScenario } from './scenarios/slow-readers.ts'
import { stormScenario } from './scenarios/storm.ts'
import { transactionScenario } from './scenarios/transactions.ts'
import type { Scenario } from './world.ts'

/** Every scenario, in the order of the run. */
export const scenarios: Scenario[] = [
  ...fanOutScenarios,
  scaleScenario,
  sizesScenario,
  idleScenario,
  relayScenario,
  redisAppendScenario,
  pipelineScenario,
  replicasScenario,
  latencyScenario,
  slowReadersScenario,
  sendReceiptScenario,
  churnScenario,
  stormScenario,
  refillScenario,
  decodeScenario,
  transactionScenario
]
