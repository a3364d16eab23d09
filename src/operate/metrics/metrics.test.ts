// Sampling goes by the clock's grid whatever the clock does; a database that is damaged, or taken away, is begun anew, loudly.
import { copyFileSync, existsSync, mkdtempSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type TestClock, createTestClock } from '../../../test/kit/clock.ts'
import { snapshotStore } from '../../base/store/snapshot.ts'
import { exec } from '../../kernel/exec.ts'
import { type Log, silentLog } from '../../kernel/log.ts'
import schema from '../config.ts'
import { createHost } from '../host.ts'
import { ClockTrust, everyMultiple } from './grid.ts'
import { type Metrics, openMetrics } from './metrics.ts'
import { look, seriesNames } from './series.ts'

let folder: string
let path: string
let clock: TestClock
let errors: string[]
let log: Log
const opened: Metrics[] = []
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'metrics-'))
  path = join(folder, 'metrics/metrics.db')
  clock = createTestClock(1_764_547_207_000)
  errors = []
  log = { ...silentLog, error: (event) => errors.push(event) }
})
afterEach(() => {
  for (const metrics of opened.splice(0)) metrics.close()
  rmSync(folder, { recursive: true })
})

function open(changes: object = {}): Metrics {
  const metrics = openMetrics({ host: createHost(), clock, log }, { ...schema.parse({}).metrics, path, ...changes })
  opened.push(metrics)
  metrics.begin()
  return metrics
}

const sqlite3 = async (sql: string): Promise<string> =>
  (await exec(['sqlite3', path, sql], { env: { PATH: '/usr/bin:/bin' } })).stdout.trim()

/** Moves the clock on until that many samples more were taken: each ends with what the machine really answers. */
async function sampled(metrics: Metrics, count: number): Promise<void> {
  const wanted = metrics.state.taken + count
  for (let turn = 0; turn < count; turn++) {
    await clock.advance(30_000)
    await expect.poll(() => metrics.state.taken + metrics.state.missed, { interval: 1 }).toBeGreaterThan(wanted - count + turn)
  }
}

test('sampling begins at the start, at whole half minutes, with every series that this machine has', async () => {
  const metrics = open()
  await sampled(metrics, 3)
  const known = [...(await look(createHost(), [])).values.keys(), 'cpu_percent'].sort()
  expect(await sqlite3('SELECT DISTINCT timestamp FROM metrics')).toBe('1764547230\n1764547260\n1764547290')
  expect(await sqlite3('SELECT group_concat(metric_type) FROM (SELECT DISTINCT metric_type FROM metrics ORDER BY 1)')).toBe(
    [...new Set(known)].join(','),
  )
  const totalBytes = Number(/MemTotal:\s+(\d+)/.exec(readFileSync('/proc/meminfo', 'utf8'))![1]) * 1_024
  const used = Number(await sqlite3("SELECT max(value) FROM metrics WHERE metric_type = 'memory_used_bytes'"))
  expect(used).toBeGreaterThan(totalBytes / 1_000)
  expect(used).toBeLessThan(totalBytes)
  expect(metrics.state).toMatchObject({ intervalSeconds: 30, lastSampleMs: 1_764_547_290_000, sampleAgeMs: 0, problem: undefined })
})

test('stopped, started again, in another interval', async () => {
  const metrics = open({ sampling: false })
  await clock.advance(300_000)
  expect(metrics.state).toMatchObject({ intervalSeconds: undefined, taken: 0 })
  metrics.startSampling(5)
  await clock.advance(5_000)
  await expect.poll(() => metrics.state.taken).toBe(1)
  metrics.stopSampling()
  await clock.advance(60_000)
  expect(await sqlite3('SELECT DISTINCT timestamp FROM metrics')).toBe('1764547510')
})

test('a sample costs far less than the share of a CPU that it may take', async () => {
  const metrics = open()
  await sampled(metrics, 5)
  const before = process.cpuUsage()
  await sampled(metrics, 40)
  const { user, system } = process.cpuUsage(before)
  // 0.5 % of 30 s is 150 ms, and this counts the test's own work as well
  expect((user + system) / 1_000 / 40).toBeLessThan(75)
})

