import { readFileSync } from 'node:fs'
import closeWithGrace from 'close-with-grace'
import { Command } from 'commander'
import pino, { type Logger, type LoggerOptions } from 'pino'
import { checkConfig } from './check.ts'
import { type Config, ConfigError, loadConfig } from './config.ts'
import { createGateway } from './gateway.ts'
import { checkRoutes } from './routes.ts'

// The process: flags, configuration, start, signals, deadline, exit code. Everything else is the gateway's.
// Exit codes: 0 closed in time, 1 failed or not closed in time, 2 the configuration is refused.

const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string }

const flags = new Command('baton')
  .description('Relays Kafka records to STOMP-over-WebSocket clients through Redis, and their SENDs back to Kafka.')
  .version(version)
  .option('-c, --config <file>', 'configuration file (YAML); without it the embedded default runs, in memory')
  .option('--check', 'validate the configuration and what it names on Kafka and Redis, print every fault, and exit')
  .addHelpText(
    'after',
    '\nEvery setting has an environment override: http.port is BATON_HTTP_PORT. See docs/operating.md.'
  )
  .parse()
  .opts<{ config?: string; check?: boolean }>()

const config = load()
const logger = createLogger(config)
if (flags.check) process.exitCode = await checkConfig(config, line => process.stdout.write(`${line}\n`))
else await run()

function load(): Config {
  try {
    return loadConfig({ file: flags.config, env: process.env, check: checkRoutes })
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    process.stderr.write(`The configuration is refused:\n${error.faults.map(fault => `  - ${fault}\n`).join('')}`)
    process.exit(2)
  }
}

async function run(): Promise<void> {
  const gateway = createGateway(config, { logger, version, onFatal: fatal })
  let failed = false
  const grace = closeWithGrace({ delay: config.lifecycle.deadlineMs, logger }, async ({ signal, err }) => {
    if (err) logger.fatal({ err }, 'fails, and closes')
    else logger.info({ signal }, 'closing')
    await gateway.close()
    logger.info('closed')
    // It would exit with 0, having been asked to close and not by an error of its own finding.
    if (failed) process.exit(1)
  })

  function fatal(error: unknown): void {
    failed = true
    logger.fatal({ err: error }, 'cannot go on')
    void grace.close()
  }

  try {
    await gateway.start()
  } catch (error) {
    fatal(error)
  }
}

function createLogger({ log }: Config): Logger {
  const pretty = log.pretty === 'auto' ? process.stdout.isTTY === true : log.pretty
  const options: LoggerOptions = { level: log.level, base: null }
  if (!pretty) return pino({ ...options, timestamp: pino.stdTimeFunctions.isoTime })
  return pino({
    ...options,
    transport: { target: 'pino-pretty', options: { singleLine: true, translateTime: 'SYS:HH:MM:ss.l' } }
  })
}
