// What was counted over time: a sample when something changed and the last one is old enough, kept for a day on the disk beside the entries.
import type { Store } from '../base/store/store.ts'
import type { Sums } from './counts.ts'

/** All numbers since the cache was begun, as they were at a moment (ms since 1970). */
export type Sample = { readonly at: number } & Pick<Sums, 'hits' | 'misses' | 'api_calls_made' | 'api_calls_saved'>

export const samplesMigration = `CREATE TABLE sample (
   at INTEGER PRIMARY KEY, hits INTEGER NOT NULL, misses INTEGER NOT NULL, api_calls_made INTEGER NOT NULL, api_calls_saved INTEGER NOT NULL
 ) STRICT, WITHOUT ROWID;`

const everyMs = 10_000
const keepMs = 86_400_000
/** More than a plot has room for is thinned out. */
const maxTold = 500

export interface Samples {
  /** Takes one if it is time; to be called in a transaction, after something was counted. */
  take(sums: Sums, nowMs: number): void
  /** The oldest first, `maxTold` at most. */
  all(): readonly Sample[]
}

/** What there is now. */
export function sampleOf({ hits, misses, api_calls_made, api_calls_saved }: Sums, at: number): Sample {
  return { at, hits, misses, api_calls_made, api_calls_saved }
}

export function samplesIn(store: Store): Samples {
  let lastMs = store.get<{ at: number | null }>('SELECT max(at) AS at FROM sample')?.at ?? -Infinity
  return {
    take({ hits, misses, api_calls_made: made, api_calls_saved: saved }, nowMs) {
      if (nowMs < lastMs) store.run('DELETE FROM sample WHERE at > ?', Math.floor(nowMs)) // the clock was set back
      else if (nowMs - lastMs < everyMs) return
      lastMs = Math.floor(nowMs)
      store.run('DELETE FROM sample WHERE at < ?', lastMs - keepMs)
      store.run('INSERT OR REPLACE INTO sample VALUES (?, ?, ?, ?, ?)', lastMs, hits, misses, made, saved)
    },
    all() {
      const every = store.all<Sample>('SELECT at, hits, misses, api_calls_made, api_calls_saved FROM sample ORDER BY at')
      const step = Math.ceil(every.length / maxTold)
      return step <= 1 ? every : every.filter((_, n) => (every.length - 1 - n) % step === 0)
    },
  }
}
