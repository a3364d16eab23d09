// Durations as people write them: `250ms`, `30s`, `5m`, `1h30m`, `7d`.
import { z } from 'zod'

const unitsMs: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }
const whole = /^(?:\d{1,9}(?:ms|[smhd]))+$/

/** The milliseconds of a duration, or undefined when the text is none. */
export function durationMs(text: string): number | undefined {
  if (text.length > 64 || !whole.test(text)) return undefined
  let sumMs = 0
  for (const [, count, unit] of text.matchAll(/(\d+)(ms|[smhd])/g)) sumMs += Number(count) * unitsMs[unit!]!
  return sumMs
}

/** As a person would write it: `24h`, `250ms`. */
function durationText(ms: number): string {
  const [unit, unitMs] = Object.entries(unitsMs).findLast(([, size]) => ms % size === 0 && ms >= size) ?? ['ms', 1]
  return `${ms / unitMs}${unit}`
}

/** A key that takes a duration and gives milliseconds, from `leastMs` to `mostMs` (a year: what is meant to be longer has no end). */
export function duration({ leastMs = 0, mostMs = 365 * 86_400_000 }: { readonly leastMs?: number; readonly mostMs?: number } = {}) {
  return z.string().transform((text, context) => {
    const valueMs = durationMs(text)
    if (valueMs !== undefined && valueMs >= leastMs && valueMs <= mostMs) return valueMs
    const message =
      valueMs === undefined
        ? 'must be a duration such as 250ms, 30s, 5m or 1h30m'
        : `must be a duration from ${durationText(leastMs)} to ${durationText(mostMs)}`
    context.addIssue({ code: 'custom', message })
    return z.NEVER
  })
}
