// Shared keyed state behind one contract: revisions that grow, writes only by expected revision, watches, and an expiry that no clock but the observer's decides.
import type { Clock } from '../../kernel/clock.ts'
import { randomId } from '../../kernel/random.ts'
import { escapeKey, unescapeKey } from './key.ts'
import { type Content, decode, encode } from './value.ts'

/** Grows with every write in a bucket, never to be used twice; compare only. A holder's revision is its fencing token. */
export type Revision = number

/** `isStale`: nobody who decides could be asked, so that a newer one may be there. A read without it may be old as well, by moments. */
export type Entry = Content & { readonly key: string; readonly revision: Revision; readonly isStale?: true }

type WriteOptions = {
  /** Tells this write from all others: after a fault `kv.unavailable`, an entry that carries it shows that the write arrived. Random by default. */
  readonly writer?: string
  /** The entry ends when an observer has seen this same revision for so long on its own monotonic clock. Absent: never. */
  readonly ttlMs?: number
}

/**
 * `set` for each present entry, then `ready`, then changes as they come. `reset`: some were missed (a reconnect, or a reader too slow for the
 * bounded queue); forget everything, the present entries and `ready` follow again.
 */
export type Change =
  | { readonly is: 'set'; readonly entry: Entry }
  | { readonly is: 'deleted'; readonly key: string; readonly revision: Revision }
  | { readonly is: 'ready' | 'reset' }

/**
 * One namespace of keys (any text; at most 200 bytes once escaped) with values of at most 64 KiB. Reads may be stale: only a write decides.
 * Everything may fail with `kv.unavailable`, and then it is unknown whether a write arrived.
 */
export interface Bucket {
  /** The entry, or undefined when there is none or this observer saw it expire. Where nobody who decides can be asked, none is `kv.unavailable`. */
  get(key: string): Promise<Entry | undefined>
  /** Writes a key that is absent or expired; undefined when another has it. */
  create(key: string, value: Uint8Array, options?: WriteOptions): Promise<Revision | undefined>
  /** Replaces exactly `revision`; undefined when that is not the present one. */
  update(key: string, value: Uint8Array, revision: Revision, options?: WriteOptions): Promise<Revision | undefined>
  /** Removes exactly `revision`; false when that is not the present one. */
  delete(key: string, revision: Revision): Promise<boolean>
  /** The entries whose key begins with `prefix`, in no promised order. */
  list(prefix?: string): AsyncIterable<Entry>
  /** Ends when `signal` is aborted. Expired entries appear until somebody removes them: `get` decides. */
  watch(signal: AbortSignal): AsyncIterable<Change>
}

/** One server that keeps a bucket. `behind`: so many writes that it has not heard of. */
export type Copy = { readonly server: string; readonly is: 'leader' | 'current' | 'behind' | 'away'; readonly behind: number }

export interface Kv {
  /** Other processes write to it, too: who keeps a copy of an entry has to watch it. */
  readonly isShared?: true
  /** How those are who keep it, as far as they can be asked; absent where that is this machine alone. Fault `kv.unavailable`. */
  copies?(): Promise<readonly Copy[]>
  /** `name`: text, escaped as keys are. The same name gives the same state. */
  bucket(name: string): Bucket
  close(): Promise<void>
}

/** How long the holder of an entry with `ttlMs` may act on it, counted from before it sent the write: the rest is for drift and delay. */
export function holdMs(ttlMs: number): number {
  return (ttlMs * 2) / 3
}

/** `isStale` as in `Entry`. */
export type Stored = { readonly key: string; readonly bytes: Uint8Array; readonly revision: Revision; readonly isStale?: true }
export type StoredChange =
  | { readonly is: 'set'; readonly stored: Stored }
  | { readonly is: 'deleted'; readonly key: string; readonly revision: Revision }
  | { readonly is: 'ready' | 'reset' }

