// Moments as the connectors' messages write them: ISO 8601 with a zone, sent in UTC to the second.

const pattern = /^(\d{4})-(\d{2})-(\d{2})T(\d{2}):(\d{2}):(\d{2})(\.\d{1,9})?(?:Z|([+-])(\d{2}):(\d{2}))$/

/** Milliseconds since 1970, or undefined: without a zone, with a day that its month has not, or in any other form. `toSecond`: a fraction is refused, too. */
export function parseInstant(text: string, { toSecond = false }: { readonly toSecond?: boolean } = {}): number | undefined {
  const found = pattern.exec(text)
  if (!found || (toSecond && found[7] !== undefined)) return undefined
  const [year, month, day, hour, minute, second] = found.slice(1, 7).map(Number) as [number, number, number, number, number, number]
  const [zoneHours, zoneMinutes] = [Number(found[9] ?? 0), Number(found[10] ?? 0)]
  const ms = Date.UTC(year, month - 1, day, hour, minute, second)
  const isReal =
    year >= 1000 &&
    month >= 1 &&
    new Date(ms).getUTCMonth() === month - 1 &&
    new Date(ms).getUTCDate() === day &&
    hour < 24 &&
    minute < 60 &&
    second < 60
  if (!isReal || zoneHours > 23 || zoneMinutes > 59) return undefined
  const offsetMs = (zoneHours * 60 + zoneMinutes) * 60_000 * (found[8] === '-' ? -1 : 1)
  return ms + Math.floor(Number(`0${found[7] ?? ''}`) * 1_000) - offsetMs
}

/** `2025-01-17T22:00:05Z`: a fraction of a second is dropped. */
export function instantText(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`
}

/** `20250117T220005Z`, as names of windows and runs begin. */
export function compactText(ms: number): string {
  return instantText(ms).replaceAll(/[-:]/g, '')
}
