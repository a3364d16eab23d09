// From what a person types to a peer that can be dialled: whole ids, beginnings of ids, names; and the runbook's words for what goes wrong on the way.
import { type Fault, asFault } from '../kernel/fault.ts'
import { isPeerId } from '../base/identity/identity.ts'
import type { PeerHost, PeerStream } from '../base/peer/host.ts'
import { fault } from './faults.ts'
import type { KnownAddresses } from './known-addresses.ts'
import type { KnownPeer, RegistryClient } from './registry-client.ts'

/** The one peer that is meant. Faults: `reach.peer_not_found`, `reach.peer_ambiguous` with the candidates. */
export async function findPeer(registry: RegistryClient, text: string): Promise<KnownPeer> {
  const found = await registry.lookup(text)
  if (found.length > 1) throw fault.peer_ambiguous({ peer: text, candidates: found.map(({ peerId, name }) => `${peerId} (${name})`) })
  if (!found[0]) throw fault.peer_not_found({ peer: text, tried: 'the registry does not know it' })
  return found[0]
}

export type PeerDialNeeds = {
  readonly host: PeerHost
  readonly known: KnownAddresses
  /** Connects to the registry: asked only when the addresses at hand do not lead to the peer. */
  readonly registry: (signal?: AbortSignal) => Promise<RegistryClient>
}

export type PeerDialSettings = {
  /** A whole id, the beginning of one, or a name. */
  readonly peer: string
  /** Addresses to use instead of looking for any. */
  readonly addresses: readonly string[]
  readonly protocol: string
}

/** Opens streams to one peer, each time by the best way that is known then. */
export function peerDial(
  { host, known, registry }: PeerDialNeeds,
  { peer, addresses, protocol }: PeerDialSettings,
): (signal?: AbortSignal) => Promise<PeerStream> {
  /** A name is asked about once: after that it is this key we talk to, whoever takes the name. */
  let id = isPeerId(peer) ? peer : undefined

  const lookup = async (signal?: AbortSignal): Promise<KnownPeer> => {
    const client = await registry(signal)
    try {
      return await findPeer(client, id ?? peer)
    } finally {
      void client.close()
    }
  }
  const dial = (to: string, at: readonly string[], signal?: AbortSignal): Promise<PeerStream> => host.dial(to, at, protocol, signal)

  return async (signal) => {
    try {
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
        throw missed ? fault.peer_not_found({ peer, tried: `${missed.message}; ${asFault(error).message}`, isKnown: true }, error) : error
      })
      id = found.peerId
      if (found.addresses.length === 0)
        throw fault.peer_not_found({ peer: id, tried: 'it is registered, but listens nowhere', isKnown: true })
      const stream = await dial(id, found.addresses, signal)
      known.remember(id, found.addresses)
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

/** Somebody of whom we know, but who is not there now: another time it may work. */
export function unreached(found: Fault): Fault {
  const { peer, tried, isKnown } = found.details as { peer: string; tried: string; isKnown?: boolean }
  return found.code === 'reach.peer_not_found' && isKnown ? fault.not_reached({ peer, tried }, found) : found
}
