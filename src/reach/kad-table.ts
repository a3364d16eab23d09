// What a node of the distributed hash table knows of others: cards in buckets by distance from itself, few far away and all that are near (Kademlia, section 2.2).
import { createHash } from 'node:crypto'
import type { PeerCard } from './peer-card.ts'

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

/** Orders by distance from `target`, nearest first. */
export function byDistance(target: string): (one: string, other: string) => number {
  const to = placeOf(target)
  return (one, other) => Buffer.compare(distance(to, placeOf(one)), distance(to, placeOf(other)))
}

function distance(one: Buffer, other: Buffer): Buffer {
  return Buffer.from(one.map((byte, at) => byte ^ other[at]!))
}

/** How many of the first bits two places share: 0 to 256. */
function sharedBits(one: Buffer, other: Buffer): number {
  const bits = distance(one, other)
  const at = bits.findIndex((byte) => byte !== 0)
  return at < 0 ? 256 : at * 8 + Math.clz32(bits[at]!) - 24
}

/** A table for the node `own`: at most 20 cards for each of 256 distances, of which the far ones alone ever fill. */
export function kadTable(own: string): KadTable {
  const here = placeOf(own)
  const buckets = new Map<number, Map<string, SignedCard>>()
  const bucketOf = (peerId: string): Map<string, SignedCard> => {
    const at = sharedBits(here, placeOf(peerId))
    const bucket = buckets.get(at) ?? new Map<string, SignedCard>()
    buckets.set(at, bucket)
    return bucket
  }
  const all = (): SignedCard[] => [...buckets.values()].flatMap((bucket) => [...bucket.values()])
  return {
    add(card) {
      if (card.peerId === own) return
      const bucket = bucketOf(card.peerId)
      const before = bucket.get(card.peerId)
      if (before ? before.sequence < card.sequence : bucket.size < bucketSize) bucket.set(card.peerId, card)
    },
    remove: (peerId) => void bucketOf(peerId).delete(peerId),
    closest(target, now) {
      for (const { peerId, expiresAt } of all()) if (expiresAt <= now) bucketOf(peerId).delete(peerId)
      const order = byDistance(target)
      return all()
        .sort((one, other) => order(one.peerId, other.peerId))
        .slice(0, bucketSize)
    },
    count: () => all().length,
  }
}
