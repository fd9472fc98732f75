import { createHash } from 'node:crypto'
import { copyFileSync, existsSync, mkdirSync, readFileSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { run } from '../support/processes.ts'
import { cacheFolder } from '../support/toolchain.ts'
import { type Server, startPeer } from './servers.ts'

// What Baton is compared with, and where it comes from: npm, into the cache, the first time.

const PEERS = join(import.meta.dirname, 'peers')
const MANIFEST = join(PEERS, 'package.json')

export const startCeiling = (): Promise<Server> => startPeer('ceiling', ['ceiling.ts'])
export const startPerClient = (): Promise<Server> => startPeer('ws.send', ['per-client.ts'])

export async function startStompBroker(): Promise<Server> {
  const folder = await filled('bench-peers', MANIFEST, async filling => {
    copyFileSync(MANIFEST, join(filling, 'package.json'))
    await run({ command: 'npm', args: ['install', '--no-audit', '--no-fund', '--no-package-lock'], cwd: filling })
  })
  return startPeer('stomp-broker-js', ['stomp-broker.ts', folder])
}

/** A folder of the cache that belongs to this state of a file; filled apart and renamed, so that none is ever half full. */
export async function filled(name: string, source: string, fill: (folder: string) => Promise<void>): Promise<string> {
  const key = createHash('sha256').update(readFileSync(source)).digest('hex').slice(0, 12)
  const folder = join(cacheFolder(), `${name}-${key}`)
  if (existsSync(folder)) return folder
  const filling = `${folder}.${process.pid}`
  mkdirSync(filling, { recursive: true })
  await fill(filling)
  renameSync(filling, folder)
  return folder
}
