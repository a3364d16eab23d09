// One identity at work: a host that others dial, a card at the registry that stays true, and the sessions of those it authorizes.
import type { Clock } from '../../kernel/clock.ts'
import { asFault } from '../../kernel/fault.ts'
import type { Log } from '../../kernel/log.ts'
import type { Identity } from '../../base/identity/identity.ts'
import type { Wallet } from '../../base/identity/wallet.ts'
import type { LedgerPlace } from '../../base/ledger/checkpointing.ts'
import type { OwnHost } from '../../base/peer/host/host.ts'
import type { LanAnswers } from '../../base/peer/lan/answers.ts'
import { type HostDuty, type SharedHost, openSharedHost } from '../../base/peer/host/shared-host.ts'
import { type ProxyFor, noProxy } from '../../base/peer/proxy.ts'
import type { TunnelSession } from '../../base/peer/tunnel/server.ts'
import { isTunnelProtocol, tunnelProtocol } from '../../base/peer/tunnel/tunnel.ts'
import type { ScanLimits } from '../../base/wire/walk.ts'
import type { Wire } from '../../base/wire/wire.ts'
import type { AuthorizedPeers } from '../serving/authorized-peers.ts'
import { serveFiles } from '../file/server.ts'
import type { Home } from '../home.ts'
import { inUse } from './in-use.ts'
import { knownAddresses } from '../finding/known-addresses.ts'
import type { Contact } from '../kad/lookup.ts'
import { peerDial } from '../finding/find-peer.ts'
import { contactsAt, lanSearch } from '../finding/searches.ts'
import { historyPlace } from '../history.ts'
import { type Server, knownRegistries, parseServer, serverText } from '../registry/known-registries.ts'
import { keepMailbox } from '../mailbox/keeper.ts'
import { serveMessages } from '../message/server.ts'
import { servePeers } from '../serving/peer-service.ts'
import type { ProvedSession } from '../serving/preamble.ts'
import { type KnownPeer, connectRegistry } from '../registry/client.ts'
import { followLast } from '../registry/last-registry.ts'
import { keepRegistered } from '../registry/registration.ts'
import { knownStatements } from '../succession/known-statements.ts'
import { freshStatements } from '../succession/fresh-statements.ts'
import { introductions } from '../succession/introductions.ts'
import { watchStatements } from '../succession/statement-watch.ts'
import { succession, tellSuccession } from '../succession/teller.ts'
import { type WitnessKeeper, type WitnessingRules, keepWitnessed } from '../witness/keeper.ts'
import { witnessProtocol } from '../witness/protocol.ts'
import { serveWitness } from '../witness/server.ts'

export type NodeHostNeeds = {
  readonly wallet: Wallet
  readonly clock: Clock
  readonly log: Log
  /** As in `createPeerHost`. */
  readonly proxyFor?: ProxyFor
  /** As in `openSharedHost`. */
  readonly wants?: (peerId: string, protocol: string) => boolean
}

export type NodeHostSettings = {
  readonly home: Home
  /** Multiaddrs; where the process that is the host already listens counts instead. */
  readonly listen: readonly string[]
  readonly announce?: readonly string[]
  /** `HOST[:PORT]`; by default the last one registered with, and none when there is none. */
  readonly server?: string | undefined
  /** Whether who asks for this peer on the local network is answered: by default, as long as we listen there. */
  readonly isLanAnswered?: boolean
  /** Multiaddrs of nodes at which the distributed hash table begins, besides the registry; undefined: we take no part in it. */
  readonly dhtNodes?: readonly string[] | undefined
  /** None by default. */
  readonly witnessing?: Witnessing
}

/** Which ledgers of this identity are to be witnessed, besides its history, and by whom. */
export type Witnessing = WitnessingRules & {
  /** Whole peer ids. */
  readonly witnesses: readonly string[]
  readonly ledgers?: readonly LedgerPlace[]
}

export type NodeHost = {
  readonly host: SharedHost
  /** Where our card is kept, whether it is there yet or not. */
  readonly registry: string | undefined
  /** Ends all of it. */
  close(): Promise<void>
}

