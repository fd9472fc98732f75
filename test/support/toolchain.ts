import { createHash } from 'node:crypto'
import { accessSync, constants, existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { run } from './processes.ts'

// What the tests need and npm does not bring, in this order: Docker, what is on the machine, the package manager as
// root, an error that says what to install.

const ROOT = join(import.meta.dirname, '../..')
const POM = join(import.meta.dirname, 'kafka.pom.xml')

/** Where downloads, and what was made of them, are kept between runs: `$BATON_CACHE`, or `.cache` in the checkout. */
export function cacheFolder(): string {
  const folder = process.env['BATON_CACHE'] ?? join(ROOT, '.cache')
  mkdirSync(folder, { recursive: true })
  return folder
}

/** From now on what is started here keeps what Node compiled: a Baton starts for half the CPU, and a run starts hundreds of processes. */
export function keepCompiled(): void {
  process.env['NODE_COMPILE_CACHE'] ??= join(cacheFolder(), 'node')
}

let engine: Promise<boolean> | undefined

/** @returns the image, pulled if it was not there; undefined where no Docker engine answers. */
export async function dockerImage(image: string): Promise<string | undefined> {
  engine ??= succeeds(['info'])
  if (!(await engine)) return undefined
  if (!(await succeeds(['image', 'inspect', image]))) await run({ command: 'docker', args: ['pull', '-q', image] })
  return image
}

function succeeds(args: string[]): Promise<boolean> {
  return run({ command: 'docker', args }).then(
    () => true,
    () => false
  )
}

export interface KafkaInstallation {
  java: string
  classpath: string
  /** The class archive that halves the boot; there once `archive` wrote it. */
  archive: string
}

/** Java, and the jars of Kafka in the cache; fetched by Maven the first time. */
export async function kafkaInstallation(): Promise<KafkaInstallation> {
  const java = await program('java', 'default-jre-headless', 'BATON_TEST_KAFKA')
  const key = createHash('sha256').update(readFileSync(POM)).digest('hex').slice(0, 12)
  const jars = join(cacheFolder(), `kafka-${key}`)
  if (!existsSync(jars)) {
    const maven = await program('mvn', 'maven', 'BATON_TEST_KAFKA')
    // Filled apart and renamed, so that two runs at once never see half of it.
    const filling = mkdtempSync(join(cacheFolder(), 'filling-'))
    const goal = ['dependency:copy-dependencies', '-DincludeScope=runtime', `-DoutputDirectory=${filling}`]
    await run({ command: maven, args: ['-q', '-B', '-ntp', '-f', POM, ...goal] })
    await renameInto(filling, jars)
  }
  return { java, classpath: join(jars, '*'), archive: join(jars, 'classes.jsa') }
}

/** @returns the path of redis-server, 7 or later. */
export async function redisServer(): Promise<string> {
  const path = await program('redis-server', 'redis-server', 'BATON_TEST_REDIS')
  const version = await run({ command: path, args: ['--version'] })
  const major = Number(/v=(\d+)\./.exec(version)?.[1])
  if (major >= 7) return path
  throw new Error(`${path} is version ${major}: install Redis 7 or later, or name one in BATON_TEST_REDIS`)
}

/** @returns the path of Chromium, for playwright-core's `executablePath`. */
export async function chromium(): Promise<string> {
  return find('chromium') ?? find('google-chrome') ?? program('chromium', 'chromium', 'PATH')
}

/** @returns the path of a C compiler. */
export function compiler(): Promise<string> {
  return program('cc', 'build-essential', 'PATH')
}

async function program(name: string, debianPackage: string, variable: string): Promise<string> {
  const path = find(name)
  if (path) return path
  if (process.getuid?.() === 0 && find('apt-get')) {
    const apt = { command: 'apt-get', env: { DEBIAN_FRONTEND: 'noninteractive' } }
    const wait = ['-q', '-o', 'DPkg::Lock::Timeout=300']
    await run({ ...apt, args: [...wait, 'update'] })
    await run({ ...apt, args: [...wait, 'install', '-y', '--no-install-recommends', debianPackage] })
    const installed = find(name)
    if (installed) return installed
  }
  throw new Error(
    `${name} is missing: install it (Debian: apt-get install ${debianPackage}), start Docker, or set ${variable}`
  )
}

/** @returns the path of a program, if it is on the machine. */
export function find(name: string): string | undefined {
  const candidates = (process.env['PATH'] ?? '').split(delimiter).map(folder => join(folder, name))
  return candidates.find(path => {
    try {
      accessSync(path, constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}

async function renameInto(filled: string, target: string) {
  try {
    renameSync(filled, target)
  } catch (error) {
    // Another run was first: its jars are the same.
    if (!existsSync(target)) throw error
    rmSync(filled, { recursive: true })
  }
}
