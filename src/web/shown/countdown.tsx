// How much is left of a time that runs out: a bar, and words.
import { useEffect, useState } from 'preact/hooks'
import { after, nowMs } from '../browser.ts'
import { durationText } from './amount.ts'

/** `until`: ms since 1970. `ofMs`: the whole. `label`: what ends then. */
export function Countdown({ until, ofMs, label }: { readonly until: number; readonly ofMs: number; readonly label: string }) {
  const [now, set] = useState(nowMs())
  useEffect(() => after(1_000, () => set(nowMs())), [now])
  const leftMs = Math.max(0, until - now)
  const text = leftMs === 0 ? 'over' : `${durationText(leftMs / 1_000)} left`
  return (
    <span class="countdown">
      <meter min={0} max={ofMs} low={ofMs / 6} optimum={ofMs} value={leftMs} aria-label={label} aria-valuetext={text} />
      <span>{text}</span>
    </span>
  )
}
