// Reads routes and name servers from the kernel's and the resolver's own texts; pure functions.

export type Route = { readonly family: 'IPv4' | 'IPv6'; readonly interface: string; readonly gateway?: string; readonly metric: number }

const isUp = 0x1
const isReject = 0x200

/** The default routes of /proc/net/route. Addresses stand there as a little-endian number on all machines that Node runs on. */
export function parseIpv4Defaults(text: string): Route[] {
  return text
    .split('\n')
    .slice(1)
    .flatMap((line): Route[] => {
      const [name, destination, gateway, flags, , , metric, mask] = line.trim().split(/\s+/)
      if (!name || destination !== '00000000' || mask !== '00000000' || !gateway || !(Number.parseInt(flags!, 16) & isUp)) return []
      const octets = gateway
        .match(/../g)!
        .map((pair) => Number.parseInt(pair, 16))
        .toReversed()
      return [{ family: 'IPv4', interface: name, ...(gateway === '00000000' ? {} : { gateway: octets.join('.') }), metric: Number(metric) }]
    })
}

/** The default routes of /proc/net/ipv6_route; the kernel's own reject entry on `lo` is none. */
export function parseIpv6Defaults(text: string): Route[] {
  return text.split('\n').flatMap((line): Route[] => {
    const [destination, prefix, , , gateway, metric, , , flags, name] = line.trim().split(/\s+/)
    if (!name || prefix !== '00' || !/^0+$/.test(destination!)) return []
    const bits = Number.parseInt(flags!, 16)
    if (!(bits & isUp) || bits & isReject) return []
    return [
      {
        family: 'IPv6',
        interface: name,
        ...(/^0+$/.test(gateway!) ? {} : { gateway: ipv6(gateway!) }),
        metric: Number.parseInt(metric!, 16),
      },
    ]
  })
}

/** 32 hex digits as RFC 5952 writes them: the first longest run of two or more zero groups becomes `::`. */
export function ipv6(hex: string): string {
  const groups = hex.match(/.{4}/g)!.map((group) => Number.parseInt(group, 16).toString(16))
  let best = { at: 0, length: 0 }
  for (let at = 0; at < groups.length; at++) {
    let length = 0
    while (groups[at + length] === '0') length++
    if (length > best.length) best = { at, length }
  }
  if (best.length < 2) return groups.join(':')
  return `${groups.slice(0, best.at).join(':')}::${groups.slice(best.at + best.length).join(':')}`
}

/** /etc/resolv.conf (resolv.conf(5)): the last `search` or `domain` counts. */
export function parseResolvConf(text: string): { servers: string[]; search: string[] } {
  const servers = [...text.matchAll(/^\s*nameserver\s+(\S+)/gm)].map(([, server]) => server!)
  const search = [...text.matchAll(/^\s*(?:search|domain)[ \t]+(.+)$/gm)].at(-1)?.[1]!.trim().split(/\s+/) ?? []
  return { servers: [...new Set(servers)], search }
}
