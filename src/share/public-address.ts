// Which addresses lead nowhere from the internet.
import { BlockList, isIP } from 'node:net'

/** RFC 1918, 6598, 3927, 4193 and 4291: private, shared, link-local and loopback addresses. */
const ranges: readonly (readonly [network: string, bits: number])[] = [
  ['10.0.0.0', 8],
  ['172.16.0.0', 12],
  ['192.168.0.0', 16],
  ['100.64.0.0', 10],
  ['169.254.0.0', 16],
  ['127.0.0.0', 8],
  ['0.0.0.0', 8],
  ['fc00::', 7],
  ['fe80::', 10],
  ['::1', 128],
]

/** Whether runners elsewhere cannot use it. `ip` is an IP address. */
export function isPrivate(ip: string): boolean {
  const list = new BlockList()
  for (const [network, bits] of ranges) list.addSubnet(network, bits, isIP(network) === 6 ? 'ipv6' : 'ipv4')
  return list.check(ip, isIP(ip) === 6 ? 'ipv6' : 'ipv4')
}
