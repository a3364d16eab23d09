// From what a person types to a peer that can be dialled: whole ids, beginnings of ids, names; to the key in the place of a rotated one, if that may be; and the
// runbook's words for what goes wrong on the way.
import { type Fault, asFault } from '../kernel/fault.ts'
import type { Clock } from '../kernel/clock.ts'
import { isPeerId } from '../base/identity/identity.ts'
import type { PeerHost, PeerStream } from '../base/peer/host.ts'
import type { Flag } from '../base/terminal/command.ts'
import { fault } from './faults.ts'
import type { KnownAddresses } from './known-addresses.ts'
import type { KnownStatements } from './known-statements.ts'
import type { KnownPeer, RegistryClient } from './registry-client.ts'
import { type Standing, standingAmong } from './statement.ts'
import { askSuccession, withoutPeer } from './succession.ts'

/** The one peer that is meant. Faults: `reach.peer_not_found`, `reach.peer_ambiguous` with the candidates, `reach.peer_rotated`, `reach.peer_revoked`. */
export async function findPeer(registry: RegistryClient, text: string): Promise<KnownPeer> {
  const { peers, statements } = await registry.find(text)
  const standing = standingAmong(text, statements)
  if (standing.is !== 'valid') throw goneFault(text, standing)
  return oneOf(peers, text)
}

function oneOf(found: readonly KnownPeer[], text: string): KnownPeer {
  if (found.length > 1) throw fault.peer_ambiguous({ peer: text, candidates: found.map(({ peerId, name }) => `${peerId} (${name})`) })
  if (!found[0]) throw fault.peer_not_found({ peer: text, tried: 'the registry does not know it' })
  return found[0]
}

/** What is to be said of a key that speaks no more. */
export function goneFault(peer: string, standing: Exclude<Standing, { is: 'valid' }>): Fault {
  if (standing.is === 'rotated') return fault.peer_rotated({ peer, next: standing.to, at: standing.at })
  return fault.peer_revoked({ peer: standing.peerId === peer ? peer : `${standing.peerId}, in the place of ${peer},`, ...standing })
}

/** Flag of the commands that dial a peer. */
export const followFlag = { summary: 'when the peer rotated its key, go on to the new one that it named' } as const satisfies Flag

export type PeerDialNeeds = {
  readonly host: PeerHost
  readonly clock: Clock
  readonly known: KnownAddresses
  readonly statements: KnownStatements
  /** Connects to the registry: asked only when the addresses at hand do not lead to the peer. */
  readonly registry: (signal?: AbortSignal) => Promise<RegistryClient>
  /** Told when another key takes the place of the one that was asked for. */
  readonly followed?: (from: string, to: string) => void
}

export type PeerDialSettings = {
  /** A whole id, the beginning of one, or a name. */
  readonly peer: string
  /** Addresses to use instead of looking for any. */
  readonly addresses: readonly string[]
  readonly protocol: string
  /** Whether the key in the place of a rotated one is as good. If not: fault `reach.peer_rotated`. */
  readonly followRotations: boolean
}

/** Opens streams to one peer, each time by the best way that is known then. A key known to be revoked is not dialled: fault `reach.peer_revoked`. */
export function peerDial(
  needs: PeerDialNeeds,
  { peer, addresses, protocol, followRotations }: PeerDialSettings,
): (signal?: AbortSignal) => Promise<PeerStream> {
  const { host, known, statements, registry, followed } = needs
  /** A name is asked about once: after that it is this key we talk to, or one that it made its successor, whoever takes the name. */
  let id = isPeerId(peer) ? peer : undefined

  /** The key that speaks for this one now, as far as is known here. */
  const current = (of: string): string => {
    const standing = statements.standing(of)
    if (standing.is === 'valid') return of
    if (standing.is === 'revoked' || !followRotations) throw goneFault(of, standing)
    followed?.(of, standing.to)
    return standing.to
  }
  const lookup = async (signal?: AbortSignal): Promise<KnownPeer> => {
    const client = await registry(signal)
    try {
      const found = await client.find(id ?? peer)
      statements.add(found.statements)
      const now = id === undefined ? undefined : current(id)
      if (now === id) return oneOf(found.peers, id ?? peer)
      id = now!
      return oneOf((await client.find(id)).peers, id)
    } finally {
      void client.close()
    }
  }
  /** When somebody else answers in the peer's place, it may show that the peer made it its successor. */
  const dial = async (to: string, at: readonly string[], signal?: AbortSignal): Promise<PeerStream> => {
    try {
      return await host.dial(to, at, protocol, signal)
    } catch (error) {
      if (asFault(error).code !== 'peer.wrong_identity') throw error
      const told = await askSuccession(needs, { from: [to], addresses: at }, signal)
      if (!statements.add(told)) throw error
      id = current(to)
      const places = at.map(withoutPeer)
      const stream = await host.dial(id, places, protocol, signal)
      known.remember(id, places)
      return stream
    }
  }

  return async (signal) => {
    try {
      if (id !== undefined) id = current(id)
      if (addresses.length > 0) return await dial((id ??= (await lookup(signal)).peerId), addresses, signal)
      const remembered = id === undefined ? [] : known.of(id)
      let missed: Fault | undefined
      if (id !== undefined && remembered.length > 0) {
        try {
          return await dial(id, remembered, signal)
        } catch (error) {
          missed = asFault(error)
          if (!isAboutTheWay(missed)) throw missed // the peer itself said no
        }
      }
      const found = await lookup(signal).catch((error: unknown) => {
        const { code, message } = asFault(error)
        const isAboutTheKey = code === 'reach.peer_rotated' || code === 'reach.peer_revoked'
        if (!missed || isAboutTheKey) throw error
        throw fault.peer_not_found({ peer, tried: `${missed.message}; ${message}`, isKnown: true }, error)
      })
      id = found.peerId
      if (found.addresses.length === 0)
        throw fault.peer_not_found({ peer: id, tried: 'it is registered, but listens nowhere', isKnown: true })
      const stream = await dial(id, found.addresses, signal)
      known.remember(stream.remotePeer, found.addresses)
      return stream
    } catch (error) {
      throw inRunbookWords(asFault(error), id ?? peer)
    }
  }
}

function isAboutTheWay({ code }: Fault): boolean {
  return code === 'peer.unreachable' || code === 'peer.wrong_identity' || code === 'peer.bad_address'
}

/** The faults of a connection as the runbook's troubleshooting names them; others as they are. */
export function inRunbookWords(found: Fault, peer: string): Fault {
  const told = found.details['problem']
  const problem = typeof told === 'string' ? told : found.message
  switch (found.code) {
    case 'peer.wrong_identity':
      return fault.handshake_failed({ peer, problem: found.message }, found)
    case 'peer.unreachable': {
      if (/decrypt|cipher|authentication tag|invalid tag/i.test(problem)) return fault.decryption_error({ peer, problem }, found)
      if (/noise|handshake|encryption|multistream|protocol selection/i.test(problem))
        return fault.handshake_failed({ peer, problem }, found)
      const tried = (found.details['addresses'] as readonly string[] | undefined)?.join(', ')
      return fault.peer_not_found({ peer, tried: `${tried ? `tried ${tried}` : 'no address is known'}: ${problem}`, isKnown: true }, found)
    }
    case 'peer.refused':
      if (/does not offer/.test(found.message))
        return fault.peer_not_found({ peer, tried: 'what runs under that identity does not serve this', isKnown: true }, found)
      return found.details['code'] === 'denied' ? fault.not_authorized({ peer }, found) : found
    default:
      return found
  }
}
