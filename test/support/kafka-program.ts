import { existsSync, renameSync } from 'node:fs'
import type { Program } from './processes.ts'
import { dockerImage, kafkaInstallation } from './toolchain.ts'

/** How to run a main class of Kafka; a container sees `folder`. */
export type KafkaProgram = (mainClass: string, args: string[], folder: string) => Program

const IMAGE = 'apache/kafka:4.1.1'
const IMAGE_HOME = '/opt/kafka'
const JVM = ['-Xmx256m', '-Xms64m', '-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC']
const SIMPLE_LOGGER = '-Dorg.slf4j.simpleLogger'

/** Kafka in Docker if an engine answers, else on this machine's Java. */
export async function kafkaProgram(): Promise<KafkaProgram> {
  const image = await dockerImage(IMAGE)
  if (image) {
    return (mainClass, args, folder) => ({
      command: 'java',
      args: [
        ...JVM,
        `-Dlog4j2.configurationFile=${IMAGE_HOME}/config/log4j2.yaml`,
        `-Dkafka.logs.dir=${folder}`,
        ...['-cp', `${IMAGE_HOME}/libs/*`, mainClass, ...args]
      ],
      container: { image, folder }
    })
  }
  const { archive } = await kafkaInstallation()
  return localProgram(existsSync(archive) ? [`-XX:SharedArchiveFile=${archive}`, '-Xshare:auto'] : [])
}

/** Fills the cache: the jars, and the archive of loaded classes that halves a broker's boot; `boot` starts and stops one. */
export async function prepareKafka(boot: (program: KafkaProgram) => Promise<void>): Promise<void> {
  if (await dockerImage(IMAGE)) return
  const { archive } = await kafkaInstallation()
  if (existsSync(archive)) return
  const writing = `${archive}.${process.pid}`
  await boot(await localProgram([`-XX:ArchiveClassesAtExit=${writing}`]))
  renameSync(writing, archive)
}

async function localProgram(options: string[]): Promise<KafkaProgram> {
  const { java, classpath } = await kafkaInstallation()
  const logging = [`${SIMPLE_LOGGER}.defaultLogLevel=warn`, `${SIMPLE_LOGGER}.log.kafka.server=info`]
  return (mainClass, args) => ({
    command: java,
    args: [...JVM, ...options, ...logging, '-cp', classpath, mainClass, ...args]
  })
}
