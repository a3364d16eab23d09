// What was measured over time, from the machine's own database; and the traffic of its network while the page is open.
import { useEffect, useState } from 'preact/hooks'
import { after, nowMs } from '../browser.ts'
import { useLive } from '../live.ts'
import { percentText, sizeText } from '../shown/amount.ts'
import { Loaded } from '../shown/empty.tsx'
import { Chart, type ChartSeries } from '../shown/chart.tsx'
import { type MachineCalls, type Measured, type Network, isKnown } from './machine.ts'

const spans = { 'Last hour': 3_600, 'Last day': 86_400, 'Last week': 604_800 } as const
type Span = keyof typeof spans

/** The range moves on so often; in between it grows. */
const movesMs = 60_000
const everyMs = 5_000

type Plotted = {
  readonly name: string
  readonly title: string
  readonly valueText: (value: number) => string
  readonly range?: readonly [number, number]
}

const plots: readonly Plotted[] = [
  { name: 'cpu_percent', title: 'CPU', valueText: percentText, range: [0, 100] },
  { name: 'memory_percent', title: 'Memory', valueText: percentText, range: [0, 100] },
  { name: 'disk_percent', title: 'Disk /', valueText: percentText, range: [0, 100] },
  { name: 'temperature_celsius', title: 'Temperature', valueText: (value) => `${value.toFixed(1)} °C` },
]

export function MeasuredPlots() {
  const [span, setSpan] = useState<Span>('Last hour')
  const [begun, setBegun] = useState(nowMs())
  useEffect(() => after(movesMs, () => setBegun(nowMs())), [begun])
  const from = new Date(begun - spans[span] * 1_000).toISOString()
  const measured = useLive<MachineCalls, 'look'>('machine', 'look', { tool: 'metrics_query', arguments: { from } }, everyMs)
  return (
    <section aria-labelledby="measured">
      <div class="row">
        <h2 id="measured">Measured</h2>
        <div class="row" role="group" aria-label="Over how long">
          {(Object.keys(spans) as Span[]).map((one) => (
            <button key={one} type="button" aria-pressed={one === span} onClick={() => setSpan(one)}>
              {one}
            </button>
          ))}
        </div>
      </div>
      <Loaded of={measured}>{(value) => <Series measured={value as Measured} />}</Loaded>
    </section>
  )
}

function Series({ measured: { from, to, bucketSeconds, series } }: { readonly measured: Measured }) {
  const [first, last] = [Date.parse(from), Date.parse(to)]
  const widthMs = bucketSeconds * 1_000
  const times = Array.from({ length: Math.round((last - first) / widthMs) }, (_, at) => first + at * widthMs)
  return (
    <div class="plots">
      {plots.map(({ name, title, ...plot }) => {
        const found = new Map(series.find((one) => one.name === name)?.buckets.map(({ time, avg }) => [Date.parse(time), avg]))
        const values = times.map((time) => found.get(time) ?? null)
        return found.size === 0 ? null : (
          <Plot key={name} title={title} times={times} series={[{ name: title, color: 'accent', values }]} {...plot} />
        )
      })}
      <Traffic />
    </div>
  )
}

type PlotNeeds = Pick<Plotted, 'title' | 'valueText' | 'range'> & {
  readonly times: readonly number[]
  readonly series: readonly ChartSeries[]
}

/** A chart with its last values above it. */
function Plot({ title, series, valueText, ...chart }: PlotNeeds) {
  const last = series.map(({ name, values }) => {
    const value = values.findLast((one) => one !== null)
    const text = typeof value === 'number' ? valueText(value) : 'unknown'
    return series.length > 1 ? `${name} ${text}` : text
  })
  return (
    <article class="card plot">
      <header>
        <h3>{title}</h3>
        <span class="now">{last.join(', ')}</span>
      </header>
      <Chart label={`${title} over time, now ${last.join(', ')}`} kind="lines" series={series} valueText={valueText} {...chart} />
    </article>
  )
}

type Point = { readonly atMs: number; readonly received: number; readonly sent: number }
const mostPoints = 120

/** Bytes a second of all interfaces together, but for loopback. */
function Traffic() {
  const { value } = useLive<MachineCalls, 'look'>('machine', 'look', { tool: 'system_get_network_info' }, everyMs)
  const [points, setPoints] = useState<readonly Point[]>([])
  useEffect(() => {
    const { interfaces } = (value ?? {}) as Partial<Network>
    if (!isKnown(interfaces)) return
    const outer = interfaces.filter(({ name }) => name !== 'lo').map(({ counters }) => counters)
    const sum = (counter: 'rxBytes' | 'txBytes'): number => outer.reduce((all, counters) => all + (counters[counter] ?? 0), 0)
    setPoints((before) => [...before, { atMs: nowMs(), received: sum('rxBytes'), sent: sum('txBytes') }].slice(-mostPoints))
  }, [value])
  if (points.length < 2) return null
  const rates = (of: 'received' | 'sent'): number[] =>
    points.slice(1).map((point, at) => Math.max(0, ((point[of] - points[at]![of]) / (point.atMs - points[at]!.atMs)) * 1_000))
  return (
    <Plot
      title="Network"
      times={points.slice(1).map(({ atMs }) => atMs)}
      series={[
        { name: 'received', color: 'accent', values: rates('received') },
        { name: 'sent', color: 'unknown', values: rates('sent') },
      ]}
      valueText={(value) => `${sizeText(value)}/s`}
    />
  )
}
