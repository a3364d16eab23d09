// What the checks of reach look at: the wallet, the registry and the peer that a command would use. Each is reached at most once, and nothing is changed by it.
import { type Clock, deadline } from '../kernel/clock.ts'
import { asFault } from '../kernel/fault.ts'
import type { Log } from '../kernel/log.ts'
import type { Check } from '../base/checks/check.ts'
import { createIdentity, isPeerId } from '../base/identity/identity.ts'
import type { Wallet } from '../base/identity/wallet.ts'
import { type PeerHost, createPeerHost } from '../base/peer/host/host.ts'
import type { ProxyFor } from '../base/peer/proxy.ts'
import { fault } from './faults.ts'
import { findPeer } from './finding/find-peer.ts'
import { contactsAt } from './finding/searches.ts'
import type { Home } from './home.ts'
import type { KnownAddresses } from './finding/known-addresses.ts'
import { type KnownRegistries, type Server, serverAddress, serverText } from './registry/known-registries.ts'
import { type KnownPeer, type RegistryClient, clientOn } from './registry/client.ts'
import { registryProtocol } from './registry/protocol.ts'

/** One file per check in `checks/`. */
export type ReachCheck = Check<Examination>

/** Where the peer is to be looked for. */
export type Target = {
  readonly peerId: string
  readonly addresses: readonly string[]
  readonly from: 'flag' | 'registry' | 'memory' | 'network'
}

export interface Examination {
  readonly clock: Clock
  readonly log: Log
  readonly home: Home
  /** As it was typed. */
  readonly peer: string | undefined
  /** Undefined when a whole id with addresses was given: then no registry is asked. Fault `reach.registries_damaged`. */
  server(): Server | undefined
  /** The peer id that was pinned for `server()`. Fault `reach.registries_damaged`. */
  pinned(): string | undefined
  /** Which proxy the environment names for a WebSocket. Fault `peer.proxy_invalid`. */
  readonly proxyFor: ProxyFor
  /** Faults of `loadWallet`. */
  wallet(): Promise<Wallet>
  /** Ours; with an identity of the moment when the wallet does not open. */
  host(): Promise<PeerHost>
  /** Whoever answers as a registry at `server()`, pinned key or not. Fault `reach.registry_unreachable`. */
  anyRegistry(): Promise<RegistryClient>
  /** The same, but with the key that is pinned, if one is. Fault `reach.registry_key_changed` besides. */
  registry(): Promise<RegistryClient>
  /** The one peer that is meant. Faults of `findPeer` and `registry`. */
  card(): Promise<KnownPeer>
  /** Where somebody on the local network says that the peer listens; undefined when it was not asked, as with `--address`, or when the id is not known. */
  nearby(): Promise<readonly string[] | undefined>
  /**
   * What the distributed hash table tells: how many of its nodes answered, and where they say that the peer listens; about ourselves when no peer is meant, or its
   * id cannot be told. Undefined when it is not to be asked.
   */
  table(): Promise<{ readonly nodes: number; readonly addresses: readonly string[]; readonly isAboutPeer: boolean } | undefined>
  /** Undefined when no peer is meant, or its id cannot be told. */
  target(): Promise<Target | undefined>
  /** A command line of reach, as this person would type it. */
  command(words: string): string
  close(): Promise<void>
}

export type ExaminationNeeds = {
  readonly clock: Clock
  readonly log: Log
  readonly signal: AbortSignal
  readonly known: KnownRegistries
  readonly addresses: KnownAddresses
  /** Of the hash table, met before. */
  readonly nodes: KnownAddresses
  readonly proxyFor: ProxyFor
  readonly openWallet: () => Promise<Wallet>
}

export type ExaminationSettings = {
  readonly home: Home
  readonly peer: string | undefined
  /** `HOST[:PORT]`. */
  readonly server: string | undefined
  /** Whether the local network may be asked. */
  readonly isLanAsked: boolean
  /** Multiaddrs of nodes at which the distributed hash table is asked, besides those that are known; undefined: it is not asked. */
  readonly dhtNodes: readonly string[] | undefined
  /** Multiaddrs of the peer, to be used instead of looking for it. */
  readonly addresses: readonly string[]
  /** What comes before the words of a command, and the flags that have to follow. */
  readonly program: { readonly name: string; readonly flags: string }
}

