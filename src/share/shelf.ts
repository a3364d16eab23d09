// Where sealed entries lie on this machine: one SQLite file, bounded by bytes, the least recently used go first; and what was counted, over all runs.
import { join } from 'node:path'
import { type Store, openStore } from '../base/store/store.ts'
import type { Clock } from '../kernel/clock.ts'
import { reasonOf } from '../kernel/fault.ts'
import type { Log } from '../kernel/log.ts'
import { type Count, type Counts, counts, noCounts, sumsOf } from './counts.ts'
import { createRecent } from './recent.ts'
import { type Sample, samplesIn, samplesMigration } from './samples.ts'

/** `sealed`: bytes of their own, which nobody changes any more. */
export type Shelved = { readonly sealed: Uint8Array; readonly atMs: number; readonly subject: string }

export interface Shelf {
  /** The very same bytes as long as they are in memory, so that what was proved of them needs no second proof. Nobody may change them. */
  get(key: string): Uint8Array | undefined
  /** False: a newer one is there already, or there is no room on the disk. */
  put(key: string, entry: Shelved): boolean
  remove(key: string): void
  /** Removes what is about one of these subjects; all, when none is named. */
  forget(subjects?: readonly string[]): void
  /** Grows each time: what was asked for before that is not kept. */
  readonly forgets: number
  count(what: Count, by?: number): void
  /** Of all runs. */
  readonly counts: Counts
  /** How they grew. */
  samples(): readonly Sample[]
  readonly sizeBytes: number
  readonly size: number
  close(): void
}

const migrations = [
  `CREATE TABLE entry (
     key TEXT PRIMARY KEY, sealed BLOB NOT NULL, size INTEGER NOT NULL, at INTEGER NOT NULL, subject TEXT NOT NULL, used INTEGER NOT NULL
   ) STRICT, WITHOUT ROWID;
   CREATE INDEX entry_used ON entry (used);
   CREATE INDEX entry_subject ON entry (subject);
   CREATE TABLE counted (what TEXT PRIMARY KEY, number INTEGER NOT NULL) STRICT, WITHOUT ROWID;`,
  samplesMigration,
]
/** Uses and counts are written together, at the latest after so many. */
const maxUnwritten = 1_024
/** And so soon: who is killed loses no more. */
const unwrittenMs = 1_000
/** What an entry costs beside its bytes. */
const overheadBytes = 512
/** So much of what was used last is in memory, too: a hit waits for no disk. */
const maxRecentBytes = 16 << 20