/** What an adapter provides for one bucket. Keys are escaped, 1 to 200 of `[A-Za-z0-9_=-]`; bytes are at most 64 KiB and 128 bytes. Faults: `kv.unavailable`, `kv.full`. */
export interface Backing {
  get(key: string): Promise<Stored | undefined>
  /** Writes if the present revision is `expected` (0: the key is absent), else answers undefined. */
  put(key: string, bytes: Uint8Array, expected: Revision): Promise<Revision | undefined>
  remove(key: string, expected: Revision): Promise<boolean>
  list(prefix: string): AsyncIterable<Stored>
  watch(signal: AbortSignal): AsyncIterable<StoredChange>
}

type Sighting = { readonly revision: Revision; readonly atMs: number }

const maxSightings = 65_536
const maxTries = 3

/** Makes a bucket of an adapter's: escapes keys, frames values, and is the observer on whose `clock` entries expire. */
export function bucketOver(backing: Backing, clock: Clock): Bucket {
  const sightings = new Map<string, Sighting>()
  const forget = (key: string): void => void sightings.delete(key)

  /** Notes when this revision was first seen, and tells whether its time is over. */
  const hasExpired = (key: string, revision: Revision, ttlMs: number | undefined): boolean => {
    if (ttlMs === undefined) return (forget(key), false)
    const seen = sightings.get(key)
    if (seen && seen.revision === revision) return clock.mono() - seen.atMs >= ttlMs
    if (seen && seen.revision > revision) return false // a stale read: what it shows has ended, but only a write may decide that
    if (!seen && sightings.size >= maxSightings) forget(sightings.keys().next().value!) // seen anew later, it lives longer: the safe side
    sightings.set(key, { revision, atMs: clock.mono() })
    return false
  }
  const entryOf = (stored: Stored): Entry => ({
    key: unescapeKey(stored.key),
    revision: stored.revision,
    ...decode(stored),
    ...(stored.isStale ? { isStale: true } : {}),
  })
  const put = async (
    key: string,
    value: Uint8Array,
    expected: Revision,
    { writer = randomId(), ttlMs }: WriteOptions,
  ): Promise<Revision | undefined> => {
    const revision = await backing.put(key, encode(key, value, writer, ttlMs), expected)
    if (revision !== undefined) hasExpired(key, revision, ttlMs)
    return revision
  }
  /** The stored entry unless it has expired: then it is removed, so that watchers learn of it, and the bucket does not fill with the dead. */
  const living = async (key: string, first?: Stored): Promise<Entry | undefined> => {
    let stored = first ?? (await backing.get(key))
    for (let tries = 0; stored; tries++) {
      const entry = entryOf(stored)
      if (!hasExpired(key, stored.revision, entry.ttlMs)) return entry
      if ((await backing.remove(key, stored.revision)) || tries === maxTries) break
      stored = await backing.get(key)
    }
    forget(key)
    return undefined
  }

  return {
    get: async (key) => living(escapeKey(key)),
    async create(key, value, options = {}) {
      const escaped = escapeKey(key)
      for (let tries = 0; tries < maxTries; tries++) {
        const made = await put(escaped, value, 0, options)
        if (made !== undefined || (await living(escaped))) return made
      }
      return undefined
    },
    update: async (key, value, revision, options = {}) => put(escapeKey(key), value, revision, options),
    async delete(key, revision) {
      const escaped = escapeKey(key)
      const isGone = await backing.remove(escaped, revision)
      if (isGone) forget(escaped)
      return isGone
    },
    async *list(prefix = '') {
      for await (const stored of backing.list(prefix === '' ? '' : escapeKey(prefix))) {
        const entry = await living(stored.key, stored)
        if (entry) yield entry
      }
    },
    async *watch(signal) {
      for await (const change of backing.watch(signal)) {
        if (change.is === 'set') {
          const entry = entryOf(change.stored)
          hasExpired(change.stored.key, entry.revision, entry.ttlMs)
          yield { is: 'set', entry }
        } else if (change.is === 'deleted') {
          forget(change.key)
          yield { is: 'deleted', key: unescapeKey(change.key), revision: change.revision }
        } else yield { is: change.is }
      }
    },
  }
}
