// Single things over time, as dots on a logarithmic scale, since most take a moment and some take long; for who cannot see it, a sentence.
import { useEffect, useRef } from 'preact/hooks'
import uPlot from 'uplot'

export type DotsProps = {
  /** What can be seen there, for who cannot. */
  readonly label: string
  /** ms since 1970, rising. */
  readonly times: readonly number[]
  /** Of each kind the value at each time, or null where it is of another kind. */
  readonly kinds: readonly { readonly name: string; readonly color: 'good' | 'bad'; readonly values: readonly (number | null)[] }[]
  readonly text: (value: number) => string
}

const heightPx = 180
const hour = new Intl.DateTimeFormat(undefined, { timeStyle: 'medium', hourCycle: 'h23' })

export function Dots({ label, times, kinds, text }: DotsProps) {
  const place = useRef<HTMLDivElement>(null)
  const plot = useRef<uPlot>(null)
  const data = [times.map((ms) => ms / 1_000), ...kinds.map(({ values }) => [...values])] as uPlot.AlignedData
  useEffect(() => {
    const element = place.current
    if (!element) return // the page is another one already
    const made = new uPlot(optionsOf(element, { kinds, text }), data, element)
    plot.current = made
    const fit = new ResizeObserver(() => made.setSize({ width: element.clientWidth, height: heightPx }))
    fit.observe(element)
    return () => {
      fit.disconnect()
      made.destroy()
    }
  }, [])
  useEffect(() => plot.current?.setData(data), [times, kinds])
  return (
    <figure class="card">
      <div ref={place} role="img" aria-label={label} />
      <figcaption class="row">
        {kinds.map(({ name, color }) => (
          <span key={name} class={`key ${color}`}>
            {name}
          </span>
        ))}
      </figcaption>
    </figure>
  )
}

function optionsOf(element: HTMLElement, { kinds, text }: Pick<DotsProps, 'kinds' | 'text'>): uPlot.Options {
  /** Read when something is drawn, so that it follows the theme; light-dark() is a colour only where it is used. */
  const resolved = (name: string) => (): string => {
    element.style.color = `var(--${name})`
    return getComputedStyle(element).color
  }
  const axis = {
    stroke: resolved('soft'),
    grid: { stroke: resolved('line'), width: 1 },
    ticks: { show: false },
    font: '12px system-ui',
  }
  return {
    width: element.clientWidth,
    height: heightPx,
    legend: { show: false },
    cursor: { show: false },
    scales: { y: { distr: 3, log: 10 } },
    axes: [
      { ...axis, space: 80, values: (_, ticks) => ticks.map((tick) => hour.format(tick * 1_000)) },
      {
        ...axis,
        size: 62,
        splits: (_, __, least, most) => powersOfTen(least, most),
        filter: (_, ticks) => ticks,
        values: (_, ticks) => ticks.map(text),
      },
    ],
    series: [
      {},
      ...kinds.map(({ name, color }) => ({
        label: name,
        stroke: resolved(color),
        paths: () => null,
        points: { show: true, size: 6, width: 0, fill: resolved(color) },
      })),
    ],
  }
}

/** From the one below `least` to the one above `most`. */
function powersOfTen(least: number, most: number): number[] {
  const from = Math.floor(Math.log10(least))
  return Array.from({ length: Math.ceil(Math.log10(most)) - from + 1 }, (_, at) => 10 ** (from + at))
}
