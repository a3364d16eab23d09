// The database of samples: each value once, its roll-ups made by the database itself, and the oldest given up by age and by size.
import type { Store } from '../../base/store/store.ts'

/** Seconds that one row of a roll-up stands for, the coarsest first. They are part of the file's format: see `migrations`. */
export const rollupWidths = [3_600, 300] as const

/**
 * Samples are kept by time, so that a new one is an append, and giving up the oldest frees whole pages. The trigger makes roll-ups as exact as the samples, in the
 * same transaction. `metrics` is what people ask: `SELECT COUNT(*) FROM metrics`.
 */
export const migrations = [
  `CREATE TABLE series (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;
   CREATE TABLE samples (at INTEGER NOT NULL, series INTEGER NOT NULL, value REAL NOT NULL, PRIMARY KEY (at, series)) STRICT, WITHOUT ROWID;
   CREATE TABLE rollups (
     width INTEGER NOT NULL, at INTEGER NOT NULL, series INTEGER NOT NULL,
     count INTEGER NOT NULL, sum REAL NOT NULL, least REAL NOT NULL, most REAL NOT NULL,
     PRIMARY KEY (width, at, series)) STRICT, WITHOUT ROWID;
   CREATE TRIGGER rolled_up AFTER INSERT ON samples BEGIN
     INSERT INTO rollups
       SELECT width, new.at - new.at % width, new.series, 1, new.value, new.value, new.value
       FROM (SELECT 3600 AS width UNION ALL SELECT 300) WHERE true
       ON CONFLICT DO UPDATE SET
         count = count + 1, sum = sum + excluded.sum, least = min(least, excluded.least), most = max(most, excluded.most);
   END;
   CREATE VIEW metrics AS
     SELECT samples.at AS timestamp, series.name AS metric_type, samples.value AS value FROM samples JOIN series ON series.id = samples.series`,
] as const

/** What the samples of one series within one bucket come to. `at`: when the bucket begins, in seconds since the epoch. */
export type Bucket = {
  readonly at: number
  readonly name: string
  readonly count: number
  readonly sum: number
  readonly least: number
  readonly most: number
}

type Span = { readonly fromSeconds: number; readonly toSeconds: number }

/** The widest roll-up that buckets of this width are made of; undefined: of samples. */
export function sourceOf(widthSeconds: number): (typeof rollupWidths)[number] | undefined {
  return rollupWidths.find((width) => widthSeconds % width === 0)
}

/** Buckets from `fromSeconds` on and before `toSeconds`, both multiples of the width; those without a sample are left out. By time, then by name. */
export function bucketsOf(
  store: Pick<Store, 'all'>,
  { fromSeconds, toSeconds, widthSeconds, names }: Span & { readonly widthSeconds: number; readonly names: readonly string[] },
): Bucket[] {
  const source = sourceOf(widthSeconds)
  const [columns, table, where] =
    source === undefined
      ? ['count(*) AS count, sum(value) AS sum, min(value) AS least, max(value) AS most', 'samples', '']
      : ['sum(count) AS count, sum(sum) AS sum, min(least) AS least, max(most) AS most', 'rollups', `width = ${source} AND`]
  return store.all<Bucket>(
    `SELECT at - at % ? AS at, name, ${columns} FROM ${table} JOIN series ON series.id = series
     WHERE ${where} at >= ? AND at < ? AND name IN (SELECT value FROM json_each(?)) GROUP BY 1, 2 ORDER BY 1, 2`,
    widthSeconds,
    fromSeconds,
    toSeconds,
    JSON.stringify(names),
  )
}

/** Adds what was seen at one time; a series that has a value there keeps it. */
export function addSamples(store: Store, atSeconds: number, values: ReadonlyMap<string, number>): void {
  store.transaction(() => {
    for (const [name, value] of values) {
      store.run('INSERT INTO series (name) VALUES (?) ON CONFLICT DO NOTHING', name)
      store.run('INSERT INTO samples SELECT ?, id, ? FROM series WHERE name = ? ON CONFLICT DO NOTHING', atSeconds, value, name)
    }
  })
}

/** When the last sample was taken, in seconds since the epoch. */
export function newestSample(store: Pick<Store, 'get'>): number | undefined {
  return store.get<{ at: number | null }>('SELECT max(at) AS at FROM samples')?.at ?? undefined
}

