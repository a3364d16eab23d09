// What a run of the gate's benchmark says: the figures of all, and ours beside the rivals as ratios against their targets.
import type { LoadResult } from './loop.ts'
import { medianOf, show, table } from './numbers.ts'
import type { Memory } from './process.ts'
import type { Contender } from './rivals.ts'

export type Sample = LoadResult & { readonly cpuMsPerCall: number; readonly memory: Memory; readonly otherShare: number }

export type Row = { readonly contender: Contender; readonly samples: Sample[]; problem?: string }

type Metric = { readonly name: string; readonly of: (sample: Sample) => number; readonly target: number; readonly more?: true }

/** What we ask of ourselves: each a ratio to the better rival. */
const metrics: readonly Metric[] = [
  { name: 'calls/s', of: (sample) => sample.callsPerSecond, target: 2.5, more: true },
  { name: 'CPU ms a call, gateway and children', of: (sample) => sample.cpuMsPerCall, target: 0.45 },
  { name: 'RSS after the run, gateway', of: (sample) => sample.memory.rootMb, target: 0.5 },
  { name: 'RSS after the run, tree', of: (sample) => sample.memory.treeMb, target: 0.5 },
  { name: 'p99', of: (sample) => sample.p99Ms, target: 1 },
]

/** One line a contender, each figure the median of its samples. */
export function figures(rows: readonly Row[]): string {
  const heading = [
    '',
    'calls/s',
    'p50 ms',
    'p95',
    'p99',
    'CPU ms/call',
    'RSS gw MB',
    'peak',
    'RSS tree',
    'PSS tree',
    'procs',
    'load ms/call',
    'other %',
    'failed',
  ]
  const cells = rows.map(({ contender, samples, problem }) => {
    if (samples.length === 0) return [contender.name, `not measured: ${(problem ?? '').replaceAll('\n', ' ').slice(0, 160)}`]
    const middle = (pick: (sample: Sample) => number): string => show(medianOf(samples, pick))
    return [
      contender.name,
      middle((s) => s.callsPerSecond),
      middle((s) => s.p50Ms),
      middle((s) => s.p95Ms),
      middle((s) => s.p99Ms),
      middle((s) => s.cpuMsPerCall),
      middle((s) => s.memory.rootMb),
      middle((s) => s.memory.rootPeakMb),
      middle((s) => s.memory.treeMb),
      middle((s) => s.memory.treePssMb),
      middle((s) => s.memory.processes),
      middle((s) => s.loadCpuMsPerCall),
      middle((s) => s.otherShare * 100),
      `${samples.reduce((sum, { failures }) => sum + failures, 0)}`,
    ]
  })
  const measured = cells.filter((row) => row.length === heading.length)
  const missing = cells.filter((row) => row.length < heading.length).map((row) => row.join(': '))
  return [table(heading, measured), ...missing].join('\n')
}

type Comparison = {
  readonly metric: string
  readonly target: string
  readonly ours: string
  readonly beside: string
  readonly ratio: number
  readonly isMet: boolean
}

function better(metric: Metric, rivals: readonly Row[]): number {
  const values = rivals.map((row) => medianOf(row.samples, metric.of))
  return metric.more ? Math.max(...values) : Math.min(...values)
}

/** Each of ours beside the rival that gives the same isolation, and beside the better of the Streamable HTTP rivals in each metric. */
export function compare(rows: readonly Row[]): Comparison[] {
  const measured = rows.filter((row) => row.samples.length > 0)
  const rivals = measured.filter(({ contender }) => contender.kind === 'rival')
  const comparisons: Comparison[] = []
  for (const mine of measured.filter(({ contender }) => contender.kind === 'ours')) {
    const like = rivals.filter(({ contender }) => contender.like === mine.contender.like)
    for (const metric of metrics) {
      for (const [beside, among] of [
        [like.map(({ contender }) => contender.name).join(), like],
        ['the better rival', rivals],
      ] as const) {
        if (among.length === 0) continue
        const ratio = medianOf(mine.samples, metric.of) / better(metric, among)
        comparisons.push({
          metric: metric.name,
          target: `${metric.more ? '≥' : '≤'} ${metric.target}×`,
          ours: mine.contender.name,
          beside,
          ratio,
          isMet: metric.more ? ratio >= metric.target : ratio <= metric.target,
        })
      }
    }
  }
  return comparisons
}

/** The comparisons as a table. */
export function verdicts(comparisons: readonly Comparison[]): string {
  const rows = comparisons.map(({ ours, beside, metric, ratio, target, isMet }) => [
    `${ours} / ${beside}`,
    metric,
    `${show(ratio)}×`,
    target,
    isMet ? 'met' : 'MISSED',
  ])
  return table(['ratio', 'metric', 'measured', 'target', ''], rows)
}

/** With a server a session the tree is mostly servers, which no gateway can make smaller: says what they hold alone. */
export function serversAlone(rows: readonly Row[]): string {
  const floor = rows.find(({ contender, samples }) => contender.name.startsWith('direct stdio') && samples.length > 0)
  if (!floor) return ''
  return `of a tree in session isolation ${show(medianOf(floor.samples, (sample) => sample.memory.treeMb))} MB are the servers themselves (direct stdio)\n`
}
