// The way to a peer through the distributed hash table: who is nearer to it is asked who is nearer still, until nobody is (Kademlia, section 2.3). What is handed on are
// cards that their owners signed: a node on the way can keep one back, but not make one.
import { bucketSize, distance, placeOf } from './table.ts'
import type { PeerCard } from '../node/peer-card.ts'

/** Somebody to ask. Without an id whoever answers will do. */
export type Contact = { readonly peerId: string | undefined; readonly addresses: readonly string[] }

/** The cards of those whom a contact knows near `target`, its own first; rejects when it does not answer. */
export type KadAsk = (contact: Contact, target: string, signal: AbortSignal) => Promise<readonly PeerCard[]>

/** Asked at once: Kademlia's alpha. */
const parallel = 3
/** Asked by one lookup, whatever they answer. */
const maxAsked = 64
const maxCandidates = 256

type Candidate = { readonly contact: Contact; readonly away: Buffer; is: 'new' | 'asked' | 'silent' }

/** Calls `found` with every card of the target that is later than those before. Resolves with the contacts that answered, when nobody nearer is left to ask, or the signal aborts. */
export async function kadLookup(
  answerOf: KadAsk,
  target: string,
  seeds: readonly Contact[],
  found: (card: PeerCard) => void,
  signal: AbortSignal,
): Promise<readonly Contact[]> {
  const to = placeOf(target)
  const candidates = new Map<string, Candidate>()
  const answered: Contact[] = []
  let asked = 0
  let latest = -1

  const consider = (contact: Contact): void => {
    const name = contact.peerId ?? contact.addresses.join()
    if (candidates.size >= maxCandidates || candidates.has(name)) return
    const away = contact.peerId === undefined ? Buffer.alloc(to.length) : distance(to, placeOf(contact.peerId)) // who has no id yet comes first
    candidates.set(name, { contact, away, is: 'new' })
  }
  const take = (card: PeerCard): void => {
    if (card.peerId !== target) return card.addresses.length > 0 ? consider(card) : undefined
    if (card.sequence <= latest) return
    latest = card.sequence
    found(card)
  }
  /** The nearest that was not asked, as long as it is among the nearest of all that may answer. */
  const next = (): Candidate | undefined => {
    if (signal.aborted || asked >= maxAsked) return undefined
    return [...candidates.values()]
      .filter(({ is }) => is !== 'silent')
      .sort((one, other) => Buffer.compare(one.away, other.away))
      .slice(0, bucketSize)
      .find(({ is }) => is === 'new')
  }
  const ask = async (candidate: Candidate): Promise<void> => {
    const { contact } = candidate
    asked++
    candidate.is = 'asked'
    try {
      const cards = await answerOf(contact, target, signal)
      answered.push(contact)
      for (const card of cards) take(card)
    } catch {
      candidate.is = 'silent'
    }
  }
  for (const seed of seeds) consider(seed)
  const underWay = new Set<Promise<void>>()
  for (;;) {
    for (let nearest = next(); nearest && underWay.size < parallel; nearest = next()) {
      const one: Promise<void> = ask(nearest).finally(() => underWay.delete(one))
      underWay.add(one)
    }
    if (underWay.size === 0) return answered
    await Promise.race(underWay)
  }
}
