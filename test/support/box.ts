import { chmodSync, mkdirSync, realpathSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { type Program, temporaryFolder } from './processes.ts'

// What a container with a read-only root and no privilege is to a program, without an engine: a name space of mounts, all of them
// read-only, and a user who owns nothing and may become nobody else. Needs root, by sudo where this process has it not.

export interface BoxOptions {
  /** Where each file or folder is seen, and which it is. */
  mounts: Record<string, string>
  /** `uid:gid`, as numbers. */
  user: string
}

const ENTER = `
box=$1; user=$2; group=$3; shift 3
while [ "$1" != -- ]; do mount --bind "$1" "$2"; shift 2; done
cut -d ' ' -f 2 /proc/mounts | while read -r mount; do
  case $mount in /proc*|/sys*) ;; *) mount -o remount,ro,bind "$mount" 2>/dev/null || true ;; esac
done
cd "$box"
PATH=$box/bin:$PATH exec setpriv --reuid "$user" --regid "$group" --clear-groups --bounding-set -all --inh-caps -all \\
  --no-new-privs --pdeathsig KILL "$@"`

/** @returns what makes of a command line a program that runs inside; its working folder holds what is mounted. */
export function createBox({ mounts, user }: BoxOptions): (commandLine: string[], env?: Program['env']) => Program {
  const box = temporaryFolder('baton-box')
  chmodSync(box, 0o755)
  const pairs = Object.entries(mounts).flatMap(([place, source]) => {
    const path = join(box, place)
    if (statSync(source).isDirectory()) mkdirSync(path)
    else {
      mkdirSync(dirname(path), { recursive: true })
      writeFileSync(path, '')
    }
    return [realpathSync(source), path]
  })
  const root = process.getuid?.() === 0 ? [] : ['sudo', '-n', '-E']
  return (commandLine, env) => {
    const enter = ['unshare', '--mount', 'sh', '-ec', ENTER, 'sh', box, ...user.split(':'), ...pairs, '--']
    const [command = '', ...args] = [...root, ...enter, ...commandLine]
    return { command, args, ...(env && { env }) }
  }
}
