// Reads routes and name servers from the kernel's and the resolver's own texts; pure functions.

import { isIP } from 'node:net'

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

export type Listener = {
  readonly protocol: 'tcp' | 'udp'
  readonly family: 'IPv4' | 'IPv6'
  readonly address: string
  readonly port: number
  readonly uid: number
}

/** An address as /proc/net writes it: words of 32 bits, each little-endian. */
function hexAddress(hex: string): string {
  const bytes = hex.match(/.{8}/g)!.flatMap((word) => word.match(/../g)!.toReversed())
  return bytes.length === 4 ? bytes.map((byte) => Number.parseInt(byte, 16)).join('.') : ipv6(bytes.join(''))
}

/** The sockets of /proc/net/tcp, tcp6, udp and udp6 that wait for others: TCP in the state LISTEN, UDP without a peer. */
export function parseListeners(text: string, protocol: Listener['protocol']): Listener[] {
  const waits = protocol === 'tcp' ? '0A' : '07'
  return text.split('\n').flatMap((line): Listener[] => {
    const match = /^\s*\d+: ([0-9A-F]{8}|[0-9A-F]{32}):([0-9A-F]{4}) \S+ ([0-9A-F]{2}) \S+ \S+ \S+\s+(\d+)/.exec(line)
    if (match?.[3] !== waits) return []
    const [, address, port, , uid] = match
    const family = address!.length === 8 ? 'IPv4' : 'IPv6'
    return [{ protocol, family, address: hexAddress(address!), port: Number.parseInt(port!, 16), uid: Number(uid) }]
  })
}

const label = '[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?'
const hostName = new RegExp(`^${label}(?:\\.${label})*\\.?$`)

/** Whether a text can only be a host's name or address: never an option of a program, a path or a list. */
export function isHostName(text: string): boolean {
  const [address, zone, ...more] = text.split('%')
  if (more.length > 0 || (zone !== undefined && !isInterfaceName(zone))) return false
  if (isIP(address!) !== 0) return zone === undefined || isIP(address!) === 6
  return zone === undefined && text.length <= 253 && hostName.test(text)
}

/** Interface names as programs can be given them: the kernel would take more, a leading `-` too. */
export function isInterfaceName(text: string): boolean {
  return /^[A-Za-z0-9_][A-Za-z0-9_.:@-]{0,14}$/.test(text)
}

export type PingResult = {
  readonly sent: number
  readonly received: number
  readonly roundTripMs?: { min: number; average: number; max: number }
}

/** The summary of `ping -q`, of iputils and of busybox. */
export function parsePing(text: string): PingResult | undefined {
  const counts = /^(\d+) packets transmitted, (\d+) (?:packets )?received/m.exec(text)
  if (!counts) return undefined
  const times = /^(?:rtt|round-trip) min\/avg\/max(?:\/mdev)? = ([\d.]+)\/([\d.]+)\/([\d.]+)/m.exec(text)
  const roundTripMs = times && { min: Number(times[1]), average: Number(times[2]), max: Number(times[3]) }
  return { sent: Number(counts[1]), received: Number(counts[2]), ...(roundTripMs ? { roundTripMs } : {}) }
}

export type WifiLink = {
  readonly isConnected: boolean
  readonly ssid?: string
  readonly accessPoint?: string
  readonly frequencyMhz?: number
  readonly signalDbm?: number
  readonly transmitMbps?: number
}

/** What `iw dev wlan0 link` prints. */
export function parseIwLink(text: string): WifiLink {
  const accessPoint = /^Connected to ([0-9a-f:]{17})/m.exec(text)?.[1]
  if (!accessPoint) return { isConnected: false }
  const number = (pattern: RegExp): number | undefined => {
    const found = pattern.exec(text)?.[1]
    return found === undefined ? undefined : Number(found)
  }
  const all = {
    ssid: /^\s*SSID: (.+)$/m.exec(text)?.[1],
    frequencyMhz: number(/^\s*freq: ([\d.]+)/m),
    signalDbm: number(/^\s*signal: (-?\d+) dBm/m),
    transmitMbps: number(/^\s*tx bitrate: ([\d.]+) MBit\/s/m),
  }
  return { isConnected: true, accessPoint, ...Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined)) }
}
