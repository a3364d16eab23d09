// From what a person types to a peer that can be dialled: whole ids, beginnings of ids, names; to the key in the place of a rotated one, if that may be; and the
// runbook's words for what goes wrong on the way.
import { type Fault, asFault } from '../../kernel/fault.ts'
import type { Clock } from '../../kernel/clock.ts'
import { isPeerId } from '../../base/identity/identity.ts'
import { isRelayed, relayOf, throughRelay } from '../../base/peer/address.ts'
import type { PeerHost, PeerStream, Protocols } from '../../base/peer/host/host.ts'
import { type Search, dialAsFound } from './as-found.ts'
import type { Flag } from '../../base/terminal/command.ts'
import { fault } from '../faults.ts'
import { firstOf } from './first-way.ts'
import type { KnownAddresses } from './known-addresses.ts'
import type { KnownStatements } from '../succession/known-statements.ts'
import type { KnownPeer, RegistryClient } from '../registry/client.ts'
import { maxTextLength, minPrefixLength } from '../registry/protocol.ts'
import { type Standing, standingAmong } from '../succession/statement.ts'
import { askSuccession, withoutPeer } from '../succession/teller.ts'

/** The one peer that is meant. Faults: `reach.peer_not_found`, `reach.peer_ambiguous` with the candidates, `reach.peer_rotated`, `reach.peer_revoked`. */
export async function findPeer(registry: RegistryClient, text: string): Promise<KnownPeer> {
  checkPeerText(text)
  const { peers, statements } = await registry.find(text)
  const standing = standingAmong(text, statements)
  if (standing.is !== 'valid') throw goneFault(text, standing)
  return oneOf(peers, text, registry)
}

/** Fault `reach.peer_text_invalid` for what means nobody at any registry. */
function checkPeerText(text: string): void {
  if (text.length === 0 || text.length > maxTextLength) throw fault.peer_text_invalid({ length: text.length })
}

function oneOf(found: readonly KnownPeer[], text: string, registry: RegistryClient): KnownPeer {
  if (found.length > 1) throw fault.peer_ambiguous({ peer: text, candidates: found.map(({ peerId, name }) => `${peerId} (${name})`) })
  const isTooShort = text.length < minPrefixLength && '12D3KooW'.startsWith(text)
  const tried = isTooShort ? `all ids begin so: ${minPrefixLength} characters or more tell them apart` : 'the registry does not know it'
  const [peer] = found
  if (!peer) throw fault.peer_not_found({ peer: text, tried })
  // the registry is the relay, too: how we have just reached it is a way to whoever has a place there, whatever it announces
  const isThere = peer.addresses.some((address) => relayOf(address)?.peerId === registry.peerId)
  return isThere ? { ...peer, addresses: [...new Set([...peer.addresses, throughRelay(registry.address, peer.peerId)])] } : peer
}

/** What is to be said of a key that speaks no more. */
function goneFault(peer: string, standing: Exclude<Standing, { is: 'valid' }>): Fault {
  if (standing.is === 'rotated') return fault.peer_rotated({ peer, next: standing.to, at: standing.at })
  return fault.peer_revoked({ peer: standing.peerId === peer ? peer : `${standing.peerId}, in the place of ${peer},`, ...standing })
}

/** Flag of the commands that dial a peer. */
export const followFlag = { summary: 'when the peer rotated its key, go on to the new one that it named' } as const satisfies Flag

/** Which ways may be used: through a relay, directly, or whichever proves first. */
export type Way = 'any' | 'direct' | 'relayed'

export type PeerDialNeeds = {
  readonly host: PeerHost
  readonly clock: Clock
  readonly known: KnownAddresses
  readonly statements: KnownStatements
  /** Connects to the registry: asked only when the addresses at hand do not lead to the peer, or not within a moment. */
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
  /** Where else it may be looked for by its whole id, one after the other. */
  readonly searches: readonly Search[]
  /** Whether the key in the place of a rotated one is as good. If not, as by default: fault `reach.peer_rotated`. */
  readonly followRotations?: boolean
}

