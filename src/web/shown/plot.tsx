// A plot of what was measured over time.
import { useEffect, useRef } from 'preact/hooks'
import uPlot from 'uplot'

/** `times`: seconds since 1970; a gap is null. */
export type Drawn = {
  readonly title: string
  readonly times: readonly number[]
  readonly lines: readonly { readonly label: string; readonly values: readonly (number | null)[] }[]
  /** How a value is told. */
  readonly text: (value: number) => string
  /** Of the scale; without them what was measured decides. */
  readonly least?: number
  readonly most?: number
}

const heightPx = 150
const hour = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' })
const day = new Intl.DateTimeFormat(undefined, { weekday: 'short', day: 'numeric' })
const daySeconds = 86_400
const strokes = ['--accent', '--unknown', '--good', '--bad']

export function Plot({ title, times, lines, text, least, most }: Drawn) {
  const place = useRef<HTMLDivElement>(null)
  const plot = useRef<uPlot>(null)
  const key = JSON.stringify([lines.map(({ label }) => label), least, most])
  const data = [[...times], ...lines.map(({ values }) => [...values])] as uPlot.AlignedData
  useEffect(() => {
    const element = place.current!
    const made = new uPlot(optionsOf(element, { lines, text, least, most }), data, element)
    plot.current = made
    const fit = new ResizeObserver(() => made.setSize({ width: element.clientWidth, height: heightPx }))
    fit.observe(element)
    return () => {
      fit.disconnect()
      made.destroy()
    }
  }, [key])
  useEffect(() => plot.current?.setData(data), [times, lines])
  const last = lines.map(({ label, values }) => [label, values.findLast((value) => value !== null)] as const)
  return (
    <figure class="card plot">
      <figcaption class="row">
        <h3>{title}</h3>
        {last.map(([label, value]) => (
          <span key={label} class="now">
            {lines.length > 1 && <small>{label} </small>}
            {value === undefined || value === null ? 'unknown' : text(value)}
          </span>
        ))}
      </figcaption>
      <div ref={place} aria-hidden="true" />
    </figure>
  )
}

type Settings = Pick<Drawn, 'lines' | 'text'> & { readonly least: number | undefined; readonly most: number | undefined }

function optionsOf(element: HTMLElement, { lines, text, least, most }: Settings): uPlot.Options {
  /** Read when something is drawn, so that a plot follows the theme; light-dark() is a colour only where it is used. */
  const resolved = (name: string) => (): string => {
    element.style.color = `var(${name})`
    return getComputedStyle(element).color
  }
  const axis = {
    stroke: resolved('--soft'),
    grid: { stroke: resolved('--line'), width: 1 },
    ticks: { show: false },
    font: '12px system-ui',
  }
  return {
    width: element.clientWidth,
    height: heightPx,
    legend: { show: false },
    cursor: { y: false, points: { show: false } },
    scales: { y: { range: (_, low, high) => [least ?? Math.min(0, low), most ?? (high > 0 ? high * 1.1 : 1)] } },
    axes: [
      {
        ...axis,
        space: 70,
        size: 30,
        values: (_, ticks, __, ___, stepSeconds) => ticks.map((tick) => (stepSeconds < daySeconds ? hour : day).format(tick * 1_000)),
      },
      { ...axis, size: 62, values: (_, ticks) => ticks.map((tick) => text(tick)) },
    ],
    series: [
      {},
      ...lines.map(({ label }, at) => ({
        label,
        stroke: resolved(strokes[at % strokes.length]!),
        width: 1.6,
        spanGaps: false,
        points: { show: false },
      })),
    ],
  }
}
