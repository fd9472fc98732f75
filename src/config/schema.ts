import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { Settings } from './settings.ts'

// Writes config/schema.json, by which editors complete and check; with --check it only says whether the file is stale.

const FILE = fileURLToPath(new URL('../../config/schema.json', import.meta.url))

/** As `Settings`, but what has a default need not be written, and no keyword of our own. */
function forEditors(schema: unknown): unknown {
  if (typeof schema !== 'object' || schema === null) return schema
  if (Array.isArray(schema)) return schema.map(forEditors)
  const { allowed: _, ...rest } = schema as Record<string, unknown>
  const properties = rest['properties'] as Record<string, { default?: unknown }> | undefined
  if (properties && Array.isArray(rest['required'])) {
    rest['required'] = rest['required'].filter(name => properties[name]?.default === undefined)
  }
  return Object.fromEntries(Object.entries(rest).map(([name, value]) => [name, forEditors(value)]))
}

export function editorSchema(): string {
  const schema = { $schema: 'http://json-schema.org/draft-07/schema#', ...(forEditors(Settings) as object) }
  return `${JSON.stringify(schema, null, 2)}\n`
}

if (import.meta.main) {
  if (!process.argv.includes('--check')) writeFileSync(FILE, editorSchema())
  else if (readFileSync(FILE, 'utf8') !== editorSchema()) {
    process.stderr.write('config/schema.json is stale: run npm run schema\n')
    process.exitCode = 1
  }
}
