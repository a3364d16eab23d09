// What a multiaddr says about the way: over TCP itself, over a WebSocket (`/ip4/…/tcp/…/ws`, `/dns4/…/tcp/443/wss`), or through a relay
// (`/ip4/…/tcp/…/p2p/<relay>/p2p-circuit/p2p/<peer>`).
import type { Connection } from '@libp2p/interface'
import type { Multiaddr } from '@multiformats/multiaddr'

const circuit = '/p2p-circuit'

/** Whether the address leads through a relay. */
export function isRelayed(address: string): boolean {
  return address.includes(circuit)
}

/** Whether the connection does. */
export function isCircuit({ remoteAddr }: Pick<Connection, 'remoteAddr'>): boolean {
  return isRelayed(remoteAddr.toString())
}

/** The IP address at the other end of the path: of a relayed one the relay's. */
export function ipOf(address: Multiaddr): string {
  return address.getComponents()[0]?.value ?? ''
}

/** The way to a peer that has a place at the relay reached at `address`, which ends in `/p2p/<relay>`. */
export function throughRelay(address: string, peerId: string): string {
  return `${address}${circuit}/p2p/${peerId}`
}

/** The relay of a relayed address: its own address and its id; undefined when it does not say who that is, or leads through more than one. */
export function relayOf(address: string): { readonly address: string; readonly peerId: string } | undefined {
  const [relay = '', ...rest] = address.split(circuit)
  const peerId = /\/p2p\/([1-9A-HJ-NP-Za-km-z]+)$/.exec(relay)?.[1]
  return peerId === undefined || rest.length !== 1 ? undefined : { address: relay, peerId }
}

/** Where a WebSocket is asked for; `host` without brackets. */
export type WebTarget = { readonly host: string; readonly port: number; readonly isTls: boolean }

const webForm = /^\/(?:ip[46]|dns[46]?)\/([^/]+)\/tcp\/(\d{1,5})(\/tls)?\/(wss?)(?:\/p2p\/[^/]+)?$/

/** Of the address of a WebSocket, without a relay; undefined for any other. */
export function webTarget(address: string): WebTarget | undefined {
  const [, host, port, tls, kind] = webForm.exec(address) ?? []
  return host === undefined ? undefined : { host, port: Number(port), isTls: kind === 'wss' || tls !== undefined }
}

/** The kinds of ways, the best first. */
const kinds = ['direct', 'websocket', 'relayed'] as const
type Kind = (typeof kinds)[number]

/** Which kind of way the address names. */
export function kindOf(address: string): Kind {
  if (isRelayed(address)) return 'relayed'
  return webTarget(address) ? 'websocket' : 'direct'
}

/** Sorts addresses by that, the best first. */
export function byKind(one: string, other: string): number {
  return kinds.indexOf(kindOf(one)) - kinds.indexOf(kindOf(other))
}

/**
 * Which ways the addresses of a peer offer, the best first: `direct (proved) or relayed`. One without a relay counts when somebody else has dialled it; those that
 * nobody has are named when there is nothing better, and a relay gives none but those that hold.
 */
export function reachability(addresses: readonly string[], proved: readonly string[]): string {
  const ways = kinds.map((kind) => ({ kind, offered: addresses.filter((address) => kindOf(address) === kind) }))
  const certain = ways.flatMap(({ kind, offered }) => {
    if (kind === 'relayed') return offered.length > 0 ? [kind] : []
    return offered.some((address) => proved.includes(address)) ? [`${kind} (proved)`] : []
  })
  if (certain.length > 0) return certain.join(' or ')
  return ways.flatMap(({ kind, offered }) => (offered.length > 0 ? [`${kind} (not proved)`] : [])).join(' or ') || 'none'
}

/** Whether the address leads to the machine that it is used on, whichever that is. */
export function isLoopback(address: string): boolean {
  return /^\/(?:ip4\/127\.|ip6\/::1\/|dns[46]?\/localhost\/)/.test(address)
}
