// Values over time, drawn by uPlot, in the colours of the page; for who cannot see it, a sentence.
import { useEffect, useRef, useState } from 'preact/hooks'
import uPlot from 'uplot'

export type ChartSeries = {
  readonly name: string
  /** A colour of the style sheet: `--good`. */
  readonly color: 'good' | 'bad' | 'accent' | 'unknown'
  readonly values: readonly (number | null)[]
}

export type ChartProps = {
  /** What can be seen there, for who cannot. */
  readonly label: string
  /** ms since 1970, rising. */
  readonly times: readonly number[]
  readonly series: readonly ChartSeries[]
  /** Dots stand for single things, above 0, on a logarithmic scale: most take a moment, some take long. */
  readonly kind: 'dots' | 'lines'
  readonly valueText: (value: number) => string
  /** Of lines; from 0 to a bit more than the most when absent. */
  readonly range?: readonly [least: number, most: number]
}

const heightPx = 180

export function Chart({ label, times, series, kind, valueText, range }: ChartProps) {
  const place = useRef<HTMLDivElement>(null)
  const drawn = useRef<uPlot | undefined>(undefined)
  const look = useLook()
  const data = (): uPlot.AlignedData => [
    times.map((ms) => ms / 1_000),
    ...series.map(({ values }) => values.map((value) => (value === null || kind === 'lines' ? value : Math.log10(value)))),
  ]
  const names = series.map(({ name }) => name).join()
  useEffect(() => {
    const element = place.current
    if (!element) return
    const chart = new uPlot(optionsOf(element, { series, kind, valueText, range }), data(), element)
    drawn.current = chart
    const observer = new ResizeObserver(() => chart.setSize({ width: element.clientWidth, height: heightPx }))
    observer.observe(element)
    return () => {
      observer.disconnect()
      chart.destroy()
      drawn.current = undefined
    }
  }, [look, names, kind])
  useEffect(() => drawn.current?.setData(data()), [times, series])
  return (
    <figure class="chart">
      <div ref={place} role="img" aria-label={label} />
      <figcaption>
        {series.map(({ name, color }) => (
          <span key={name} class={`key ${color}`}>
            {name}
          </span>
        ))}
      </figcaption>
    </figure>
  )
}

type Drawn = Pick<ChartProps, 'series' | 'kind' | 'valueText'> & { readonly range: ChartProps['range'] }

function optionsOf(place: HTMLElement, { series, kind, valueText, range }: Drawn): uPlot.Options {
  const style = getComputedStyle(place)
  const color = (name: string): string => {
    place.style.color = `var(--${name})` // as it comes out in light or dark
    return style.color
  }
  const axis = {
    stroke: color('soft'),
    font: `11px ${style.fontFamily}`,
    grid: { stroke: color('line'), width: 1 },
    ticks: { show: false },
  }
  return {
    width: place.clientWidth,
    height: heightPx,
    legend: { show: false },
    cursor: { show: false },
    scales: { y: { range: kind === 'dots' ? powers : range ? [...range] : (_, __, most) => [0, Math.max(1, most) * 1.1] } },
    axes: [
      { ...axis, space: 90, size: 30, values: timeTexts },
      {
        ...axis,
        size: 64,
        ...(kind === 'dots' ? { splits: (_: uPlot, __: number, ...ends: Powers) => between(ends) } : {}),
        values: (_, at) => at.map((value) => valueText(kind === 'dots' ? 10 ** value : value)),
      },
    ],
    series: [
      {},
      ...series.map(({ name, color: own }) => ({
        label: name,
        stroke: color(own),
        width: 2,
        ...(kind === 'dots'
          ? { paths: () => null, points: { show: true, size: 6, width: 0, fill: color(own) } }
          : { points: { show: true, size: 5, width: 0, fill: color(own), filter: lone } }),
      })),
    ],
  }
}

/** Values without a neighbour: no line would show them. */
function lone({ data }: uPlot, at: number): number[] {
  const values = data[at]!
  return [...values.keys()].filter((one) => values[one] != null && values[one - 1] == null && values[one + 1] == null)
}

type Powers = [least: number, most: number]

/** Of ten: those around what there is. */
function powers(_: uPlot, least: number, most: number): Powers {
  const from = Math.floor(least)
  return [from, Math.max(from + 1, Math.ceil(most))]
}

function between([least, most]: Powers): number[] {
  return Array.from({ length: most - least + 1 }, (_, at) => least + at)
}

const clock = new Intl.DateTimeFormat(undefined, { timeStyle: 'medium', hourCycle: 'h23' })
const minute = new Intl.DateTimeFormat(undefined, { timeStyle: 'short', hourCycle: 'h23' })
const day = new Intl.DateTimeFormat(undefined, { weekday: 'short', day: 'numeric' })
/** As exact as the steps between them. */
const timeTexts: uPlot.Axis.DynamicValues = (_, at, __, ___, step) => {
  const { format } = step < 60 ? clock : step < 86_400 ? minute : day
  return at.map((seconds) => format(seconds * 1_000))
}

/** Changes when the colours of the page do. */
function useLook(): number {
  const [look, set] = useState(0)
  useEffect(() => {
    const changed = (): void => set((before) => before + 1)
    const system = matchMedia('(prefers-color-scheme: dark)')
    const chosen = new MutationObserver(changed)
    system.addEventListener('change', changed)
    chosen.observe(document.documentElement, { attributeFilter: ['data-theme'] })
    return () => {
      system.removeEventListener('change', changed)
      chosen.disconnect()
    }
  }, [])
  return look
}
