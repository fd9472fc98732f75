import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Config, ConfigError, loadConfig } from '../../src/config.ts'
import { checkRoutes } from '../../src/routes.ts'

type Env = Record<string, string>

/** A configuration file with this text, for as long as `use` runs. */
export function withFile<T>(text: string, use: (file: string) => T): T {
  const folder = mkdtempSync(join(tmpdir(), 'baton-config-'))
  try {
    const file = join(folder, 'baton.yaml')
    writeFileSync(file, text)
    return use(file)
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/** The configuration that these settings make. @throws ConfigError */
export function configOf(settings: object | string, env: Env = {}): Config {
  const text = typeof settings === 'string' ? settings : JSON.stringify(settings)
  return withFile(text, file => loadConfig({ file, env, check: checkRoutes }))
}

/** The faults that these settings have, without the folder of the file. */
export function faultsOf(settings: object | string, env: Env = {}): string[] {
  try {
    configOf(settings, env)
    return []
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    return error.faults.map(fault => fault.replace(/^\S*(?=baton\.yaml)/, ''))
  }
}
