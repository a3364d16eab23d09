// Durations as ISO 8601 writes them: `P2D`, `PT48H`, `P1Y2M10DT2H30M`, `P2W`, `PT1.5H`. What cannot be a duration is refused, never taken for zero.

/** Years and months are as long as the calendar makes them; all else has a length. */
export type IsoDuration = { readonly months: number; readonly ms: number }

const hourMs = 3_600_000
const maxTextLength = 64
/** Longest first; each part of a duration comes at most once, in this order. */
const pattern =
  /^P(?:(?<weeks>\d{1,9}(?:[.,]\d{1,9})?)W|(?:(?<years>\d{1,9}(?:[.,]\d{1,9})?)Y)?(?:(?<months>\d{1,9}(?:[.,]\d{1,9})?)M)?(?:(?<days>\d{1,9}(?:[.,]\d{1,9})?)D)?(?:(?<time>T)(?:(?<hours>\d{1,9}(?:[.,]\d{1,9})?)H)?(?:(?<minutes>\d{1,9}(?:[.,]\d{1,9})?)M)?(?:(?<seconds>\d{1,9}(?:[.,]\d{1,9})?)S)?)?)$/
const lengthsMs = { weeks: 168 * hourMs, days: 24 * hourMs, hours: hourMs, minutes: 60_000, seconds: 1_000 } as const

/**
 * The duration, or undefined when the text is none (ISO 8601-1:2019 §5.5.2): no part at all, a `T` with nothing after it, parts out of order or of the wrong half, weeks
 * beside others, a fraction that is not in the last part or is of a year or month, more than the calendar of this program holds.
 */
export function parseDuration(text: string): IsoDuration | undefined {
  if (text.length > maxTextLength) return undefined
  const groups = pattern.exec(text)?.groups
  if (!groups || text.endsWith('T')) return undefined
  const parts = Object.entries(groups).filter(([name, value]) => name !== 'time' && value !== undefined)
  const isWhole = (value: string): boolean => /^\d+$/.test(value)
  if (parts.length === 0 || !parts.slice(0, -1).every(([, value]) => isWhole(value))) return undefined
  let [months, ms] = [0, 0]
  for (const [name, value] of parts) {
    const count = Number(value.replace(',', '.'))
    if (name === 'years' || name === 'months') {
      if (!isWhole(value)) return undefined
      months += name === 'years' ? 12 * count : count
    } else ms += count * lengthsMs[name as keyof typeof lengthsMs]
  }
  const duration = { months, ms: Math.round(ms) }
  return Number.isNaN(endOf(0, duration)) ? undefined : duration
}

/** The moment (in milliseconds, UTC) at which a duration that begins at `startMs` ends; NaN beyond the calendar. A month's last day stays its last day. */
export function endOf(startMs: number, { months, ms }: IsoDuration): number {
  if (months === 0) return new Date(startMs + ms).getTime()
  const start = new Date(startMs)
  const [year, month] = [start.getUTCFullYear(), start.getUTCMonth() + months]
  const lastDay = new Date(Date.UTC(year, month + 1, 0)).getUTCDate()
  const time = startMs - Date.UTC(year, start.getUTCMonth(), start.getUTCDate())
  return new Date(Date.UTC(year, month, Math.min(start.getUTCDate(), lastDay)) + time + ms).getTime()
}

/** A length as hours, the way windows are written: `PT48H`; shorter parts only where there are some. */
export function durationText(ms: number): string {
  const [hours, minutes] = [Math.floor(ms / hourMs), Math.floor((ms % hourMs) / 60_000)]
  const seconds = (ms % 60_000) / 1_000
  const text = `${hours > 0 ? `${hours}H` : ''}${minutes > 0 ? `${minutes}M` : ''}${seconds > 0 ? `${seconds}S` : ''}`
  return `PT${text === '' ? '0S' : text}`
}
