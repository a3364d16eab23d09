// A peer's side of the registry: its key is pinned when it is first met, and every card it hands on is judged by its owner's signature alone.
import type { Clock } from '../../kernel/clock.ts'
import { isPeerId } from '../../base/identity/identity.ts'
import type { PeerStream } from '../../base/peer/host/host.ts'
import { type Server, serverAddress, serverText } from './known-registries.ts'
import { type PeerCard, openCard } from '../node/peer-card.ts'
import {
  type Listed,
  type RegistryAnswer,
  type RegistryRequest,
  maxAnswerBytes,
  maxPage,
  readAnswer,
  registryProtocol,
  requestValue,
} from './protocol.ts'
import { type RegistryDialNeeds, dialRegistry, exchangesOn } from './exchange.ts'
import { type Statement, statementsFrom } from '../succession/statement.ts'

/** A card with how long ago the registry got it, and the addresses on it that led the registry itself to this key lately. */
export type KnownPeer = PeerCard & { readonly ageMs: number; readonly proved: readonly string[] }

export interface RegistryClient {
  /** The registry's own peer id, as it proved it. */
  readonly peerId: string
  /** The multiaddr by which it was reached, with its id. */
  readonly address: string
  /** The registry's clock less ours, in milliseconds, as of its last answer; undefined before the first. */
  aheadMs(): number | undefined
  /** `aheadMs` as of this answer. Fault: `reach.registry_refused`, with `known` when a later card is there. */
  publish(signed: Uint8Array): Promise<{ readonly aheadMs: number }>
  /** The cards that a whole id, the beginning of one, or a name means: none, one or several. */
  lookup(peer: string): Promise<readonly KnownPeer[]>
  /** The same, with what is known of the key when a whole id is asked for: of that key and of those that took its place. */
  find(peer: string): Promise<{ readonly peers: readonly KnownPeer[]; readonly statements: readonly Statement[] }>
  /** What is known of these keys, and of those that took their place. At most 128 are asked about at once. */
  statements(peers: readonly string[]): Promise<readonly Statement[]>
  /** Has the registry dial the addresses on our card that are where it sees us; answers those that led to us. Fault: `reach.registry_refused`. */
  prove(): Promise<readonly string[]>
  /** Makes a statement about a key known. Fault: `reach.registry_refused`. */
  announce(signed: Uint8Array): Promise<void>
  /** All cards, by id; at most 10,000. */
  list(): Promise<readonly KnownPeer[]>
  close(): Promise<void>
}

const maxListed = 10_000

/** Connects to a registry. Faults: `reach.registry_unreachable`, `reach.registry_key_changed`. */
export async function connectRegistry(needs: RegistryDialNeeds, server: Server, signal?: AbortSignal): Promise<RegistryClient> {
  return clientOn(await dialRegistry(needs, server, registryProtocol, signal), server, needs.clock)
}

/** A client on an open stream: requests follow each other. */
export function clientOn(stream: PeerStream, server: Server, clock: Clock): RegistryClient {
  let aheadMs: number | undefined
  const exchange = exchangesOn(stream, { name: serverText(server), clock, maxAnswerBytes }, readAnswer)
  const ask = async (request: RegistryRequest): Promise<Extract<RegistryAnswer, { ok: unknown }>['ok']> => {
    const answer = await exchange(requestValue(request))
    aheadMs = answer.now - clock.now()
    return answer
  }
  const opened = (cards: readonly Listed[] = []): KnownPeer[] => cards.flatMap((listed) => openListed(listed, clock.now()))
  const find = async (peer: string): ReturnType<RegistryClient['find']> => {
    const { cards, statements = [] } = await ask({ do: 'lookup', peer })
    const isMeant = ({ peerId }: KnownPeer): boolean => peerId === peer || !isPeerId(peer) // a whole id means one key, whatever a registry says
    return { peers: opened(cards).filter(isMeant), statements: statementsFrom([peer], statements) }
  }

  return {
    peerId: stream.remotePeer,
    address: `${serverAddress(server)}/p2p/${stream.remotePeer}`,
    aheadMs: () => aheadMs,
    async publish(signed) {
      const { now } = await ask({ do: 'publish', card: signed })
      return { aheadMs: now - clock.now() }
    },
    lookup: async (peer) => (await find(peer)).peers,
    find,
    async statements(peers) {
      return statementsFrom(peers, (await ask({ do: 'statements', peers })).statements ?? [])
    },
    prove: async () => (await ask({ do: 'prove' })).proved ?? [],
    async announce(statement) {
      await ask({ do: 'announce', statement })
    },
    async list() {
      const all: KnownPeer[] = []
      for (let after: string | undefined, more = true; more && all.length < maxListed;) {
        const page = await ask({ do: 'list', after, limit: maxPage })
        const found = opened(page.cards)
        all.push(...found)
        const last = found.at(-1)?.peerId
        more = page.more === true && last !== undefined && (after === undefined || last > after)
        after = last
      }
      return all
    },
    async close() {
      await stream.close()
      stream.abort('idle') // the connection was made for these questions; the registry is the relay, too, and others may use it by now
    },
  }
}

/** None when the card is forged or has ended meanwhile: then the registry may as well have said nothing. */
function openListed({ card, ageMs, proved = [] }: Listed, now: number): KnownPeer[] {
  try {
    const opened = openCard(Buffer.from(card, 'base64url'), now)
    return [{ ...opened, ageMs, proved: proved.filter((address) => opened.addresses.includes(address)) }]
  } catch {
    return []
  }
}
