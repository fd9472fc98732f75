import { fanOutScenarios } from './scenarios/fan-out.ts'
import { transactionScenario } from './scenarios/transactions.ts'
import type { Scenario } from './world.ts'

/** Every scenario, in the order of the run. */
export const scenarios: Scenario[] = [...fanOutScenarios, transactionScenario]
