// Keyed state in a SQLite file that this process alone writes: the embedded default.
import type { Clock } from '../../kernel/clock.ts'
import { asFault } from '../../kernel/fault.ts'
import type { Log } from '../../kernel/log.ts'
import { type Store, openStore } from '../store/store.ts'
import { fault } from './faults.ts'
import { escapeKey } from './key.ts'
import { type Backing, type Bucket, type Kv, type Stored, bucketOver } from './kv.ts'
import { createWatchers } from './watchers.ts'

export type SqliteKvOptions = {
  readonly path: string
  readonly clock: Clock
  readonly log: Log
  /** Of each bucket; 65,536 by default. */
  readonly maxEntries?: number
}

const migrations = [
  `CREATE TABLE bucket (name TEXT PRIMARY KEY, revision INTEGER NOT NULL) STRICT;
   CREATE TABLE entry (bucket TEXT NOT NULL REFERENCES bucket, key TEXT NOT NULL, revision INTEGER NOT NULL, bytes BLOB NOT NULL, PRIMARY KEY (bucket, key)) STRICT;`,
]

/** Added to a bucket's revision at each opening: a loss of power may have taken the last second's writes, and no revision is used twice. */
const revisionLeap = 1_000_000
const pageSize = 256

/** Opens the file at `path`; faults: those of `openStore`. */
export function openSqliteKv({ path, clock, log, maxEntries = 65_536 }: SqliteKvOptions): Kv {
  const store = openStore({ path, migrations, log, clock })
  const buckets = new Map<string, Bucket>()
  return {
    bucket(name) {
      const bucket = buckets.get(name) ?? bucketOver(sqliteBacking(store, escapeKey(name), maxEntries), clock)
      buckets.set(name, bucket)
      return bucket
    },
    close: async () => store.close(),
  }
}

type Row = { key: string; bytes: Uint8Array; revision: number }

function sqliteBacking(store: Store, name: string, maxEntries: number): Backing {
  store.run('INSERT INTO bucket (name, revision) VALUES (?, 0) ON CONFLICT DO UPDATE SET revision = revision + ?', name, revisionLeap)
  let last = store.get<{ revision: number }>('SELECT revision FROM bucket WHERE name = ?', name)!.revision
  let size = store.get<{ size: number }>('SELECT count(*) AS size FROM entry WHERE bucket = ?', name)!.size
  const watchers = createWatchers(name, () => store.all<Row>('SELECT key, bytes, revision FROM entry WHERE bucket = ?', name))
  const revisionOf = (key: string): number =>
    store.get<{ revision: number }>('SELECT revision FROM entry WHERE bucket = ? AND key = ?', name, key)?.revision ?? 0

  /** Runs `write` with the next revision if the key's present one is `expected`. */
  const change = (key: string, expected: number, write: (revision: number) => void): number | undefined =>
    attempt(() =>
      store.transaction(() => {
        if (revisionOf(key) !== expected) return undefined
        const revision = last + 1
        store.run('UPDATE bucket SET revision = ? WHERE name = ?', revision, name)
        write(revision)
        return revision
      }),
    )
  return {
    get: async (key) => attempt(() => store.get<Row>('SELECT key, bytes, revision FROM entry WHERE bucket = ? AND key = ?', name, key)),
    async put(key, bytes, expected) {
      if (expected === 0 && size >= maxEntries && revisionOf(key) === 0) throw fault.full({ bucket: name, maxEntries })
      const revision = change(key, expected, (revision) =>
        store.run(
          'INSERT INTO entry VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET revision = excluded.revision, bytes = excluded.bytes',
          name,
          key,
          revision,
          bytes,
        ),
      )
      if (revision === undefined) return undefined
      last = revision
      if (expected === 0) size++
      watchers.tell({ is: 'set', stored: { key, bytes, revision } })
      return revision
    },
    async remove(key, expected) {
      if (expected === 0) return false
      const revision = change(key, expected, () => store.run('DELETE FROM entry WHERE bucket = ? AND key = ?', name, key))
      if (revision === undefined) return false
      last = revision
      size--
      watchers.tell({ is: 'deleted', key, revision })
      return true
    },
    list: (prefix) => pages(store, name, prefix),
    watch: (signal) => watchers.watch(signal),
  }
}

/** Keys use no character above `z`, so `{` ends the range of a prefix. */
async function* pages(store: Store, name: string, prefix: string): AsyncGenerator<Stored> {
  for (let after = ''; ;) {
    const rows = attempt(() =>
      store.all<Row>(
        'SELECT key, bytes, revision FROM entry WHERE bucket = ? AND key >= ? AND key < ? AND key > ? ORDER BY key LIMIT ?',
        name,
        prefix,
        `${prefix}{`,
        after,
        pageSize,
      ),
    )
    yield* rows
    if (rows.length < pageSize) return
    after = rows.at(-1)!.key
  }
}

function attempt<Result>(work: () => Result): Result {
  try {
    return work()
  } catch (error) {
    throw fault.unavailable({ reason: asFault(error).message }, error)
  }
}
