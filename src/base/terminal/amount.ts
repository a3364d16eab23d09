// Numbers as a person reads them: sizes, spans of time, shares. What a program reads stays in bytes, seconds and percent.

const sizes = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'] as const

/** Three digits at least where there are that many: `512 B`, `1.50 KiB`, `23.5 GiB`. Powers of 1024 (IEC 80000-13). */
export function sizeText(sizeBytes: number): string {
  let [value, at] = [sizeBytes, 0]
  while (value >= 1_023.5 && at < sizes.length - 1) [value, at] = [value / 1_024, at + 1]
  const digits = at === 0 || value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2
  return `${value.toFixed(digits)} ${sizes[at]}`
}

const units = [
  ['d', 86_400],
  ['h', 3_600],
  ['min', 60],
  ['s', 1],
] as const

/** The two largest units, rounded down: `45 s`, `2 min 5 s`, `1 d 2 h`. */
export function durationText(seconds: number): string {
  const at = Math.max(
    0,
    units.findIndex(([, length]) => seconds >= length),
  )
  const [first, second] = seconds < 1 ? [units[3]] : units.slice(at, at + 2)
  const rest = Math.floor((seconds % first![1]) / (second?.[1] ?? 1))
  return `${Math.floor(seconds / first![1])} ${first![0]}${second && rest > 0 ? ` ${rest} ${second[0]}` : ''}`
}

/** Below ten one digit after the point: `4.2 %`, `96 %`. */
export function percentText(percent: number): string {
  return `${percent.toFixed(percent < 9.95 && percent > 0 ? 1 : 0)} %`
}
