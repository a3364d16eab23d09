// What a multiaddr says about the way: direct, or through a relay (`/ip4/…/tcp/…/p2p/<relay>/p2p-circuit/p2p/<peer>`).
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

/** How a peer with these addresses is reached, as far as is proved: a direct one counts when somebody else has dialled it. A relay gives none but those that hold. */
export function reachability(
  addresses: readonly string[],
  proved: readonly string[],
): 'direct (proved)' | 'relayed' | 'direct (not proved)' | 'none' {
  if (addresses.some((address) => !isRelayed(address) && proved.includes(address))) return 'direct (proved)'
  if (addresses.some(isRelayed)) return 'relayed'
  return addresses.length > 0 ? 'direct (not proved)' : 'none'
}

/** Whether the address leads to the machine that it is used on, whichever that is. */
export function isLoopback(address: string): boolean {
  return /^\/(?:ip4\/127\.|ip6\/::1\/|dns[46]?\/localhost\/)/.test(address)
}
