// A peer card: what a peer says of itself (its name, the addresses it listens on), signed by its own key, so that it does not matter who passes it on.
import { faults } from '../../kernel/fault.ts'
import type { Identity } from '../../base/identity/identity.ts'
import { openRecord, signRecord } from '../../base/identity/record.ts'

/** The purpose a card is signed for: a card is no other kind of record. */
export const cardContext = 'fairlead/peer-card/1'
/** A signed card is no larger. */
export const maxCardBytes = 4 << 10
export const maxCardAddresses = 16
const maxAddressLength = 256

const fault = faults('card', {
  malformed: (d: { problem: string }) => ({ kind: 'usage', message: `not a peer card: ${d.problem}` }),
})

export type PeerCard = {
  readonly peerId: string
  /** 1 to 64 visible characters. Names are not unique and prove nothing. */
  readonly name: string
  /** Multiaddrs, best first; none when the peer only makes itself known. */
  readonly addresses: readonly string[]
  /** The later card of a peer has the greater number: its owner's wall time in milliseconds, or one more than the card before. */
  readonly sequence: number
  /** Wall time in milliseconds. */
  readonly expiresAt: number
}

/** Signs what the identity says of itself; fault `card.malformed` for what nobody would accept. */
export async function signCard(identity: Identity, said: Omit<PeerCard, 'peerId'>): Promise<Uint8Array> {
  const { name, addresses, sequence, expiresAt } = said
  const problem = problemOf(said)
  if (problem) throw fault.malformed({ problem })
  return signRecord(identity, cardContext, { sequence, expiresAt, name, addresses })
}

/** Opens a signed card at wall time `now`. Faults: `card.malformed` and those of `openRecord`. */
export function openCard(bytes: Uint8Array, now: number): PeerCard {
  if (bytes.length > maxCardBytes) throw fault.malformed({ problem: `${bytes.length} bytes, the limit is ${maxCardBytes}` })
  const { signer, body } = openRecord(cardContext, bytes, now)
  const { sequence, expiresAt, name, addresses } = body
  const problem = problemOf({ name, addresses })
  if (problem) throw fault.malformed({ problem })
  return { peerId: signer, name: name as string, addresses: addresses as string[], sequence, expiresAt }
}

function problemOf({ name, addresses }: { name: unknown; addresses: unknown }): string | undefined {
  if (typeof name !== 'string' || !/^[^\p{C}]{1,64}$/u.test(name)) return 'the name has not 1 to 64 visible characters'
  if (!Array.isArray(addresses) || addresses.length > maxCardAddresses) return `the addresses are no list of at most ${maxCardAddresses}`
  const isAddress = (address: unknown): boolean =>
    typeof address === 'string' && address.length <= maxAddressLength && /^(?:\/[\x21-\x2e\x30-\x7e]+)+$/.test(address)
  return addresses.every(isAddress) ? undefined : 'an address is no multiaddr'
}
