// What the machine's metrics cost: CPU of the server that samples, and a month of samples asked in buckets beside Debian's sqlite3 over the raw rows.
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { openStore } from '../../src/base/store/store.ts'
import { systemClock } from '../../src/kernel/clock.ts'
import { silentLog } from '../../src/kernel/log.ts'
import { addSamples, bucketsOf, migrations } from '../../src/operate/metrics/samples.ts'
import { seriesNames } from '../../src/operate/metrics/series.ts'
import { pause } from './children.ts'
import { median } from './numbers.ts'
import { treeCpuMs } from './process.ts'

const day = 86_400
const everySeconds = 30
const days = 30
const widthSeconds = 3_600

/** CPU of `pid` and its children over `ms`, in percent of one CPU. */
export async function cpuPercent(pid: number, ms: number): Promise<number> {
  const [cpu, from] = [treeCpuMs(pid), performance.now()]
  await pause(ms)
  return ((treeCpuMs(pid) - cpu) / (performance.now() - from)) * 100
}

/** Milliseconds for the buckets of an hour of a month of samples: through the roll-ups, and the same sums by the shell, over every row. */
export function monthInBuckets(folder: string, rounds: number): { readonly ours: number; readonly shell: number; readonly rows: number } {
  const path = join(folder, 'metrics.db')
  const store = openStore({ path, migrations, log: silentLog, clock: systemClock, mode: 0o640, canShrink: true })
  const end = Math.floor(Date.now() / 1_000 / widthSeconds) * widthSeconds
  const fromSeconds = end - days * day
  for (let at = fromSeconds; at < end; at += everySeconds) {
    addSamples(store, at, new Map(seriesNames.map((name, n) => [name, (at / everySeconds + n * 37) % 100])))
  }
  const asked = { fromSeconds, toSeconds: end, widthSeconds, names: seriesNames }
  const sql = `SELECT timestamp - timestamp % ${widthSeconds}, metric_type, count(*), sum(value), min(value), max(value) FROM metrics
    WHERE timestamp >= ${fromSeconds} AND timestamp < ${end} GROUP BY 1, 2 ORDER BY 1, 2;`
  const took = (work: () => number): number => {
    const from = performance.now()
    const found = work()
    if (found !== seriesNames.length * days * 24) throw new Error(`${found} buckets, not one an hour and series`)
    return performance.now() - from
  }
  const [ours, shell]: [number[], number[]] = [[], []]
  for (let round = 0; round < rounds; round++) {
    ours.push(took(() => bucketsOf(store, asked).length))
    shell.push(
      took(
        () =>
          execFileSync('sqlite3', [path, sql], { encoding: 'utf8', maxBuffer: 1 << 26 })
            .trim()
            .split('\n').length,
      ),
    )
  }
  store.close()
  return { ours: median(ours), shell: median(shell), rows: seriesNames.length * ((days * day) / everySeconds) }
}