/** Opens the one in `folder`, whose only writer the caller is. Faults: those of `openStore`. */
export function openShelf(
  { clock, log }: { readonly clock: Clock; readonly log: Log },
  { folder, maxBytes }: { readonly folder: string; readonly maxBytes: number },
): Shelf {
  const store = openStore({ path: join(folder, 'entries.db'), migrations, clock, log })
  const sums = store.get<{ sizeBytes: number; size: number; used: number }>(
    'SELECT coalesce(sum(size), 0) AS sizeBytes, count(*) AS size, coalesce(max(used), 0) AS used FROM entry',
  )!
  let { sizeBytes, size, used } = sums
  const counted = new Map(
    store.all<{ what: string; number: number }>('SELECT what, number FROM counted').map(({ what, number }) => [what, number]),
  )
  const countsNow = (): Counts => ({ ...noCounts, ...Object.fromEntries(counts.map((what) => [what, counted.get(what) ?? 0])) })
  const samples = samplesIn(store)
  const touched = new Map<string, number>()
  const changed = new Set<Count>()
  const recent = createRecent(Math.min(maxRecentBytes, maxBytes))
  let cancelWrite: (() => void) | undefined
  /** Something that was to be forgotten is still there: nothing is given before all is gone. */
  let mustEmpty = false
  let forgets = 0
  let isTold = false
  /** A full disk ends nothing: what cannot be written is not kept. */
  const attempt = <Result>(work: () => Result): Result | undefined => {
    try {
      const result = work()
      isTold = false
      return result
    } catch (error) {
      if (!isTold) log.warn('share.not_kept', { reason: reasonOf(error) })
      isTold = true
      return undefined
    }
  }
  const empty = (): boolean => {
    if (!mustEmpty) return true
    if (!attempt(() => store.run('DELETE FROM entry'))) return false
    sizeBytes = 0
    size = 0
    mustEmpty = false
    return true
  }
  const write = (): void =>
    store.transaction(() => {
      for (const [key, at] of touched) store.run('UPDATE entry SET used = ? WHERE key = ?', at, key)
      for (const what of changed)
        store.run('INSERT INTO counted VALUES (?, ?) ON CONFLICT DO UPDATE SET number = excluded.number', what, counted.get(what)!)
      if (changed.size > 0) samples.take(sumsOf(countsNow()), clock.now())
    })
  /** What could not be written waits for the next time; the order of use for no longer than it is short. */
  const writeNow = (): void => {
    cancelWrite?.()
    cancelWrite = undefined
    const isWritten = attempt(() => (write(), true))
    if (isWritten || touched.size >= maxUnwritten) touched.clear()
    if (isWritten) changed.clear()
  }
  const writeSoon = (): void => {
    if (touched.size >= maxUnwritten) return writeNow()
    cancelWrite ??= clock.after(unwrittenMs, writeNow)
  }
  const count = (what: Count, by = 1): void => {
    counted.set(what, (counted.get(what) ?? 0) + by)
    changed.add(what)
    writeSoon()
  }
  /** Removes what a statement finds, which has to return the size of each. */
  const removeAll = (statement: string, ...values: readonly string[]): void => {
    const removed = attempt(() => store.all<{ size: number }>(statement, ...values))
    mustEmpty ||= !removed
    for (const row of removed ?? []) {
      sizeBytes -= row.size
      size--
    }
  }
  return {
    get(key) {
      if (mustEmpty) return undefined
      const known = recent.get(key)
      const sealed = known ?? store.get<{ sealed: Uint8Array }>('SELECT sealed FROM entry WHERE key = ?', key)?.sealed
      if (sealed) {
        if (!known) recent.set(key, sealed)
        touched.set(key, ++used)
        writeSoon()
      }
      return sealed
    },
    put(key, { sealed, atMs, subject }) {
      const needsBytes = sealed.length + overheadBytes
      if (needsBytes > maxBytes || !empty()) return false
      const present = store.get<{ at: number; size: number }>('SELECT at, size FROM entry WHERE key = ?', key)
      if (present && present.at > atMs) return false
      if (sizeBytes - (present?.size ?? 0) + needsBytes > maxBytes) writeNow() // who is used now is not the one to go
      const evicted = attempt(() =>
        store.transaction(() => {
          if (present) store.run('DELETE FROM entry WHERE key = ?', key)
          const gone = evict(store, sizeBytes - (present?.size ?? 0) + needsBytes - maxBytes)
          store.run('INSERT INTO entry VALUES (?, ?, ?, ?, ?, ?)', key, sealed, needsBytes, Math.floor(atMs), subject, ++used)
          return gone
        }),
      )
      if (!evicted) return false
      for (const gone of evicted) {
        recent.remove(gone.key)
        sizeBytes -= gone.size
      }
      sizeBytes += needsBytes - (present?.size ?? 0)
      size += (present ? 0 : 1) - evicted.length
      if (evicted.length > 0) count('evictions', evicted.length)
      recent.set(key, sealed)
      return true
    },
    remove(key) {
      recent.remove(key)
      removeAll('DELETE FROM entry WHERE key = ? RETURNING size', key)
    },
    forget(subjects) {
      forgets++
      recent.clear()
      if (!subjects) removeAll('DELETE FROM entry RETURNING size')
      else for (const subject of subjects) removeAll('DELETE FROM entry WHERE subject = ? RETURNING size', subject)
    },
    get forgets() {
      return forgets
    },
    count,
    get counts() {
      return countsNow()
    },
    samples: () => samples.all(),
    get sizeBytes() {
      return sizeBytes
    },
    get size() {
      return size
    },
    close() {
      writeNow()
      empty()
      store.close()
    },
  }
}

type Evicted = { readonly key: string; readonly size: number }

function evict(store: Store, tooManyBytes: number): readonly Evicted[] {
  const evicted: Evicted[] = []
  for (let leftBytes = tooManyBytes; leftBytes > 0; leftBytes -= evicted.at(-1)!.size) {
    const oldest = store.get<Evicted>('SELECT key, size FROM entry ORDER BY used LIMIT 1')
    if (!oldest) break
    store.run('DELETE FROM entry WHERE key = ?', oldest.key)
    evicted.push(oldest)
  }
  return evicted
}
