// Roll-ups are what the samples come to, the oldest goes by age and by size, and what people ask with Debian's sqlite3 is answered.
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type Store, openStore } from '../../base/store/store.ts'
import { systemClock } from '../../kernel/clock.ts'
import { exec } from '../../kernel/exec.ts'
import { silentLog } from '../../kernel/log.ts'
import { asWidth } from './buckets.ts'
import { addSamples, bucketsOf, migrations, prune, usedBytes } from './samples.ts'
import { seriesNames } from './series.ts'

let folder: string
let path: string
let store: Store
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'metrics-'))
  path = join(folder, 'metrics.db')
  store = openStore({ path, migrations, log: silentLog, clock: systemClock, mode: 0o640, canShrink: true })
})
afterEach(() => {
  store.close()
  rmSync(folder, { recursive: true })
})

const sqlite3 = async (sql: string): Promise<string> =>
  (await exec(['sqlite3', path, sql], { env: { PATH: '/usr/bin:/bin' }, maxBytes: 1 << 24 })).stdout.trim()
const hour = 3_600
const day = 86_400
const start = 1_764_547_200 // 2025-12-01

/** Samples of all series for a time, written by SQLite itself. */
function fill(fromSeconds: number, toSeconds: number, everySeconds: number): void {
  addSamples(store, fromSeconds - 1, new Map(seriesNames.map((name) => [name, 0])))
  store.run(
    `INSERT INTO samples SELECT at.value, series.id, abs(random() % 1000) / 10.0
     FROM (WITH RECURSIVE at(value) AS (SELECT ? UNION ALL SELECT value + ? FROM at WHERE value + ? < ?) SELECT value FROM at) AS at, series
     WHERE true ON CONFLICT DO NOTHING`,
    fromSeconds,
    everySeconds,
    everySeconds,
    toSeconds,
  )
}

test('buckets of roll-ups are what the samples in them come to, however they came in', async () => {
  const sample = fc.record({
    at: fc.integer({ min: start, max: start + 5 * hour }),
    values: fc.uniqueArray(fc.tuple(fc.constantFrom(...seriesNames), fc.integer({ min: -1_000, max: 1_000 })), {
      minLength: 1,
      selector: ([name]) => name,
    }),
  })
  fc.assert(
    fc.property(fc.array(sample, { maxLength: 60 }), fc.constantFrom(1, 7, 60, 300, 600, 3_600, 7_200), (samples, asked) => {
      store.run('DELETE FROM samples')
      store.run('DELETE FROM rollups')
      const first = new Map<string, { at: number; name: string; value: number }>()
      for (const { at, values } of samples) {
        addSamples(store, at, new Map(values))
        for (const [name, value] of values) if (!first.has(`${at} ${name}`)) first.set(`${at} ${name}`, { at, name, value })
      }
      const widthSeconds = asWidth(asked)!
      const wanted = Map.groupBy(first.values(), ({ at, name }) => `${at - (at % widthSeconds)} ${name}`)
      const fromSeconds = start - (start % widthSeconds)
      const found = bucketsOf(store, { fromSeconds, toSeconds: start + 3 * day, widthSeconds, names: seriesNames })
      expect(new Map(found.map(({ at, name, ...rest }) => [`${at} ${name}`, rest]))).toEqual(
        new Map(
          [...wanted].map(([key, all]) => {
            const values = all.map(({ value }) => value)
            const sum = values.reduce((total, value) => total + value, 0)
            return [key, { count: values.length, sum, least: Math.min(...values), most: Math.max(...values) }]
          }),
        ),
      )
    }),
    { numRuns: 60 },
  )
})

test('Debian’s sqlite3 finds the table of the runbook, while it is written and afterwards', async () => {
  fill(start, start + hour, 30)
  expect(await sqlite3('PRAGMA integrity_check;')).toBe('ok')
  expect(await sqlite3('SELECT COUNT(*) FROM metrics;')).toBe('726')
  expect(
    await sqlite3("SELECT DISTINCT metric_type FROM metrics WHERE typeof(value) = 'real' AND timestamp >= 1764547200 ORDER BY 1;"),
  ).toBe([...seriesNames].sort().join('\n'))
  store.close()
  expect(await sqlite3('SELECT COUNT(*) FROM metrics;')).toBe('726')
})