/**
 * Becomes the host of the identity, or attaches to it: the host takes messages and files, empties its mailboxes and is registered. A registry that does not answer
 * is no failure: it is tried again. Faults of `openSharedHost` and `parseServer`.
 */
export async function openNodeHost(
  { wallet, clock, log, proxyFor = noProxy, wants }: NodeHostNeeds,
  settings: NodeHostSettings,
): Promise<NodeHost> {
  const { home, listen, announce, isLanAnswered = true, dhtNodes } = settings
  const { identity, name } = wallet
  const known = knownRegistries(home.registries)
  const server = settings.server === undefined ? known.last() : parseServer(settings.server)
  const registry = server && serverText(server)
  const bootstrap = dhtNodes && contactsAt(dhtNodes, server)
  const own = () => succession(home.succession, identity.peerId)
  const whileHost = async (host: OwnHost): Promise<HostDuty> => {
    tellSuccession({ host, clock }, own)
    const statements = knownStatements(home.statements)
    const fresh = freshStatements({ host, clock, log, known, statements }, () => server ?? known.last())
    const needs = { identity, host, home, learn: fresh.about, clock, log }
    const messages = orNone(log, 'reach.messages.not_taken', () => serveMessages(needs))
    const witness = orNone(log, 'reach.witness.not_served', () => serveWitness(needs))
    const isBusy = inUse({ clock, countBytes: () => host.countBytes(tunnelProtocol) })
    const files = orNone(log, 'reach.files.not_taken', () => serveFiles({ ...needs, isBusy }))
    const lan = isLanAnswered ? await lanAnswers({ host, clock, log }) : undefined
    const kad = bootstrap && (await kadNode({ wallet, host, home, clock, log }, bootstrap))
    const kept = new Map<string, { readonly registration: Part; readonly mailbox: Part | undefined }>()
    const keep = (server: Server): void => {
      if (kept.has(serverText(server)) || kept.size >= maxRegistries) return
      const registration = keepRegistered({ identity, host, clock, log, known, own }, { name, server })
      const mailbox = messages && keepMailbox({ desk: messages.desk, host, clock, log, known }, { server, after: registration.tried })
      kept.set(serverText(server), { registration, mailbox })
    }
    const unfollow = followLast({ clock, known }, (server) => settings.server === undefined && keep(server))
    return {
      asked(servers) {
        for (const text of servers) keep(parseServer(text))
      },
      async close() {
        unfollow()
        lan?.close()
        const parts = [...kept.values()]
        const closeMessages = async (): Promise<void> => {
          await Promise.all(parts.map(async ({ mailbox }) => mailbox?.close()))
          await messages?.close() // last: the others bring what it stores
        }
        await Promise.all([
          closeMessages(),
          files?.close(),
          kad?.close(),
          witness?.close(),
          fresh.close(),
          ...parts.map(({ registration }) => registration.close()),
        ])
      },
    }
  }
  const host = await openSharedHost(
    { identity: async () => identity, peerId: identity.peerId, clock, log, proxyFor, whileHost, ...(wants ? { wants } : {}) },
    { folder: home.folder, listen, ...(announce ? { announce } : {}), asks: registry === undefined ? [] : [registry] },
  )
  const keepers = witnessKeepers({ identity, host, clock, log }, settings)
  return {
    host,
    registry,
    async close() {
      await Promise.all(keepers.map((keeper) => keeper.close()))
      await host.close()
    },
  }
}

type KeeperNeeds = { readonly identity: Identity; readonly host: SharedHost; readonly clock: Clock; readonly log: Log }

function witnessKeepers(
  { identity, host, clock, log }: KeeperNeeds,
  { home, server, isLanAnswered = true, witnessing }: NodeHostSettings,
): WitnessKeeper[] {
  const { witnesses = [], ledgers = [], ...rules } = witnessing ?? {}
  const known = knownRegistries(home.registries)
  const places = { known: knownAddresses(home.addresses), statements: knownStatements(home.statements) }
  const registry = (signal?: AbortSignal) => connectRegistry({ host, clock, known }, known.choose(server), signal)
  return witnesses.flatMap((witness) => {
    const searches = isLanAnswered ? [lanSearch(clock)] : []
    const dial = peerDial({ host, clock, registry, ...places }, { peer: witness, addresses: [], protocol: witnessProtocol, searches })
    return [historyPlace(home), ...ledgers].map((place) => keepWitnessed({ identity, clock, log, dial }, { ...rules, place, witness }))
  })
}

