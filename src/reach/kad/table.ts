// What a node of the distributed hash table knows of others: cards in buckets by distance from itself, few far away and all that are near (Kademlia, section 2.2).
import { createHash } from 'node:crypto'
import type { PeerCard } from '../node/peer-card.ts'

/** Cards in a bucket, and in an answer: Kademlia's k. */
export const bucketSize = 20

/** A card with the bytes that its owner signed: as such it is handed on. */
export type SignedCard = PeerCard & { readonly signed: Uint8Array }

/** See `kadTable`. */
export interface KadTable {
  /** Takes the card of somebody who has just proved to be there; the oldest acquaintances stay, and a later card replaces an earlier one. */
  add(card: SignedCard): void
  /** Somebody did not answer. */
  remove(peerId: string): void
  /** The cards nearest to `target`, nearest first; those that have ended are forgotten. */
  closest(target: string, now: number): readonly SignedCard[]
  count(): number
}

/** The place of a peer: where it is does not depend on what it chose, so that nobody chooses his neighbours cheaply. */
export function placeOf(peerId: string): Buffer {
  return createHash('sha256').update(peerId).digest()
}

/** How far two places are from each other: the less by `Buffer.compare`, the nearer. */
export function distance(one: Buffer, other: Buffer): Buffer {
  const bits = Buffer.alloc(one.length)
  for (let at = 0; at < bits.length; at++) bits[at] = one[at]! ^ other[at]!
  return bits
}

/** How many of the first bits two places share: 0 to 256. */
function sharedBits(one: Buffer, other: Buffer): number {
  const bits = distance(one, other)
  const at = bits.findIndex((byte) => byte !== 0)
  return at < 0 ? 256 : at * 8 + Math.clz32(bits[at]!) - 24
}

type Entry = { readonly card: SignedCard; readonly place: Buffer }

/** A table for the node `own`: at most 20 cards for each of 256 distances, of which the far ones alone ever fill. */
export function kadTable(own: string): KadTable {
  const here = placeOf(own)
  const buckets = new Map<number, Map<string, Entry>>()
  const bucketAt = (place: Buffer): Map<string, Entry> => {
    const at = sharedBits(here, place)
    const bucket = buckets.get(at) ?? new Map<string, Entry>()
    buckets.set(at, bucket)
    return bucket
  }
  const all = (): Entry[] => [...buckets.values()].flatMap((bucket) => [...bucket.values()])
  return {
    add(card) {
      if (card.peerId === own) return
      const place = placeOf(card.peerId)
      const bucket = bucketAt(place)
      const before = bucket.get(card.peerId)
      if (before ? before.card.sequence < card.sequence : bucket.size < bucketSize) bucket.set(card.peerId, { card, place })
    },
    remove: (peerId) => void bucketAt(placeOf(peerId)).delete(peerId),
    closest(target, now) {
      for (const { card, place } of all()) if (card.expiresAt <= now) bucketAt(place).delete(card.peerId)
      const to = placeOf(target)
      return all()
        .map(({ card, place }) => ({ card, away: distance(to, place) }))
        .sort((one, other) => Buffer.compare(one.away, other.away))
        .slice(0, bucketSize)
        .map(({ card }) => card)
    },
    count: () => all().length,
  }
}
