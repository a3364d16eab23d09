// The way to a peer through the distributed hash table: who is nearer to it is asked who is nearer still, until nobody is (Kademlia, section 2.3). What is handed on are
// cards that their owners signed: a node on the way can keep one back, but not make one.
import { bucketSize, byDistance } from './kad-table.ts'
import type { PeerCard } from './peer-card.ts'

/** Somebody to ask. Without an id whoever answers will do. */
export type Contact = { readonly peerId: string | undefined; readonly addresses: readonly string[] }

/** The cards of those whom a contact knows near `target`, its own first; rejects when it does not answer. */
export type KadAsk = (contact: Contact, target: string, signal: AbortSignal) => Promise<readonly PeerCard[]>

/** Asked at once: Kademlia's alpha. */
const parallel = 3
/** Asked by one lookup, whatever they answer. */
const maxAsked = 64
const maxCandidates = 256

/** Calls `found` with every card of the target that is later than those before. Resolves with the contacts that answered, when nobody nearer is left to ask, or the signal aborts. */
export async function kadLookup(
  ask: KadAsk,
  target: string,
  seeds: readonly Contact[],
  found: (card: PeerCard) => void,
  signal: AbortSignal,
): Promise<readonly Contact[]> {
  const order = byDistance(target)
  const candidates = new Map<string, Contact>(seeds.slice(0, maxCandidates).map((seed) => [nameOf(seed), seed]))
  const asked = new Set<string>()
  const failed = new Set<string>()
  const answered: Contact[] = []
  let latest = -1

  const take = (card: PeerCard): void => {
    if (card.peerId === target) {
      if (card.sequence <= latest) return
      latest = card.sequence
      return found(card)
    }
    if (card.addresses.length > 0 && candidates.size < maxCandidates && !candidates.has(card.peerId)) candidates.set(card.peerId, card)
  }
  /** The nearest that was not asked, as long as it is among the nearest of all that may answer; who has no id yet comes first. */
  const next = (): Contact | undefined => {
    if (signal.aborted || asked.size >= maxAsked) return undefined
    const rank = (one: Contact, other: Contact): number =>
      one.peerId === undefined || other.peerId === undefined
        ? Number(other.peerId === undefined) - Number(one.peerId === undefined)
        : order(one.peerId, other.peerId)
    return [...candidates.values()]
      .filter((contact) => !failed.has(nameOf(contact)))
      .sort(rank)
      .slice(0, bucketSize)
      .find((contact) => !asked.has(nameOf(contact)))
  }
  const askOne = async (contact: Contact): Promise<void> => {
    asked.add(nameOf(contact))
    try {
      const cards = await ask(contact, target, signal)
      answered.push(contact)
      for (const card of cards) take(card)
    } catch {
      failed.add(nameOf(contact))
    }
  }
  const underWay = new Set<Promise<void>>()
  for (;;) {
    for (let contact = next(); contact && underWay.size < parallel; contact = next()) {
      const one: Promise<void> = askOne(contact).finally(() => underWay.delete(one))
      underWay.add(one)
    }
    if (underWay.size === 0) return answered
    await Promise.race(underWay)
  }
}

function nameOf({ peerId, addresses }: Contact): string {
  return peerId ?? addresses.join()
}