export type Kept = { readonly sampleDays: number; readonly rollupDays: number; readonly maxBytes: number }

/** One table, or one width of roll-ups in it: what is kept of it, and how long it may be kept. */
type Level = { readonly table: 'samples' | 'rollups'; readonly where: string; readonly days: number }

const daySeconds = 86_400
const hourSeconds = 3_600
/** Rows deleted at once: about a millisecond. */
const rowsAtOnce = 1_000
const pagesAtOnce = 256

/**
 * Gives up what is too old, if the clock is to be believed (`nowSeconds`), what lies more than a day ahead of it, and the oldest of what is too much; and gives the space back
 * to the disk. Goes on while `hasTime`; true when all is done.
 */
export function prune(
  store: Store,
  { sampleDays, rollupDays, maxBytes }: Kept,
  nowSeconds: number | undefined,
  hasTime: () => boolean,
): boolean {
  const levels: readonly Level[] = [
    { table: 'samples', where: 'true', days: sampleDays },
    ...rollupWidths.toReversed().map((width): Level => ({ table: 'rollups', where: `width = ${width}`, days: rollupDays })),
  ]
  if (nowSeconds !== undefined) {
    for (const level of levels) {
      const before = nowSeconds - level.days * daySeconds
      // whole hours, so that roll-ups and samples of the same time do not differ for long
      if (!dropOldest(store, level, before - (before % hourSeconds), hasTime)) return false
      store.run(`DELETE FROM ${level.table} WHERE ${level.where} AND at > ?`, nowSeconds + daySeconds)
    }
  }
  while (usedBytes(store) > maxBytes) {
    if (!hasTime()) return false
    const [longest] = levels.map((level) => ({ level, share: shareOf(store, level) })).sort((a, b) => b.share - a.share)
    if (!longest || longest.share === 0 || dropSome(store, longest.level, Number.MAX_SAFE_INTEGER) === 0) break
  }
  return giveBack(store, hasTime)
}

/** What part of its time a level takes up: who has most gives up first, so that all get shorter alike. */
function shareOf(store: Store, { table, where, days }: Level): number {
  const { first, last } = store.get<{ first: number | null; last: number | null }>(
    `SELECT (SELECT min(at) FROM ${table} WHERE ${where}) AS first, (SELECT max(at) FROM ${table} WHERE ${where}) AS last`,
  )!
  return first === null || last === null ? 0 : (last - first + 1) / (days * daySeconds)
}

function dropOldest(store: Store, level: Level, beforeSeconds: number, hasTime: () => boolean): boolean {
  while (dropSome(store, level, beforeSeconds) > 0) if (!hasTime()) return false
  return true
}

function dropSome(store: Store, { table, where }: Level, beforeSeconds: number): number {
  const end = store.get<{ at: number }>(`SELECT at FROM ${table} WHERE ${where} ORDER BY at LIMIT 1 OFFSET ${rowsAtOnce}`)
  const before = Math.min(beforeSeconds, end ? end.at + 1 : Number.MAX_SAFE_INTEGER)
  return store.run(`DELETE FROM ${table} WHERE ${where} AND at < ?`, before).changes
}

function giveBack(store: Store, hasTime: () => boolean): boolean {
  let gaveBack = false
  while (pragma(store, 'freelist_count') > 0) {
    if (!hasTime()) return false
    const before = pragma(store, 'freelist_count')
    store.all(`PRAGMA incremental_vacuum(${pagesAtOnce})`)
    if (pragma(store, 'freelist_count') === before) break // a file that was made elsewhere and cannot shrink
    gaveBack = true
  }
  if (gaveBack) store.all('PRAGMA wal_checkpoint(TRUNCATE)')
  return true
}

/** Of the database's pages that hold anything. */
export function usedBytes(store: Pick<Store, 'get'>): number {
  return (pragma(store, 'page_count') - pragma(store, 'freelist_count')) * pragma(store, 'page_size')
}

function pragma(store: Pick<Store, 'get'>, name: 'page_count' | 'freelist_count' | 'page_size'): number {
  return Object.values(store.get<Record<string, number>>(`PRAGMA ${name}`)!)[0]!
}
