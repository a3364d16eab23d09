// The registry's records and the rules for them: only the owner of a key writes its card, a later one replaces an earlier, all of them end, and there are only so many.
import { asFault } from '../../kernel/fault.ts'
import type { Clock } from '../../kernel/clock.ts'
import type { Log } from '../../kernel/log.ts'
import type { Bucket, Revision } from '../../base/kv/kv.ts'
import { fault } from '../faults.ts'
import { type PeerCard, openCard } from '../node/peer-card.ts'
import { minPrefixLength } from './protocol.ts'

/** A card may not promise to be true for longer. */
export const maxCardTtlMs = 24 * 3_600_000
/** What an owner's clock may be ahead of ours. */
const slackMs = 60_000
const maxTries = 5

export type Entry = {
  readonly card: PeerCard
  /** The card as its owner signed it. */
  readonly signed: Uint8Array
  /** Wall time in milliseconds at which it came. */
  readonly cameAt: number
}

export interface RegistryBook {
  /**
   * Takes a card from the peer that proved to be `from`. Faults: `reach.record_invalid` (forged, expired, for too long, another's key),
   * `reach.record_too_old`, `reach.registry_full`.
   */
  publish(from: string, signed: Uint8Array): Promise<PeerCard>
  /** The live cards that a whole id, the beginning of an id, or a name means; at most `limit`. */
  lookup(text: string, limit: number): readonly Entry[]
  /** The live cards in the order of their ids, those after `after`; at most `limit`. */
  list(after: string | undefined, limit: number): readonly Entry[]
  /** Forgets the peer's card, and its sequence with it. */
  remove(peerId: string): Promise<void>
  close(): void
}

/** Until `forgetAt` a card's sequence is remembered, expired or not: no earlier card of the same owner can still be valid after that. */
type Kept = Entry & { readonly forgetAt: number; readonly revision: Revision }
type StoredValue = { readonly card: string; readonly cameAt: number; readonly forgetAt: number }

export type RegistryBookNeeds = { readonly bucket: Bucket; readonly clock: Clock; readonly log: Log }

/** Opens the book on a bucket, which other registries may write, too. `maxRecords` is 10,000 by default. */
export async function openRegistryBook(
  { bucket, clock, log }: RegistryBookNeeds,
  { maxRecords = 10_000 }: { maxRecords?: number } = {},
): Promise<RegistryBook> {
  const kept = new Map<string, Kept>()
  const stop = new AbortController()
  /** Writes of one owner follow each other. */
  const writing = new Map<string, Promise<unknown>>()

  const keep = (entry: Kept | undefined): void => {
    const { peerId } = entry?.card ?? {}
    if (entry && peerId !== undefined && (kept.get(peerId)?.revision ?? -1) < entry.revision) kept.set(peerId, entry)
  }
  /** After changes were missed: what was not seen again until all has been told is there no more. Until then it is answered from. */
  let unseen = new Map<string, Revision>()
  await follow(bucket, stop.signal, log, (change) => {
    if (change.is === 'set') {
      unseen.delete(change.entry.card.peerId)
      keep(change.entry)
    } else if (change.is === 'deleted') {
      if ((kept.get(change.key)?.revision ?? Infinity) < change.revision) kept.delete(change.key)
    } else if (change.is === 'reset') unseen = new Map(Array.from(kept, ([key, { revision }]) => [key, revision]))
    else {
      for (const [key, revision] of unseen) if (kept.get(key)?.revision === revision) kept.delete(key)
      unseen.clear()
    }
  })

  const isLive = ({ card }: Kept): boolean => card.expiresAt > clock.now()
  const forget = async (): Promise<void> => {
    const now = clock.now()
    for (const [key, { forgetAt, revision }] of kept) {
      if (forgetAt <= now && (await bucket.delete(key, revision))) kept.delete(key)
    }
  }
  const write = async (card: PeerCard, signed: Uint8Array): Promise<PeerCard> => {
    const { peerId, sequence, expiresAt } = card
    for (let tries = 0; tries < maxTries; tries++) {
      const known = kept.get(peerId)
      if (known && Buffer.compare(known.signed, signed) === 0) return card
      if (known && known.card.sequence >= sequence) throw fault.record_too_old({ sequence, known: known.card.sequence })
      if (!known && kept.size >= maxRecords) await forget()
      if (!known && kept.size >= maxRecords) throw fault.registry_full({ limit: maxRecords })
      const entry = { card, signed, cameAt: clock.now(), forgetAt: Math.max(expiresAt, known?.forgetAt ?? 0) }
      const revision = known
        ? await bucket.update(peerId, storedValue(entry), known.revision)
        : await bucket.create(peerId, storedValue(entry))
      if (revision !== undefined) {
        keep({ ...entry, revision })
        return card
      }
      const present = await bucket.get(peerId) // another registry was faster
      if (present) keep(restored(present))
      else kept.delete(peerId)
    }
    throw fault.registry_busy({ peerId })
  }
  const live = (matches: (entry: Kept) => boolean): Kept[] =>
    [...kept.values()].filter((entry) => isLive(entry) && matches(entry)).sort(byId)

  return {
    async publish(from, signed) {
      const card = opened(signed, clock.now())
      if (card.peerId !== from) throw fault.record_invalid({ problem: `it is of ${card.peerId}, and came from ${from}` })
      if (card.expiresAt > clock.now() + maxCardTtlMs + slackMs)
        throw fault.record_invalid({ problem: `it would last for more than ${maxCardTtlMs / 3_600_000} hours` })
      const turn = (writing.get(from) ?? Promise.resolve()).catch(() => {}).then(() => write(card, signed))
      writing.set(from, turn)
      try {
        return await turn
      } finally {
        if (writing.get(from) === turn) writing.delete(from)
      }
    },
    lookup(text, limit) {
      const exact = kept.get(text)
      if (exact) return isLive(exact) ? [exact] : []
      return live(({ card }) => card.name === text || (text.length >= minPrefixLength && card.peerId.startsWith(text))).slice(0, limit)
    },
    list: (after, limit) => live(({ card }) => after === undefined || card.peerId > after).slice(0, limit),
    async remove(peerId) {
      for (let tries = 0; tries < maxTries; tries++) {
        const present = await bucket.get(peerId) // it may be that another registry wrote it
        if (!present || (await bucket.delete(peerId, present.revision))) return void kept.delete(peerId)
      }
      throw fault.registry_busy({ peerId })
    },
    close: () => stop.abort(),
  }
}

