// A table of any length: only the rows that can be seen are there, so that ten thousand cost what thirty do.
import type { ComponentChild } from 'preact'
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks'

export type Column<Row> = {
  readonly title: string
  /** As in `grid-template-columns`. */
  readonly width: string
  readonly isNumber?: boolean
  cell(row: Row): ComponentChild
}

export type RowsProps<Row> = {
  /** What the table is, for who cannot see it. */
  readonly label: string
  readonly columns: readonly Column<Row>[]
  readonly rows: readonly Row[]
  keyOf(row: Row): string | number
  /** Called when the last row comes near: there may be more to fetch. */
  nearEnd?(): void
}

const rowPx = 34
/** Beyond what can be seen, so that a fast hand meets no gap. */
const spare = 12

/** The first and the last row (not counted in) to be there. */
export function windowOf(scrollPx: number, heightPx: number, count: number): readonly [from: number, to: number] {
  const first = Math.floor(scrollPx / rowPx)
  return [Math.max(0, Math.min(first, count) - spare), Math.min(count, Math.ceil((scrollPx + heightPx) / rowPx) + spare)]
}

const gapRem = 0.8
const sidesRem = 2

/** Below it the table is scrolled sideways. */
function leastRem(columns: readonly { readonly width: string }[]): number {
  const widths = columns.map(({ width }) => Number(/([\d.]+)rem/.exec(width)?.[1] ?? 0))
  return widths.reduce((all, one) => all + one, sidesRem + gapRem * (columns.length - 1))
}

export function Rows<Row>({ label, columns, rows, keyOf, nearEnd }: RowsProps<Row>) {
  const scroller = useRef<HTMLDivElement>(null)
  const [[from, to], setWindow] = useState<readonly [number, number]>([0, 2 * spare])
  const look = (): void => {
    if (!scroller.current) return // the page is another one already
    const { scrollTop, clientHeight } = scroller.current
    setWindow((before) => {
      const next = windowOf(scrollTop, clientHeight, rows.length)
      return before[0] === next[0] && before[1] === next[1] ? before : next
    })
  }
  useLayoutEffect(look, [rows.length])
  useEffect(() => {
    if (!scroller.current) return
    const observer = new ResizeObserver(look)
    observer.observe(scroller.current)
    return () => observer.disconnect()
  }, [rows.length])
  useEffect(() => {
    if (rows.length > 0 && to >= rows.length - spare) nearEnd?.()
  }, [to, rows.length])
  const template = { gridTemplateColumns: columns.map(({ width }) => width).join(' '), minWidth: `${leastRem(columns)}rem` }
  return (
    <div class="rows" ref={scroller} onScroll={look} tabIndex={0} role="table" aria-label={label} aria-rowcount={rows.length + 1}>
      <div class="rows-head" role="rowgroup" style={{ minWidth: template.minWidth }}>
        <div class="rows-row" role="row" aria-rowindex={1} style={template}>
          {columns.map(({ title, isNumber }) => (
            <span key={title} role="columnheader" class={isNumber ? 'number' : undefined}>
              {title}
            </span>
          ))}
        </div>
      </div>
      <div class="rows-body" role="rowgroup" style={{ height: `${rows.length * rowPx}px`, minWidth: template.minWidth }}>
        {rows.slice(from, to).map((row, at) => (
          <div
            key={keyOf(row)}
            class="rows-row"
            role="row"
            aria-rowindex={from + at + 2}
            style={{ ...template, transform: `translateY(${(from + at) * rowPx}px)` }}
          >
            {columns.map(({ title, isNumber, cell }) => (
              <span key={title} role="cell" class={isNumber ? 'number' : undefined}>
                {cell(row)}
              </span>
            ))}
          </div>
        ))}
      </div>
    </div>
  )
}