/** `protocols`: others than the one of the settings. */
export type PeerDial = (signal?: AbortSignal, way?: Way, protocols?: Protocols) => Promise<PeerStream>

/** Opens streams to one peer, each time by the best way that is known then: see `stepsTo`. A key known to be revoked is not dialled: fault `reach.peer_revoked`. */
export function peerDial(needs: PeerDialNeeds, settings: PeerDialSettings): PeerDial {
  const { host, clock, known, statements, registry, followed } = needs
  const { peer, addresses, searches, followRotations = false } = settings
  checkPeerText(peer)
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
      const asked = id ?? peer
      const found = await client.find(asked)
      statements.add(found.statements)
      if (id === undefined) return oneOf(found.peers, asked, client)
      id = current(id)
      return oneOf(id === asked ? found.peers : (await client.find(id)).peers, id, client)
    } finally {
      void client.close()
    }
  }
  /** When somebody else answers in the peer's place, it may show that the peer made it its successor. */
  const dial = async (to: string, at: readonly string[], protocol: Protocols, signal?: AbortSignal): Promise<PeerStream> => {
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

  const dialFound = async (way: Way, protocol: Protocols, signal?: AbortSignal): Promise<PeerStream> => {
    const found = await lookup(signal)
    id = found.peerId
    const usable = ofWay(found.addresses, way)
    if (usable.length === 0) {
      const tried = found.addresses.length === 0 ? 'it is registered, but listens nowhere' : `it is registered, but with no ${way} address`
      throw fault.peer_not_found({ peer: id, tried, isKnown: true })
    }
    const stream = await dial(id, usable, protocol, signal)
    known.remember(stream.remotePeer, found.addresses)
    return stream
  }
  /** The ways in their order; each begins when those before it have missed, or have not led anywhere within a moment. The key decides, not who told us. */
  const stepsTo = (way: Way, protocol: Protocols) => {
    const remembered = id === undefined ? [] : ofWay(known.of(id), way)
    return [
      ...(remembered.length > 0 ? [(signal: AbortSignal) => dial(id!, remembered, protocol, signal)] : []),
      (signal: AbortSignal) => dialFound(way, protocol, signal),
      ...(way === 'relayed'
        ? []
        : searches.map(
            (search) => (signal: AbortSignal) =>
              dialAsFound({ host, known }, { peer: id, protocol, usable: (found) => ofWay(found, way) }, search, signal),
          )),
    ]
  }
  return async (signal, way = 'any', protocol = settings.protocol) => {
    try {
      if (id !== undefined) id = current(id)
      if (addresses.length > 0) {
        const given = ofWay(addresses, way)
        if (given.length === 0) throw fault.peer_not_found({ peer: id ?? peer, tried: `no ${way} address was given`, isKnown: true })
        return await dial((id ??= (await lookup(signal)).peerId), given, protocol, signal)
      }
      return await firstOf(stepsTo(way, protocol), clock, signal)
    } catch (error) {
      const miss = error instanceof AggregateError ? missOf(id ?? peer, error.errors as Fault[]) : asFault(error)
      throw inRunbookWords(miss, id ?? peer)
    }
  }
}

function ofWay(addresses: readonly string[], way: Way): readonly string[] {
  return way === 'any' ? addresses : addresses.filter((address) => isRelayed(address) === (way === 'relayed'))
}

/** What to say when no way led there. That a search found nothing is no news. */
function missOf(peer: string, misses: readonly Fault[]): Fault {
  const [first, second] = misses.filter(({ code }) => code !== 'reach.nobody_knows')
  if (!first || !second) return first ?? misses[0]!
  if (second.code.startsWith('peer.')) return second
  return fault.peer_not_found({ peer, tried: `${first.message}; ${second.message}`, isKnown: true }, second)
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

/** Somebody of whom we know, but who is not there now: another time it may work. */
export function unreached(found: Fault): Fault {
  const { peer, tried, isKnown } = found.details as { peer: string; tried: string; isKnown?: boolean }
  return found.code === 'reach.peer_not_found' && isKnown ? fault.not_reached({ peer, tried }, found) : found
}