type BookChange =
  | { readonly is: 'ready' | 'reset' }
  | { readonly is: 'set'; readonly entry: Kept }
  | { readonly is: 'deleted'; readonly key: string; readonly revision: Revision }

/** Tells all that is in the bucket before it resolves, then every change until `signal` is aborted. */
function follow(bucket: Bucket, signal: AbortSignal, log: Log, tell: (change: BookChange) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const run = async (): Promise<void> => {
      for await (const change of bucket.watch(signal)) {
        if (change.is !== 'set') {
          tell(change)
          if (change.is === 'ready') resolve()
          continue
        }
        const entry = restored(change.entry)
        if (entry) tell({ is: 'set', entry })
        else log.warn('reach.registry.damaged', { key: change.entry.key })
      }
    }
    run().catch((error: unknown) => {
      log.error('reach.registry.not_followed', { error })
      reject(asFault(error))
    })
  })
}

function byId(a: Entry, b: Entry): number {
  return a.card.peerId < b.card.peerId ? -1 : 1
}

function opened(signed: Uint8Array, now: number): PeerCard {
  try {
    return openCard(signed, now)
  } catch (error) {
    throw fault.record_invalid({ problem: asFault(error).message }, error)
  }
}

function storedValue({ signed, cameAt, forgetAt }: Omit<Kept, 'revision'>): Uint8Array {
  return Buffer.from(JSON.stringify({ card: Buffer.from(signed).toString('base64url'), cameAt, forgetAt } satisfies StoredValue))
}

/** Undefined when the value is none of ours, or a card of somebody else than its key says. */
function restored({ key, value, revision }: { key: string; value: Uint8Array; revision: Revision }): Kept | undefined {
  try {
    const { card: text, cameAt, forgetAt } = JSON.parse(Buffer.from(value).toString('utf8')) as StoredValue
    const signed = Buffer.from(text, 'base64url')
    const card = openCard(signed, 0) // as of 1970: an expired card still counts for its sequence
    return card.peerId === key ? { card, signed, cameAt, forgetAt, revision } : undefined
  } catch {
    return undefined
  }
}