describe('the grid', () => {
  test('acts at multiples alone, at each once at most, and misses none while the clock is steady, wherever it jumps', async () => {
    const jump = fc.record({ afterMs: fc.integer({ min: 0, max: 200_000 }), byMs: fc.integer({ min: -4_000_000, max: 4_000_000 }) })
    await fc.assert(
      fc.asyncProperty(fc.array(jump, { maxLength: 4 }), fc.constantFrom(5_000, 30_000, 60_000), async (jumps, intervalMs) => {
        const inner = createTestClock(1_764_547_207_000)
        let offsetMs = 0
        const jumping = { ...inner, now: () => inner.now() + offsetMs, mono: () => inner.mono() }
        const seen: { slotMs: number; off: number }[] = []
        const act = (slotMs: number): void => void seen.push({ slotMs, off: Math.abs(slotMs - jumping.now()) })
        const stop = everyMultiple({ clock: jumping, act, missed() {} }, intervalMs)
        for (const { afterMs, byMs } of jumps) {
          await inner.advance(afterMs)
          offsetMs += byMs
        }
        const from = seen.length
        await inner.advance(10 * intervalMs)
        stop()
        for (const { slotMs, off } of seen) {
          expect(slotMs % intervalMs).toBe(0)
          expect(off).toBeLessThanOrEqual(2_000)
        }
        expect(seen.every(({ slotMs }, at) => slotMs !== seen[at - 1]?.slotMs)).toBe(true)
        expect(seen.length - from).toBeGreaterThanOrEqual(9) // one is missed where the clock jumped last
      }),
      { numRuns: 40 },
    )
  })

  test('a clock is believed when it agrees with what was written, or has not jumped for an hour', async () => {
    let offsetMs = 0
    const jumping = { ...clock, now: () => clock.now() + offsetMs, mono: () => clock.mono() }
    expect(new ClockTrust(jumping, clock.now() - 3_600_000).holds).toBe(true)
    const trust = new ClockTrust(jumping, clock.now() + 86_400_000) // it woke up in the past
    expect(trust.holds).toBe(false)
    await clock.advance(3_600_000)
    expect(trust.holds).toBe(true)
    offsetMs = 40 * 365 * 86_400_000
    expect(trust.holds).toBe(false)
    await clock.advance(3_599_000)
    expect(trust.holds).toBe(false)
    await clock.advance(1_000)
    expect(trust.holds).toBe(true)
  })

  test('a sample at a time that there is already is not counted twice', async () => {
    await sampled(open(), 2)
    opened.pop()!.close()
    clock = createTestClock(1_764_547_207_000) // set back
    await sampled(open(), 2)
    expect(await sqlite3("SELECT count(*) FROM metrics WHERE metric_type = 'memory_percent'")).toBe('2')
    expect(await sqlite3('SELECT count FROM rollups JOIN series ON id = series WHERE width = 300 AND name = "memory_percent"')).toBe('2')
  })
})

describe('what goes wrong', () => {
  test('a damaged database is set aside and another one begun', async () => {
    await sampled(open(), 1)
    opened.pop()!.close()
    writeFileSync(path, 'this is no database, and long enough to be looked at as one'.repeat(200))
    const metrics = open()
    await sampled(metrics, 1)
    expect(errors).toEqual(['store.set_aside'])
    expect(readFileSync(metrics.state.setAside!, 'utf8')).toMatch(/^this is no database/)
    expect(await sqlite3('SELECT count(DISTINCT timestamp) FROM metrics')).toBe('1')
  })

  test('a backup that was put back beside the log of another file keeps what it holds', async () => {
    const metrics = open()
    await sampled(metrics, 1)
    await snapshotStore(path, `${folder}/backup.db`)
    await sampled(metrics, 3)
    copyFileSync(`${path}-wal`, `${folder}/wal`)
    metrics.close()
    opened.length = 0
    copyFileSync(`${folder}/backup.db`, path) // as the runbook restores it
    copyFileSync(`${folder}/wal`, `${path}-wal`) // which a server that was killed left behind
    open()
    expect(errors).toEqual(['store.log_set_aside'])
    expect(await sqlite3('SELECT DISTINCT timestamp FROM metrics')).toBe('1764547230')
    expect(await sqlite3('PRAGMA integrity_check')).toBe('ok')
  })

  test('a database that is moved away under the server is begun anew', async () => {
    const metrics = open()
    await sampled(metrics, 2)
    renameSync(path, `${path}.corrupted`)
    await sampled(metrics, 1)
    expect(errors).toEqual(['metrics.taken_away'])
    expect(await sqlite3('SELECT count(DISTINCT timestamp) FROM metrics')).toBe('1')
  })

  test('a place that cannot be written is told, and tried again with every sample', async () => {
    writeFileSync(join(folder, 'metrics'), 'a file where the folder belongs')
    const metrics = open()
    expect(metrics.state.problem).toMatchObject({ kind: 'unavailable' })
    await clock.advance(60_000)
    expect(errors).toEqual(['metrics.not_kept'])
    rmSync(join(folder, 'metrics'))
    await sampled(metrics, 1)
    expect(metrics.state.problem).toBeUndefined()
  })

  test('one process samples; another reads what it keeps, and says so when there is nothing', async () => {
    const reader = open({ isReader: true })
    const asked = { fromSeconds: 1_764_547_200, toSeconds: 1_764_550_800, widthSeconds: 300, names: seriesNames }
    expect(() => reader.buckets(asked)).toThrow(expect.objectContaining({ code: 'operate.no_metrics' }))
    await sampled(open(), 1)
    expect(reader.buckets(asked)).not.toHaveLength(0)
    expect(() => reader.startSampling()).toThrow(expect.objectContaining({ code: 'operate.metrics_elsewhere' }))
    const second = open()
    expect(second.state.problem).toMatchObject({ code: 'store.locked' })
    expect(existsSync(path)).toBe(true)
    expect(readdirSync(join(folder, 'metrics')).filter((name) => name.includes('damaged'))).toEqual([])
  })
})
