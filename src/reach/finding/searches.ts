// Where a peer is looked for by its whole id when no registry leads to it: on the local network, and in the distributed hash table.
import type { Clock } from '../../kernel/clock.ts'
import { isPeerId } from '../../base/identity/identity.ts'
import { fault } from '../../base/peer/fault.ts'
import type { PeerHost } from '../../base/peer/host/host.ts'
import type { Flag } from '../../base/terminal/command.ts'
import type { Search } from './as-found.ts'
import type { Home } from '../home.ts'
import type { Contact } from '../kad/lookup.ts'
import { knownAddresses } from './known-addresses.ts'
import { type Server, serverAddress } from '../registry/known-registries.ts'

/** Of the commands that look for a peer. */
export const searchFlags = {
  'no-lan': { summary: 'do not ask for the peer on the local network, where everybody hears which one is asked for' },
  dht: { summary: 'if nothing else leads to the peer, ask the distributed hash table, beginning at the registry and at nodes met before' },
  'dht-node': { value: 'MULTIADDR', repeat: true, summary: 'the same, beginning there, too' },
} as const satisfies Record<string, Flag>

export type SearchFlags = {
  readonly 'no-lan': boolean
  readonly dht: boolean
  readonly 'dht-node': readonly string[]
}

/** Whom to ask first: the nodes at these multiaddrs, and the registry, whoever it is. Fault `peer.bad_address`. */
export function contactsAt(addresses: readonly string[], registry: Server | undefined): readonly Contact[] {
  return [...addresses, ...(registry ? [serverAddress(registry)] : [])].map((address) => {
    const form = /^\/(?:ip[46]|dns[46]?)\/[^/]+\/tcp\/\d{1,5}(?:(?:\/tls)?\/wss?)?(?:\/p2p\/([^/]+))?$/.exec(address)
    const peerId = form?.[1]
    if (!form || (peerId !== undefined && !isPeerId(peerId))) throw fault.bad_address({ address, problem: 'no node can be there' })
    return { peerId, addresses: [address] }
  })
}

export type SearchNeeds = { readonly host: PeerHost; readonly home: Home; readonly clock: Clock }

/** The searches that the flags allow, the nearest first. */
export function searchesOf({ host, home, clock }: SearchNeeds, flags: SearchFlags, registry: Server): readonly Search[] {
  const nodes = flags['dht-node']
  const isDhtAsked = flags.dht || nodes.length > 0
  return [
    ...(flags['no-lan'] ? [] : [lanSearch(clock)]),
    ...(isDhtAsked ? [kadSearch({ host, home, clock }, contactsAt(nodes, registry))] : []),
  ]
}

/** Asks on the local network. */
export function lanSearch(clock: Clock): Search {
  return async (peer, found, signal) => {
    const { searchLan } = await import('../../base/peer/lan/search.ts')
    await searchLan({ clock }, peer, (address) => found([address]), signal)
  }
}

function kadSearch({ host, home, clock }: SearchNeeds, bootstrap: readonly Contact[]): Search {
  return async (peer, found, signal) => {
    const [{ kadLookup }, { kadAsk }] = await Promise.all([import('../kad/lookup.ts'), import('../kad/protocol.ts')])
    const nodes = knownAddresses(home.nodes)
    const ask = kadAsk({ host, clock, met: (id, card) => card && card.addresses.length > 0 && nodes.remember(id, card.addresses) })
    await kadLookup(ask, peer, [...bootstrap, ...nodes.all()], ({ addresses }) => addresses.length > 0 && found(addresses), signal)
  }
}