const dialMs = 8_000
const tableMs = 12_000

export function createExamination(needs: ExaminationNeeds, settings: ExaminationSettings): Examination {
  const { clock, log, signal, known, proxyFor, openWallet } = needs
  const { home, peer, addresses, program, isLanAsked, dhtNodes } = settings
  const isAsked = addresses.length === 0 || settings.server !== undefined || !isPeerId(peer ?? '')
  const server = (): Server | undefined => (isAsked ? known.choose(settings.server) : undefined)
  const pinned = (): string | undefined => known.keyOf(server()!)
  const peerId = peer !== undefined && isPeerId(peer) ? peer : undefined
  let hosting: Promise<PeerHost> | undefined

  const wallet = once(openWallet)
  const host = once(() => {
    hosting = wallet()
      .then(({ identity }) => identity)
      .catch(() => createIdentity())
      .then((identity) => createPeerHost({ identity, clock, log, proxyFor }, { listen: [] }))
    return hosting
  })
  const anyRegistry = once(async () => {
    const at = server()!
    const name = serverText(at)
    try {
      const stream = await (await host()).dial(undefined, [serverAddress(at)], registryProtocol, deadline(clock, dialMs, signal))
      return clientOn(stream, at, clock)
    } catch (error) {
      const { message, details } = asFault(error)
      const problem = details['problem'] ?? details['reason']
      throw fault.registry_unreachable({ server: name, problem: typeof problem === 'string' ? problem : message }, error)
    }
  })
  const registry = async (): Promise<RegistryClient> => {
    const client = await anyRegistry()
    const key = pinned()
    if (key === undefined || key === client.peerId) return client
    throw fault.registry_key_changed({ server: serverText(server()!), pinned: key, found: client.peerId, file: known.path })
  }
  const card = once(async () => findPeer(await registry(), peer!))
  const idOfPeer = async (): Promise<string | undefined> =>
    peerId ?? (peer === undefined ? undefined : (await card().catch(() => undefined))?.peerId)
  const nearby = once(async () => {
    const id = await idOfPeer()
    if (!isLanAsked || addresses.length > 0 || id === undefined) return undefined
    const { searchLan } = await import('../base/peer/lan/search.ts')
    const found: string[] = []
    await searchLan({ clock }, id, (address) => found.push(address), signal)
    return found
  })
  const table = once(async () => {
    if (!dhtNodes) return undefined
    const bootstrap = contactsAt(dhtNodes, server())
    const [{ kadLookup }, { kadAsk }] = await Promise.all([import('./kad/lookup.ts'), import('./kad/protocol.ts')])
    const id = await idOfPeer()
    const dialler = await host()
    const found = new Set<string>()
    const answered = await kadLookup(
      kadAsk({ host: dialler, clock }),
      id ?? dialler.peerId,
      [...bootstrap, ...needs.nodes.all()],
      (card) => id !== undefined && card.addresses.forEach((address) => found.add(address)),
      deadline(clock, tableMs, signal),
    )
    return { nodes: answered.length, addresses: [...found], isAboutPeer: id !== undefined }
  })
  const target = once(async (): Promise<Target | undefined> => {
    if (peer === undefined) return undefined
    if (peerId !== undefined && addresses.length > 0) return { peerId, addresses, from: 'flag' }
    const found = await card().catch(() => undefined) // a check of its own says why
    const id = found?.peerId ?? peerId
    if (id === undefined) return undefined
    if (addresses.length > 0) return { peerId: id, addresses, from: 'flag' }
    const here = (await nearby()) ?? []
    const elsewhere = [...(found?.addresses ?? needs.addresses.of(id)), ...((await table().catch(() => undefined))?.addresses ?? [])]
    const from = found ? 'registry' : elsewhere.length > 0 ? 'memory' : 'network'
    return { peerId: id, addresses: [...new Set([...here, ...elsewhere])], from }
  })
  return {
    clock,
    log,
    home,
    peer,
    server,
    pinned,
    proxyFor,
    wallet,
    host,
    anyRegistry,
    registry,
    card,
    nearby,
    table,
    target,
    command: (words) => `${program.name} ${words}${program.flags}`,
    close: async () => (await hosting?.catch(() => undefined))?.close(),
  }
}

function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined
  return () => (made ??= make())
}
