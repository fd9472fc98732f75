import { isIPv6 } from 'node:net'

/**
 * What counts as one place that clients come from: an IPv4 address, or the /64 of an IPv6 one, all of which belongs to a single
 * subscriber. What is no address stands for itself.
 */
export function networkOf(address: string): string {
  const [bare = ''] = address.split('%')
  if (!isIPv6(bare)) return address
  // The one way to write it (RFC 5952), without a dotted part.
  const [left = [], right = []] = new URL(`http://[${bare}]`).hostname
    .slice(1, -1)
    .split('::')
    .map(side => side.split(':').filter(group => group !== ''))
  const groups = [...left, ...Array<string>(8 - left.length - right.length).fill('0'), ...right]
  const isMapped = groups.slice(0, 6).join() === '0,0,0,0,0,ffff'
  return isMapped ? dotted(groups.slice(6)) : `${groups.slice(0, 4).join(':')}::/64`
}

/** An IPv4 address within an IPv6 one, as a socket that takes both gives it. */
function dotted(groups: string[]): string {
  return groups.flatMap(group => [Number.parseInt(group, 16) >> 8, Number.parseInt(group, 16) & 0xff]).join('.')
}
