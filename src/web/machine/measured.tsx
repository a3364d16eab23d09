// What was measured over time, from the machine's own database; and the traffic of its network while the page is open.
import { useEffect, useState } from 'preact/hooks'
import { after, nowMs } from '../browser.ts'
import { useLive } from '../live.ts'
import { percentText, sizeText } from '../shown/amount.ts'
import { Loaded } from '../shown/empty.tsx'
import { Plot } from '../shown/plot.tsx'
import { type MachineCalls, type Measured, type Network, isKnown } from './machine.ts'

const spans = { 'Last hour': 3_600, 'Last day': 86_400, 'Last week': 604_800 } as const
type Span = keyof typeof spans

/** The range moves on so often; in between it grows. */
const movesMs = 60_000
const everyMs = 5_000

const plots: readonly {
  readonly name: string
  readonly title: string
  readonly text: (value: number) => string
  readonly least?: number
  readonly most?: number
}[] = [
  { name: 'cpu_percent', title: 'CPU', text: percentText, least: 0, most: 100 },
  { name: 'memory_percent', title: 'Memory', text: percentText, least: 0, most: 100 },
  { name: 'disk_percent', title: 'Disk /', text: percentText, least: 0, most: 100 },
  { name: 'temperature_celsius', title: 'Temperature', text: (value) => `${value.toFixed(1)} °C` },
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
  const [first, last] = [Date.parse(from) / 1_000, Date.parse(to) / 1_000]
  const times = Array.from({ length: Math.round((last - first) / bucketSeconds) }, (_, at) => first + at * bucketSeconds)
  return (
    <div class="plots">
      {plots.map(({ name, title, ...plot }) => {
        const found = new Map(series.find((one) => one.name === name)?.buckets.map(({ time, avg }) => [Date.parse(time) / 1_000, avg]))
        return found.size === 0 ? null : (
          <Plot
            key={name}
            title={title}
            times={times}
            lines={[{ label: title, values: times.map((time) => found.get(time) ?? null) }]}
            {...plot}
          />
        )
      })}
      <Traffic />
    </div>
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
      times={points.slice(1).map(({ atMs }) => atMs / 1_000)}
      lines={[
        { label: 'received', values: rates('received') },
        { label: 'sent', values: rates('sent') },
      ]}
      text={(value) => `${sizeText(value)}/s`}
      least={0}
    />
  )
}
