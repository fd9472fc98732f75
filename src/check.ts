import pino from 'pino'
import { explainRoutes } from './check/explain.ts'
import type { Config } from './config.ts'
import { createKafkaClient } from './kafka/client.ts'
import { checkTopics } from './kafka/topics.ts'
import { checkRedis } from './redis/check.ts'
import { deadLetterTopicOf, topicsOf } from './topics.ts'

// `--check`: what the configuration names on Kafka and Redis, every fault and not only the first. Changes nothing.

/** @returns the exit code: 0 fit, 1 with faults, each written as a line. */
export async function checkConfig(config: Config, write: (line: string) => void): Promise<0 | 1> {
  const [kafka, redis] = await Promise.all([checkKafka(config), config.redis ? checkRedis(config.redis) : []])
  const faults = [...kafka.faults, ...redis]
  for (const line of explainRoutes(config.routes)) write(line)
  for (const warning of kafka.warnings) write(`warning: ${warning}`)
  for (const fault of faults) write(`fault: ${fault}`)
  write(faults.length === 0 ? 'The configuration is good.' : `${faults.length} fault${faults.length === 1 ? '' : 's'}.`)
  return faults.length === 0 ? 0 : 1
}

async function checkKafka(config: Config): Promise<{ faults: string[]; warnings: string[] }> {
  const { kafka } = config
  if (!kafka) return { faults: [], warnings: [] }
  const admin = createKafkaClient(kafka, { logger: pino({ level: 'silent' }) }).admin()
  const declared = [...topicsOf(config), deadLetterTopicOf(config)]
  try {
    await admin.connect()
    const { missing, warnings, faults } = await checkTopics(admin, declared)
    return { faults, warnings: [...warnings, ...missing.map(({ name }) => `topic "${name}" will be created at start`)] }
  } catch (error) {
    return { faults: [`Kafka ${kafka.brokers.join(', ')}: ${(error as Error).message}`], warnings: [] }
  } finally {
    await admin.disconnect()
  }
}
