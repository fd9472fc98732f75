import type { Credentials } from '../auth.ts'
import { BatonError } from '../errors.ts'
import type { Context, Peer, Upgrade } from './context.ts'
import { type Frame, VERSIONS, type Version } from './frame.ts'
import type { Rhythm } from './heartbeat.ts'

const FASTEST_HEART_BEAT_MS = 1000
const HEART_BEAT = /^(\d{1,9}),(\d{1,9})$/

export interface Greeting {
  peer: Peer
  rhythm: Rhythm
  /** Headers of CONNECTED. */
  headers: [name: string, value: string][]
}

/** CONNECT and STOMP. `host` is not asked for: stock clients leave it out. */
export async function greet({ options, deps, upgrade }: Context, sessionId: string, frame: Frame): Promise<Greeting> {
  const version = chooseVersion(frame.headers.get('accept-version'))
  const beat = version === '1.0' ? undefined : negotiateHeartBeat(frame.headers.get('heart-beat'), options.heartBeatMs)
  const principal = await deps.auth.authenticate(credentialsOf(frame, upgrade))
  const headers: Greeting['headers'] = [
    ['version', version],
    ['session', sessionId],
    ['server', `baton/${options.version}`]
  ]
  if (beat) headers.push(['heart-beat', beat.header])
  if (!principal.guest) headers.push(['user-name', principal.name])
  return { peer: { version, principal }, rhythm: beat?.rhythm ?? { sendEveryMs: 0, expectEveryMs: 0 }, headers }
}

/** The highest common version; without `accept-version` the client speaks 1.0 (1.2, "Protocol Negotiation"). */
export function chooseVersion(accepted = '1.0'): Version {
  const offered = accepted.split(',').map(version => version.trim())
  const version = VERSIONS.find(ours => offered.includes(ours))
  if (version) return version
  const versions = VERSIONS.toReversed().join(',')
  throw new BatonError('UNSUPPORTED_VERSION', `supported versions are ${versions}`, { extra: { version: versions } })
}

/**
 * 1.2, "Heart-beating": each direction goes at the slower of what one can and the other wants; 0 on either side: never.
 * The server can do and wants what the client proposes, between the fastest there is and `heartBeatMs`.
 */
export function negotiateHeartBeat(proposed = '0,0', heartBeatMs: number): { header: string; rhythm: Rhythm } {
  const match = HEART_BEAT.exec(proposed)
  if (!match) throw new BatonError('INVALID_HEADER', 'heart-beat must be two numbers of milliseconds: <x>,<y>')
  const [sends, wants] = [Number(match[1]), Number(match[2])]
  const ours = (theirs: number) => (theirs === 0 ? 0 : Math.min(heartBeatMs, Math.max(FASTEST_HEART_BEAT_MS, theirs)))
  const slower = (mine: number, theirs: number) => (mine === 0 || theirs === 0 ? 0 : Math.max(mine, theirs))
  return {
    header: `${ours(wants)},${ours(sends)}`,
    rhythm: { sendEveryMs: slower(ours(wants), wants), expectEveryMs: slower(ours(sends), sends) }
  }
}

/** The frame's own before those of the upgrade. */
export function credentialsOf({ headers }: Frame, upgrade: Upgrade): Credentials {
  const login = headers.get('login')
  const passcode = headers.get('passcode')
  const { path, remoteAddress } = upgrade
  const authorization = headers.get('Authorization') ?? headers.get('authorization') ?? upgrade.authorization
  return {
    headers,
    path,
    remoteAddress,
    ...(login !== undefined && { login }),
    ...(passcode !== undefined && { passcode }),
    ...(authorization !== undefined && { authorization }),
    ...(upgrade.accessToken !== undefined && { accessToken: upgrade.accessToken })
  }
}
