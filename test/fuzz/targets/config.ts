import { globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pino from 'pino'
import { createAuth } from '../../../src/auth.ts'
import { ConfigError, loadConfig } from '../../../src/config.ts'
import { checkRoutes, createRoutes } from '../../../src/routes.ts'
import { strikeWithBytes } from '../bytes.ts'
import { CONFIG_WORDS, CONFIGS } from '../corpus.ts'
import { cpuMs } from '../memory.ts'
import { hold, type Struck, type Target } from '../target.ts'

// A configuration holds, or it is refused with faults that say where, within a second.

const ROOT = join(import.meta.dirname, '../../..')
const MOST_MS = 1000

async function open() {
  const folder = mkdtempSync(join(tmpdir(), 'baton-fuzz-'))
  const file = join(folder, 'baton.yaml')
  const presets = globSync('config/{*,presets/*}.yaml', { cwd: ROOT }).sort()
  const corpus = [...CONFIGS, ...presets.map(name => readFileSync(join(ROOT, name)))]

  function check(input: Buffer): Struck {
    writeFileSync(file, input)
    const startedMs = cpuMs()
    let code: string[] = []
    try {
      const config = loadConfig({ file, env: {}, check: checkRoutes })
      createRoutes(config.routes)
      createAuth(config.auth, { logger: pino({ level: 'silent' }) })
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error
      hold(error.faults.length > 0 && error.faults.every(fault => fault.startsWith(file)), 'a fault says not where')
      code = ['REFUSED']
    }
    const tookMs = cpuMs() - startedMs
    hold(tookMs < MOST_MS, `it took ${Math.round(tookMs)} ms`)
    return { frames: 1, refusals: code }
  }

  return {
    ...strikeWithBytes({ corpus, words: CONFIG_WORDS, check }),
    async [Symbol.asyncDispose]() {
      rmSync(folder, { recursive: true })
    }
  }
}

export const config: Target = {
  name: 'config',
  about: 'configuration files: aliases, depths, tags, names of prototypes, templates, schemas',
  short: 10,
  long: 1000,
  open
}