async function lanAnswers({ host, clock, log }: { readonly host: OwnHost; readonly clock: Clock; readonly log: Log }): Promise<LanAnswers> {
  const { answerOnLan } = await import('../../base/peer/lan/answers.ts') // who attaches to a host answers nobody
  return answerOnLan({ peerId: host.peerId, addresses: () => host.addresses(), clock, log })
}

async function kadNode(
  { wallet: { identity, name }, host, home, clock, log }: NodeHostNeeds & { readonly host: OwnHost; readonly home: Home },
  bootstrap: readonly Contact[],
): Promise<Part> {
  const { startKadNode } = await import('../kad/node.ts')
  return startKadNode({ identity, host, nodes: knownAddresses(home.nodes), clock, log }, { name, bootstrap })
}

type Part = { close(): Promise<void> }

/** A home where nothing can be stored takes no messages, say, and who sends one learns that; what else runs there goes on. */
function orNone<Served>(log: Log, event: string, serve: () => Served): Served | undefined {
  try {
    return serve()
  } catch (error) {
    log.error(event, { problem: asFault(error).message })
    return undefined
  }
}

/** Registries that one host keeps its card at. */
const maxRegistries = 8

export type PeerNodeNeeds = Omit<NodeHostNeeds, 'wants'> & {
  readonly authorized: AuthorizedPeers
  /** What a new session of an authorized peer is joined to. */
  readonly open: (session: ProvedSession) => Wire
}

export type PeerNodeSettings = NodeHostSettings & {
  /** How long a session that was cut may come back; 5 min by default. */
  readonly keepMs?: number
  readonly limits?: ScanLimits
}

export interface PeerNode {
  readonly peerId: string
  addresses(): readonly string[]
  /** Where it listens: port 0 is the one that it became. */
  listening(): readonly string[]
  readonly registry: string | undefined
  /** Of authorized peers: those that are open or may still come back. */
  sessions(): readonly TunnelSession[]
  /** Who is at our registry. Faults of `connectRegistry`. */
  registered(signal: AbortSignal): Promise<readonly KnownPeer[]>
  close(): Promise<void>
}

/** Listens, serves and registers; faults of `openNodeHost`. */
export async function startPeerNode(
  { wallet, authorized, open, clock, log, proxyFor = noProxy }: PeerNodeNeeds,
  settings: PeerNodeSettings,
): Promise<PeerNode> {
  const statements = knownStatements(settings.home.statements)
  let introduce: ReturnType<typeof introductions> | undefined // nobody before there is a host
  const wants = (peerId: string, protocol: string): boolean => {
    if (!isTunnelProtocol(protocol) || authorized.allows(peerId)) return true
    void introduce?.(peerId, authorized.followed()) // it is let in when it comes again
    return false
  }
  const node = await openNodeHost({ wallet, clock, log, proxyFor, wants }, settings)
  const { host, registry } = node
  introduce = introductions({ host, statements, clock, log })
  const known = knownRegistries(settings.home.registries)
  let watch: Part | undefined
  const watchAt = (server: Server): void =>
    void (watch ??= watchStatements({ host, clock, log, known, statements }, { server, peers: () => authorized.listed() }))
  if (registry !== undefined) watchAt(parseServer(registry))
  const unfollow = followLast({ clock, known }, watchAt)
  const { keepMs, limits } = settings
  const service = servePeers(
    { host, authorized, open, clock, log },
    { ...(keepMs === undefined ? {} : { keepMs }), ...(limits === undefined ? {} : { limits }) },
  )
  return {
    peerId: host.peerId,
    addresses: () => host.addresses(),
    listening: () => host.listening(),
    registry,
    sessions: () => service.sessions(),
    registered: async (signal) => (await connectRegistry({ host, clock, known }, known.choose(settings.server), signal)).list(),
    async close() {
      unfollow()
      const unwatched = watch?.close()
      await service.close()
      await node.close()
      await unwatched
    },
  }
}
