// One identity at work: a host that others dial, a card at the registry that stays true, and the sessions of those it authorizes.
import type { Clock } from '../../kernel/clock.ts'
import { asFault } from '../../kernel/fault.ts'
import type { Log } from '../../kernel/log.ts'
import type { Wallet } from '../../base/identity/wallet.ts'
import type { OwnHost } from '../../base/peer/host/host.ts'
import type { LanAnswers } from '../../base/peer/lan/answers.ts'
import { type HostDuty, type SharedHost, openSharedHost } from '../../base/peer/host/shared-host.ts'
import { tunnelProtocol } from '../../base/peer/tunnel/tunnel.ts'
import type { ScanLimits } from '../../base/wire/walk.ts'
import type { Wire } from '../../base/wire/wire.ts'
import type { AuthorizedPeers } from '../serving/authorized-peers.ts'
import { serveFiles } from '../file/server.ts'
import type { Home } from '../home.ts'
import { inUse } from './in-use.ts'
import { knownAddresses } from '../finding/known-addresses.ts'
import type { Contact } from '../kad/lookup.ts'
import { contactsAt } from '../finding/searches.ts'
import { type Server, knownRegistries, parseServer, serverText } from '../registry/known-registries.ts'
import { keepMailbox } from '../mailbox/keeper.ts'
import { serveMessages } from '../message/server.ts'
import { servePeers } from '../serving/peer-service.ts'
import type { ProvedSession } from '../serving/preamble.ts'
import { keepRegistered } from '../registry/registration.ts'
import { type KnownStatements, knownStatements } from '../succession/known-statements.ts'
import { rateLimit } from '../rate.ts'
import { watchStatements } from '../succession/statement-watch.ts'
import { askSuccession, succession, tellSuccession } from '../succession/teller.ts'
import { serveWitness } from '../witness/server.ts'

export type NodeHostNeeds = {
  readonly wallet: Wallet
  readonly clock: Clock
  readonly log: Log
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
}

export type NodeHost = {
  readonly host: SharedHost
  /** Where our card is kept, whether it is there yet or not. */
  readonly registry: string | undefined
}

/**
 * Becomes the host of the identity, or attaches to it: the host takes messages and files, empties its mailboxes and is registered. A registry that does not answer
 * is no failure: it is tried again. Faults of `openSharedHost` and `parseServer`.
 */
export async function openNodeHost({ wallet, clock, log, wants }: NodeHostNeeds, settings: NodeHostSettings): Promise<NodeHost> {
  const { home, listen, announce, isLanAnswered = true, dhtNodes } = settings
  const { identity, name } = wallet
  const known = knownRegistries(home.registries)
  const server = settings.server === undefined ? known.last() : parseServer(settings.server)
  const registry = server && serverText(server)
  const bootstrap = dhtNodes && contactsAt(dhtNodes, server)
  const own = () => succession(home.succession, identity.peerId)
  const whileHost = async (host: OwnHost): Promise<HostDuty> => {
    tellSuccession({ host, clock }, own)
    const needs = { identity, host, home, clock, log }
    const messages = orNone(log, 'reach.messages.not_taken', () => serveMessages(needs))
    const witness = orNone(log, 'reach.witness.not_served', () => serveWitness(needs))
    const isBusy = inUse({ clock, countBytes: () => host.countBytes(tunnelProtocol) })
    const files = orNone(log, 'reach.files.not_taken', () => serveFiles({ ...needs, isBusy }))
    const lan = isLanAnswered ? await lanAnswers({ host, clock, log }) : undefined
    const kad = bootstrap && (await kadNode({ wallet, host, home, clock, log }, bootstrap))
    const kept = new Map<string, { readonly registration: Part; readonly mailbox: Part | undefined }>()
    const keep = (server: Server) => {
      const registration = keepRegistered({ identity, host, clock, log, known, own }, { name, server })
      return {
        registration,
        mailbox: messages && keepMailbox({ desk: messages.desk, host, clock, log, known }, { server, after: registration.tried }),
      }
    }
    return {
      asked(servers) {
        for (const text of [...servers].slice(0, maxRegistries)) if (!kept.has(text)) kept.set(text, keep(parseServer(text)))
      },
      async close() {
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
          ...parts.map(({ registration }) => registration.close()),
        ])
      },
    }
  }
  const host = await openSharedHost(
    { identity: async () => identity, peerId: identity.peerId, clock, log, whileHost, ...(wants ? { wants } : {}) },
    { folder: home.folder, listen, ...(announce ? { announce } : {}), asks: registry === undefined ? [] : [registry] },
  )
  return { host, registry }
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
  readonly registry: string | undefined
  close(): Promise<void>
}

/** Listens, serves and registers; faults of `openNodeHost`. */
export async function startPeerNode(
  { wallet, authorized, open, clock, log }: PeerNodeNeeds,
  settings: PeerNodeSettings,
): Promise<PeerNode> {
  const statements = knownStatements(settings.home.statements)
  let getToKnow: ((peerId: string) => Promise<void>) | undefined
  const wants = (peerId: string, protocol: string): boolean => {
    if (protocol !== tunnelProtocol || authorized.allows(peerId)) return true
    void getToKnow?.(peerId)
    return false
  }
  const { host, registry } = await openNodeHost({ wallet, clock, log, wants }, settings)
  if (authorized.followsRotations) getToKnow = strangers({ host, authorized, statements, clock, log })
  const watch =
    registry === undefined
      ? undefined
      : watchStatements(
          { host, clock, log, known: knownRegistries(settings.home.registries), statements },
          { server: parseServer(registry), peers: () => authorized.listed() },
        )
  const { keepMs, limits } = settings
  const service = servePeers(
    { host, authorized, open, clock, log },
    { ...(keepMs === undefined ? {} : { keepMs }), ...(limits === undefined ? {} : { limits }) },
  )
  return {
    peerId: host.peerId,
    addresses: () => host.addresses(),
    registry,
    async close() {
      const unwatched = watch?.close()
      await service.close()
      await host.close()
      await unwatched
    },
  }
}

type StrangerNeeds = { host: SharedHost; authorized: AuthorizedPeers; statements: KnownStatements; clock: Clock; log: Log }

/** Somebody whom nobody listed may be a listed peer with a new key, and can show it without a registry: asked at most every 5 s. It is let in when it comes again. */
function strangers({ host, authorized, statements, clock, log }: StrangerNeeds): (peerId: string) => Promise<void> {
  const rate = rateLimit(clock, { burst: 1, perSecond: 0.2 })
  return async (peerId) => {
    if (rate.take(peerId) > 0) return
    const told = await askSuccession({ host, clock }, { from: authorized.listed(), peerId, addresses: [] })
    if (statements.add(told)) log.info('reach.statements', { from: peerId, peers: told.map(({ peerId, says }) => ({ peerId, says })) })
  }
}