test('whom the mode lets read the file can ask it, in use, closed, and from a folder that they cannot write', async ({ skip }) => {
  skip(process.getuid?.() !== 0, 'not applicable: only root can become another user')
  const { chmodSync, chownSync } = await import('node:fs')
  const [nobody, group] = [65_534, 4_242]
  chmodSync(folder, 0o750)
  for (const one of [folder, path, `${path}-wal`, `${path}-shm`]) chownSync(one, 0, group)
  const ask = async (gid: number): Promise<string> => {
    const argv = [
      'setpriv',
      `--reuid=${nobody}`,
      `--regid=${gid}`,
      '--clear-groups',
      'sqlite3',
      path,
      'SELECT COUNT(*) FROM metrics',
    ] as const
    const { stdout, stderr } = await exec([...argv], { env: { PATH: '/usr/bin:/bin' } })
    return stdout.trim() || stderr.trim()
  }
  addSamples(store, start, new Map([['cpu_percent', 1]]))
  expect(await ask(group)).toBe('1')
  expect(await ask(nobody)).toMatch(/unable to open/)
  store.close()
  chownSync(path, 0, group)
  expect(await ask(group)).toBe('1')
})

describe('giving up the oldest', () => {
  const kept = { sampleDays: 2, rollupDays: 4, maxBytes: 2 ** 30 }
  const spans = (): Record<string, number> => {
    const of = (table: string, where: string): number =>
      store.get<{ at: number }>(`SELECT coalesce(min(at), 0) AS at FROM ${table} WHERE ${where}`)!.at
    return { samples: of('samples', 'true'), five: of('rollups', 'width = 300'), hour: of('rollups', 'width = 3600') }
  }

  test('by age: samples after their days, roll-ups after theirs, the rest stays', () => {
    fill(start, start + 6 * day, 300)
    const now = start + 6 * day
    expect(prune(store, kept, now, () => true)).toBe(true)
    expect(spans()).toEqual({ samples: now - 2 * day, five: now - 4 * day, hour: now - 4 * day })
    expect(bucketsOf(store, { fromSeconds: now - 3 * day, toSeconds: now, widthSeconds: hour, names: ['cpu_percent'] })).toHaveLength(72)
  })

  test('not while the clock is in doubt; and what lies ahead of a good clock goes', () => {
    fill(start, start + 2 * hour, 300)
    const before = spans()
    expect(prune(store, kept, undefined, () => true)).toBe(true)
    expect(spans()).toEqual(before)
    addSamples(store, start + 900 * day, new Map([['cpu_percent', 1]]))
    prune(store, kept, start + 2 * hour, () => true)
    expect(store.get('SELECT max(at) AS at FROM samples')).toEqual({ at: start + 2 * hour - 300 })
    expect(store.get('SELECT max(at) AS at FROM rollups')).toEqual({ at: start + 2 * hour - 300 })
  })

  test('by size: the file gets smaller on the disk, the newest stays, and no turn takes long', () => {
    fill(start, start + 30 * day, 60)
    store.all('PRAGMA wal_checkpoint(TRUNCATE)')
    const largeBytes = statSync(path).size
    const small = { sampleDays: 30, rollupDays: 365, maxBytes: 2 ** 20 }
    let turns = 0
    let longestMs = 0
    for (let isDone = false; !isDone && turns < 10_000; turns++) {
      const from = performance.now()
      let steps = 0
      isDone = prune(store, small, start + 30 * day, () => ++steps < 3)
      longestMs = Math.max(longestMs, performance.now() - from)
    }
    expect(largeBytes).toBeGreaterThan(5 * small.maxBytes)
    expect(usedBytes(store)).toBeLessThanOrEqual(small.maxBytes)
    expect(statSync(path).size).toBeLessThanOrEqual(small.maxBytes)
    expect(turns).toBeGreaterThan(10)
    expect(longestMs).toBeLessThan(500)
    expect(store.get('SELECT max(at) AS at FROM samples')).toEqual({ at: start + 30 * day - 60 })
    const { samples, five } = spans()
    expect(samples).toBeGreaterThan(five!) // roll-ups reach further back
  })
})
