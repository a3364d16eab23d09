// A moment: how long ago it was, with the exact time for who asks.
import { useEffect, useState } from 'preact/hooks'
import { after, nowMs } from '../browser.ts'
import { durationText } from './amount.ts'

const exact = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'medium' })

/** `at`: ms since 1970. */
export function Ago({ at }: { readonly at: number }) {
  const now = useNow(at)
  const seconds = Math.max(0, (now - at) / 1_000)
  const date = new Date(at)
  return (
    <time dateTime={date.toISOString()} title={exact.format(date)}>
      {seconds < 5 ? 'now' : `${durationText(seconds)} ago`}
    </time>
  )
}

/** Ticks each second while that is what is told, and each half minute later. */
function useNow(at: number): number {
  const [now, set] = useState(nowMs())
  useEffect(() => after(nowMs() - at < 60_000 ? 1_000 : 30_000, () => set(nowMs())), [now, at])
  return Math.max(now, at)
}
